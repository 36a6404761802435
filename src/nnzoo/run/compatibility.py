"""Whether a checkpoint fits the model and the data that it is used with; if not, what to do."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from jsonargparse import Namespace
from torch import Tensor

from nnzoo.data.facts import facts_of, held_facts
from nnzoo.errors import InputError
from nnzoo.run.carried import changed_hparams
from nnzoo.run.checkpoint import CLASS_KEY, FACTS_KEY, public_name, read_checkpoint
from nnzoo.run.configs import read_yaml


def check_checkpoint(path: Path, classes: Sequence[type]) -> None:
    """Raises InputError if the checkpoint cannot be read or is of none of a recipe's classes, nor of a subclass."""
    saved = saved_class(path)
    if saved is None or any(saved in names_of(cls) for cls in classes):
        return
    try:
        found = import_class(saved)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{path} was saved by {saved}, which cannot be imported ({error}).") from error
    if not issubclass(found, tuple(classes)):
        trained = " or ".join(cls.__name__ for cls in classes)
        raise InputError(
            f"{path} was saved by {saved}, but this recipe trains {trained}: use that model's recipe, or give --model "
            f"{saved} if it is a subclass."
        )


def check_fits(path: Path, model: L.LightningModule, datamodule: object) -> None:
    """Raises InputError if a checkpoint was saved by another class, on other data or with other weights."""
    check_model(path, type(model))
    check_data(path, datamodule)
    check_weights(path, model)


def check_model(path: Path, model_class: type) -> None:
    """Raises InputError if the checkpoint was saved by another class than that which the settings make."""
    saved = saved_class(path)
    if saved is not None and saved not in names_of(model_class):
        raise InputError(
            f"{path} was saved by {saved}, these settings make a {model_class.__name__}: give the data that it was "
            f"trained on, or --model {saved} if that is a class of yours."
        )


def saved_class(path: Path) -> str | None:
    """The class that saved a checkpoint, as it is imported; None if that is not known, as of a notebook's own."""
    saved = read_checkpoint(path).get(CLASS_KEY)
    return None if saved is None or saved.startswith("__main__.") else saved


def names_of(cls: type) -> set[str]:
    """The names of a class and of its bases, as they are imported."""
    return {public_name(base) for base in cls.__mro__}


def import_class(path: str) -> type:
    """The class of an import path such as my_package.MyVAE."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def check_data(path: Path, datamodule: object) -> None:
    """Raises InputError if data have other facts than those that a checkpoint is held to; names all of them."""
    checkpoint = read_checkpoint(path)
    saved = {**checkpoint.get("hyper_parameters", {}), **checkpoint.get(FACTS_KEY, {})}
    both = {name: (_text(saved.get(name)), _text(value)) for name, value in held_facts(datamodule).items()}
    differing = {name: texts for name, texts in both.items() if all(texts) and texts[0] != texts[1]}
    if differing:
        known = facts_of(type(datamodule))
        theirs, ours = (" and ".join(f"{n} {_short(texts[i])}" for n, texts in differing.items()) for i in (0, 1))
        remedies = "; ".join(dict.fromkeys(str(known[name].remedy) for name in differing))
        raise InputError(f"{path} was trained on data with {theirs}, these have {ours}: {remedies}.")


def check_weights(path: Path, model: L.LightningModule) -> None:
    """Raises InputError if a checkpoint holds other weights than a model has; names the settings that differ."""
    checkpoint = read_checkpoint(path)
    theirs, ours = ({name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}
                    for state in (checkpoint["state_dict"], model.state_dict()))  # fmt: skip
    if theirs == ours or not model.strict_loading:
        return
    changed = changed_hparams(model, checkpoint)
    made = " and ".join(f"{name} {_short(_text(saved))}, not {_short(_text(given))}"
                        for name, (saved, given) in changed.items())  # fmt: skip
    where = made or next(name for name in sorted({*theirs, *ours}) if theirs.get(name) != ours.get(name))
    raise InputError(
        f"{path} holds other weights than these settings make: it was saved with {where}: leave out the flags that "
        "change the network."
    )


def check_same_run(config: Path, settings: Mapping[str, Any]) -> None:
    """Raises InputError if a fit that goes on has another seed, or ``--optimizer`` or ``--lr_scheduler``, than before.

    Args:
        config: The run's settings so far.
        settings: Those of the command line.
    """
    before = read_yaml(str(config))
    for name in ("seed_everything", "optimizer", "lr_scheduler"):
        given = settings.get(name)
        given = given.as_dict() if isinstance(given, Namespace) else given
        if before.get(name) != given:
            raise InputError(
                f"A run keeps its {name} when it goes on, as its states depend on it: leave out --{name}, or start a "
                "new run."
            )


def _text(fact: Any) -> str:
    """A fact as a text; empty where it is not known."""
    if fact is None:
        return ""
    return ", ".join(map(str, fact)) if isinstance(fact, list | tuple) else str(fact)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
