"""How long a fit will take, told while it can still be changed."""

import math
import time

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.rank_zero import rank_zero_info

TIMED = 10.0
"""Seconds of training by which the rest is judged."""

LONG_FIT = 600.0
"""Seconds of a fit of which a user is told."""

OF_TRAINING = 1 / 3
"""A batch's validation as a share of its training, which has a backward pass of about twice the forward pass."""


class ExpectedTime(Callback):
    """Says once, soon after the start, how long an epoch and the whole fit take, if that is long.

    Judged by the batches of some seconds but the first, which warms up: a validation that measures more than a loss,
    checkpoints and figures come on top.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Nothing is timed yet."""
        self._started: float | None = None
        self._done, self._counted = 0.0, 0
        self._said = False

    def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Times the batch, and says the line if it is due."""
        if self._said:
            return
        now, batches = time.monotonic(), trainer.fit_loop.epoch_loop.batch_progress.total.ready
        if self._started is None:
            self._started, self._counted = now, batches
            return
        self._done += batches - self._counted  # not every batch is told
        self._counted = batches
        if now - self._started < TIMED:
            return
        self._said = True
        epoch = (now - self._started) / self._done * batches_of_epoch(trainer)
        fit = epoch * epochs_left(trainer)
        if math.isfinite(epoch) and fit >= LONG_FIT:
            whole = f", the fit about {spoken(fit)}" if math.isfinite(fit) else ""
            rank_zero_info(f"An epoch takes about {spoken(epoch)} here{whole} (--trainer.max_epochs shortens it).")

    def on_validation_batch_end(self, trainer: L.Trainer, *_: object) -> None:
        """Counts a batch of a validation within the fit, so that many short epochs are timed as a whole."""
        if getattr(self, "_started", None) is not None:
            self._done += OF_TRAINING


def batches_of_epoch(trainer: L.Trainer) -> float:
    """Batches of training of an epoch, those of its validation as a share of one; infinity if there is no end."""
    validated = sum(trainer.num_val_batches) if trainer.enable_validation else 0
    return trainer.num_training_batches + OF_TRAINING * validated / (trainer.check_val_every_n_epoch or 1)


def epochs_left(trainer: L.Trainer) -> float:
    """Epochs until the fit is over, as a broken number; infinity if there is no end."""
    done = trainer.fit_loop.epoch_loop.batch_progress.current.ready / trainer.num_training_batches
    most = math.inf if trainer.max_epochs is None or trainer.max_epochs < 0 else trainer.max_epochs
    ends = [most - trainer.current_epoch - done]
    if trainer.max_steps > 0:
        batches = (trainer.max_steps - trainer.global_step) * trainer.accumulate_grad_batches
        ends.append(batches / trainer.num_training_batches)
    return min(ends)


def spoken(seconds: float) -> str:
    """A time as people say it: 40 s, 12 min, 3.5 h, 2.1 days."""
    for unit, length in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.{0 if unit == 'min' else 1}f} {unit}"
    return f"{seconds:.0f} s"
