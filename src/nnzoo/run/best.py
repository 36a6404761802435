"""Which checkpoint of a run is the best: it is tested, drawn from and recorded."""

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint

from nnzoo.modules.base import ZooModule
from nnzoo.run.checkpoint import read_checkpoint

COUNTS = ("epoch", "step")
"""What ModelCheckpoint knows beside metrics; by the highest of them the last checkpoint is the best."""


def defaults_of(module_class: Any) -> dict[str, str]:
    """Options of the command line that keep the best checkpoint as a class of modules says."""
    monitor, mode = getattr(module_class, "best_by", ZooModule.best_by)
    return {"checkpoint.monitor": monitor, "checkpoint.mode": mode}


def keeper(trainer: L.Trainer) -> ModelCheckpoint | None:
    """The callback that keeps the best checkpoint."""
    return next((c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint) and c.monitor), None)


def rule(callback: ModelCheckpoint | None) -> str:
    """By what the best checkpoint is chosen, in words: "lowest val/loss", or "last"."""
    if callback is None or callback.monitor in COUNTS:
        return "last"
    return f"{'highest' if callback.mode == 'max' else 'lowest'} {callback.monitor}"


def best_epoch(trainer: L.Trainer) -> int | None:
    """The epoch, counted from 1, of the best checkpoint; None if none was kept."""
    path = Path(getattr(keeper(trainer), "best_model_path", ""))
    return read_checkpoint(path)["epoch"] + 1 if path.is_file() else None


def tested_note(trainer: L.Trainer) -> list[str]:
    """Which weights a test after a fit has measured, a line; none where no checkpoint was kept."""
    epoch, how = best_epoch(trainer), rule(keeper(trainer))
    why = how if how == "last" else f"of the {how}"
    return [f"tested: the weights after epoch {epoch} of {trainer.current_epoch}, {why}"] if epoch else []
