"""The checkpoint to go on from, written no more often than it is worth."""

import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint


class LastCheckpoint(ModelCheckpoint):
    """Lightning's ModelCheckpoint for the last weights, which leaves out epochs that end soon after one was written.

    The first epoch of a fit and the last one are always written. A run that is killed loses the work of ``seconds``, or
    of an epoch where that takes longer; what goes on from an earlier epoch comes to the same bits.

    Args:
        seconds: Least time between two epochs that are written; 0 to write each.
        kwargs: What ModelCheckpoint takes.
    """

    def __init__(self, seconds: float = 20.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seconds = seconds
        self._written: float | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Nothing of this fit is written yet."""
        super().on_train_start(trainer, pl_module)
        self._written = None

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Writes the epoch, if it is due."""
        now = time.monotonic()
        due = self._written is None or now - self._written >= self.seconds or is_last_epoch(trainer)
        if trainer.strategy.broadcast(due):  # all processes write together, whatever their clocks say
            before = self._last_global_step_saved
            super().on_train_epoch_end(trainer, pl_module)
            if self._last_global_step_saved != before:  # it may leave out epochs itself
                self._written = now


def is_last_epoch(trainer: L.Trainer) -> bool:
    """Whether the fit ends with the epoch that is about to end."""
    epochs, steps = trainer.max_epochs, trainer.max_steps
    ends = epochs is not None and 0 <= epochs <= trainer.current_epoch + 1
    return bool(trainer.should_stop or ends or 0 <= steps <= trainer.global_step)
