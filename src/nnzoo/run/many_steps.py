"""Several optimiser steps for each of Lightning's own, whose hooks and counts outlast a small network's step.

What Lightning does around a batch costs the same for every network: a millisecond or more, beside two of a small one.
Most batches need nothing of it, as nothing is logged, saved, validated or over after them.
"""

import math
import time
from types import MethodType
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, TQDMProgressBar
from lightning.pytorch.loops.fetchers import _PrefetchDataFetcher
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy

from nnzoo.modules.base import ZooModule
from nnzoo.modules.token_loss import TokenLossModule
from nnzoo.run.quick_step import OF_BATCHES, QuickStep, owner_of

MOST, SECONDS = 100, 0.5
"""Batches, and seconds, after which one goes through Lightning's loop again: bars, clocks and signals wait no more."""

OF_STEPS = ("backward", "optimizer_step", "optimizer_zero_grad", "lr_scheduler_step", "configure_gradient_clipping")
KNOWN = {ZooModule, TokenLossModule}
"""Classes of modules, beside Lightning's, whose hooks for a step are called here too."""


class ManySteps(Callback):
    """Takes most batches without what Lightning does around each, wherever that changes no bit.

    The module's ``training_step`` gets every batch as always, and hooks for a batch that a callback has of its own are
    called as always. Batches after which something is logged, saved, validated, drawn by a bar or over go through
    Lightning's loop, and so does one of a hundred or of half a second. All do on several devices, with a gradient
    scaler or accumulated gradients, a profiler, an epoch of unknown length, a validation or checkpoint that is due by
    time or a validation every so many batches of several epochs, a ``dataloader_iter``, hooks for batches or steps that
    a module has of its own, and values that a module logs in ``training_step``; and so do all of a Lightning that is
    not known here.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Steps in; whether it can is found out after the first batch of each epoch, and so after all hooks before."""
        loop: Any = trainer.fit_loop.epoch_loop
        slow, quick = MethodType(type(loop).advance, loop), None

        def advance(fetcher: Any) -> None:
            nonlocal quick
            if loop.batch_progress.current.ready == 0:
                quick = None
            elif quick is None or quick.is_outdated():
                quick = QuickSteps(trainer, trainer.lightning_module)
            if quick is None or quick.run(fetcher):
                slow(fetcher)

        loop.advance = advance

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leaves Lightning's loop as it was."""
        vars(trainer.fit_loop.epoch_loop).pop("advance", None)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Leaves Lightning's loop as it was."""
        vars(trainer.fit_loop.epoch_loop).pop("advance", None)


class QuickSteps:
    """Training batches up to the next one that Lightning's loop must take.

    Args:
        trainer: In whose place they are taken, and whose counts go on.
        module: What is trained.
    """

    def __init__(self, trainer: Any, module: L.LightningModule) -> None:
        self.trainer, self.module, self.callbacks = trainer, module, list(trainer.callbacks)
        self.loop: Any = trainer.fit_loop.epoch_loop
        self.can_skip = can_skip(trainer, module)
        self.redrawn = [c.refresh_rate for c in trainer.callbacks if isinstance(c, TQDMProgressBar) and c.refresh_rate]
        self.saved = saving_steps(trainer)
        self.step = QuickStep(trainer, module)

    def is_outdated(self) -> bool:
        """Whether there are other callbacks by now, or another module."""
        return self.trainer.callbacks != self.callbacks or self.trainer.lightning_module is not self.module

    def run(self, fetcher: Any) -> bool:
        """Takes the batches; returns whether the next one is for Lightning's loop, not its end."""
        trainer, loop, end = self.trainer, self.loop, time.monotonic() + SECONDS
        free = self.free(fetcher)
        if not free:
            return True
        trainer._logger_connector._first_loop_iter = False
        limits = self.limits()
        self.module._current_fx_name = "training_step"  # once: of an nn.Module, setting an attribute takes long
        stopped = False
        for _ in range(free):
            self.step(fetcher)
            if stopped := trainer.should_stop or trainer.received_sigterm or self.limits() != limits:
                break
            loop._batches_that_stepped += 1
            if time.monotonic() > end:
                break
        self.module._current_fx_name = None
        if stopped:  # the loop counts this batch as its own, and looks whether it was the last
            trainer._logger_connector.on_batch_end()
            trainer._logger_connector.update_train_step_metrics()
        return not stopped

    def limits(self) -> tuple[int, int]:
        """What a callback may change between two batches."""
        return self.loop.max_steps, self.trainer.accumulate_grad_batches

    def free(self, fetcher: Any) -> int:
        """Batches before the next one at which Lightning does something."""
        trainer, loop = self.trainer, self.loop
        done, stepped, steps = loop.batch_progress.current.ready, loop._batches_that_stepped, loop.global_step
        logged = any(name.startswith("training_step") for name in trainer._results or ())
        if (
            not self.can_skip
            or logged
            or loop.restarting
            or trainer.should_stop
            or trainer.accumulate_grad_batches != 1
            or loop.automatic_optimization._skip_backward
            or type(fetcher) is not _PrefetchDataFetcher
            or fetcher.length is None
        ):
            return 0
        due = [MOST, trainer.num_training_batches - done - 1, fetcher.length - fetcher.fetched - 1]
        if trainer.max_steps >= 0:
            due.append(trainer.max_steps - steps - 1)
        due += [-(done + 1) % every for every in (*self.redrawn, trainer.val_check_batch) if math.isfinite(every)]
        if log_every := getattr(trainer, "log_every_n_steps", 0):
            due.append(-(stepped + 1) % log_every)
        due += [-(steps + 1) % every for every in self.saved]
        return max(0, int(min(due)))


def can_skip(trainer: Any, module: L.LightningModule) -> bool:
    """Whether batches without Lightning's hooks give the same bits, and no hook of the module's own waits for them."""
    precision: Any = trainer.precision_plugin
    if not L.__version__.startswith("2.6."):
        return False  # its loop, whose counts are kept here, may have changed
    plain = type(precision) is Precision or (type(precision) is MixedPrecision and precision.scaler is None)
    # Lightning counts the steps of several optimisers one by one.
    counted = trainer.max_steps != -1 or saving_steps(trainer)
    return (
        plain
        and (len(trainer.optimizers) == 1 if module.automatic_optimization else not counted)
        and type(trainer.strategy) is SingleDeviceStrategy
        and isinstance(trainer.profiler, PassThroughProfiler)
        and math.isfinite(trainer.num_training_batches)
        and trainer.check_val_every_n_epoch is not None
        and getattr(trainer, "_val_check_time_interval", None) is None
        and all(getattr(one, "_train_time_interval", None) is None for one in trainer.checkpoint_callbacks)
        and not any(config.reduce_on_plateau for config in trainer.lr_scheduler_configs)
        and all(is_known(owner_of(module, name)) for name in (*OF_BATCHES, *OF_STEPS))
    )


def saving_steps(trainer: L.Trainer) -> list[int]:
    """Every how many steps the checkpoints are written that go by steps."""
    every = (getattr(callback, "_every_n_train_steps", 0) for callback in trainer.checkpoint_callbacks)
    return [number for number in every if number]


def is_known(cls: type) -> bool:
    """Whether what a module's hooks of this class do is done here."""
    return cls in KNOWN or cls.__module__.startswith("lightning.")
