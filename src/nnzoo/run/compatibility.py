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
    """Raises InputError if the data give a model other facts than the checkpoint is held to; names all of them."""
    saved = read_checkpoint(path).get("hyper_parameters", {})
    held = {name: known.remedy for name, known in facts_of(datamodule_class).items() if known.remedy}
    both = {name: (_text(saved.get(name)), _text(hparams.get(name))) for name in held}
    differing = {name: texts for name, texts in both.items() if all(texts) and texts[0] != texts[1]}
    if differing:
        theirs, ours = (" and ".join(f"{n} {_short(texts[i])}" for n, texts in differing.items()) for i in (0, 1))
        remedies = "; ".join(dict.fromkeys(str(held[name]) for name in differing))
        raise InputError(f"{path} was trained on data with {theirs}, these have {ours}: {remedies}.")


def _text(fact: Any) -> str:
    """A fact as a text; empty where it is not known."""
    if fact is None:
        return ""
    return ", ".join(map(str, fact)) if isinstance(fact, list | tuple) else str(fact)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
