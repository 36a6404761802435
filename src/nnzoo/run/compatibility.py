"""Whether a checkpoint fits the model and the data that it is used with; if not, what to do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnzoo.errors import InputError
from nnzoo.run.checkpoint import CLASS_KEY, read_checkpoint

IMAGES = "set --data.image_size, --data.color and --data.binarize to match"
TABLES = "keep the training's --data.csv and split, and give other rows as --data.predict_csv"
FIXED_BY_TRAINING = {
    "in_shape": IMAGES,
    "levels": IMAGES,
    "num_numeric": TABLES,
    "cardinalities": TABLES,
    "preprocessing": TABLES,
    "features": "give the same columns in the same order (--data.drop leaves columns out)",
    "classes": "use data with the same classes; what has no class yet is given by --data.predict_csv or predict_root",
}
"""What the data give the model and a checkpoint holds it to, and what to do if they differ."""


def check_checkpoint(path: Path, model_class: type) -> None:
    """Raises InputError if the checkpoint cannot be read or was saved by another class than the model's."""
    saved = read_checkpoint(path).get(CLASS_KEY)
    related = {f"{cls.__module__}.{cls.__qualname__}" for cls in model_class.__mro__}
    if saved is not None and saved not in related and not saved.startswith("__main__."):
        raise InputError(
            f"{path} was saved by {saved}, but this recipe trains {model_class.__name__}: use that model's recipe, or "
            f"give --model {saved} if it is a subclass."
        )


def check_data(path: Path, hparams: Mapping[str, Any]) -> None:
    """Raises InputError if the data give a model other hyperparameters than the checkpoint was trained with."""
    saved = read_checkpoint(path).get("hyper_parameters", {})
    for name, what_to_do in FIXED_BY_TRAINING.items():
        ours, theirs = _shown(hparams.get(name)), _shown(saved.get(name))
        if ours and theirs and ours != theirs:
            ours, theirs = (text if len(text) <= 80 else f"{text[:77]}..." for text in (ours, theirs))
            raise InputError(f"{path} was trained on data with {name} {theirs}, these have {ours}: {what_to_do}.")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
