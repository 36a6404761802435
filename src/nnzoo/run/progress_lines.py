"""A run's progress in plain lines, for where a bar would fill a file with its redrawings."""

import time

import lightning as L
from lightning.pytorch.callbacks import Callback, ProgressBar
from lightning.pytorch.utilities.rank_zero import rank_zero_info

from nnzoo.timing import LONG


class TimeOfTest(Callback):
    """Says how long a long test of the model itself took, before what else is measured."""

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Prints the line."""
        seconds = time.monotonic() - self._started
        if seconds >= LONG:
            rank_zero_info(f"test: {seconds:.1f} s (--trainer.limit_test_batches shortens it)")


class ProgressLines(ProgressBar):
    """Says at about every tenth of the epochs how far the fit is, with the last losses: a line each."""

    LINES = 10
    _due: int | None = None

    def disable(self) -> None:
        """Nothing to switch off: only process 0 prints."""

    def enable(self) -> None:
        """Nothing to switch on, as after Lightning's search for a learning rate."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Notes that a line is due: the means of this epoch's training are known after it only."""
        done, total = trainer.current_epoch + 1, trainer.max_epochs
        every = max(1, total // self.LINES) if total and total > 0 else 1
        self._due = done if not done % every or done == total else None

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Prints the line of the epoch before, if it is due."""
        self._print(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Prints the last one."""
        self._print(trainer)

    def _print(self, trainer: L.Trainer) -> None:
        done, self._due = self._due, None
        if done is None or not trainer.is_global_zero:
            return
        total = trainer.max_epochs
        losses = (f"{name} {value:.4g}" for name in ("train/loss", "val/loss")
                  if (value := trainer.callback_metrics.get(name)) is not None)  # fmt: skip
        print(f"epoch {done}{f' of {total}' if total and total > 0 else ''}", *losses, sep=", ", flush=True)
