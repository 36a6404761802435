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

    def disable(self) -> None:
        """Nothing to switch off: only process 0 prints."""

    def enable(self) -> None:
        """Nothing to switch on, as after Lightning's search for a learning rate."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Prints a line if it is due."""
        if not trainer.is_global_zero:
            return
        done, total = trainer.current_epoch + 1, trainer.max_epochs
        every = max(1, total // self.LINES) if total and total > 0 else 1
        if done % every and done != total:
            return
        losses = (f"{name} {value:.4g}" for name in ("train/loss", "val/loss")
                  if (value := trainer.callback_metrics.get(name)) is not None)  # fmt: skip
        print(f"epoch {done}{f' of {total}' if total and total > 0 else ''}", *losses, sep=", ", flush=True)
