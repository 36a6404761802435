"""Whether a checkpoint fits the model and the data that it is used with; if not, what to do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnzoo.data.facts import facts_of
from nnzoo.errors import InputError
from nnzoo.run.checkpoint import CLASS_KEY, public_name, read_checkpoint


def check_checkpoint(path: Path, model_class: type) -> None:
    """Raises InputError if the checkpoint cannot be read or was saved by another class than the model's."""
    saved = read_checkpoint(path).get(CLASS_KEY)
    related = {public_name(cls) for cls in model_class.__mro__}
    if saved is not None and saved not in related and not saved.startswith("__main__."):
        raise InputError(
            f"{path} was saved by {saved}, but this recipe trains {model_class.__name__}: use that model's recipe, or "
            f"give --model {saved} if it is a subclass."
        )


def check_data(path: Path, hparams: Mapping[str, Any], datamodule_class: type) -> None:
    """Raises InputError if the data give a model another fact than the checkpoint is held to."""
    saved = read_checkpoint(path).get("hyper_parameters", {})
    for name, known in facts_of(datamodule_class).items():
        ours, theirs = _shown(hparams.get(name)), _shown(saved.get(name))
        if known.remedy and ours and theirs and ours != theirs:
            ours, theirs = (text if len(text) <= 80 else f"{text[:77]}..." for text in (ours, theirs))
            raise InputError(f"{path} was trained on data with {name} {theirs}, these have {ours}: {known.remedy}.")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
