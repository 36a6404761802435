"""Several optimiser steps for each of Lightning's, which take longer than a small network's own."""

import math
import time
from collections.abc import Iterator
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import (
    Callback,
    GradientAccumulationScheduler,
    LearningRateMonitor,
    ModelCheckpoint,
    ProgressBar,
    TQDMProgressBar,
)
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.trainer import call
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature

from nnzoo.modules.base import ZooModule
from nnzoo.modules.token_loss import TokenLossModule
from nnzoo.run.expected_time import ExpectedTime
from nnzoo.run.nan_guard import NaNGuard

MOST = 20
"""Batches of which each callback sees one: a bar is redrawn as often."""

SECONDS = 0.05
"""Steps that take longer than that together are not held back from callbacks."""

OF_BATCHES = ("on_train_batch_start", "on_train_batch_end", "on_before_zero_grad", "on_before_backward")
OF_BATCHES += ("on_after_backward", "on_before_optimizer_step")
OF_STEPS = ("backward", "optimizer_step", "optimizer_zero_grad", "lr_scheduler_step", "configure_gradient_clipping")
OF_TRANSFER = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
CONTENT = {Callback, ProgressBar, TQDMProgressBar, ModelCheckpoint, LearningRateMonitor, NaNGuard, ExpectedTime}
"""Callbacks that miss nothing where they see the batches of :meth:`ManySteps.is_due` alone."""
KNOWN = {ZooModule, TokenLossModule}
"""Modules beside Lightning's whose hooks of a step are called here."""


class ManySteps(Callback):
    """Takes most steps of a training without what Lightning does around each, wherever that changes no bit.

    Batches go to the module's ``training_step`` as always. Those at which something is logged, saved, validated or
    over, every 20th, and what comes 0.05 seconds after the last of these go through Lightning's own loop, and callbacks
    see these only. All go there on several devices, with a gradient scaler, accumulated gradients, a profiler, an
    epoch without a length, hooks of its own that a module or a callback has for every batch, or values that a module
    logs in ``training_step``.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Steps in where it can."""
        if not can_skip(trainer, pl_module):
            return
        self._every = [MOST, *(c.refresh_rate for c in trainer.callbacks if isinstance(c, TQDMProgressBar))]
        self._saves = [n for c in trainer.checkpoint_callbacks if (n := getattr(c, "_every_n_train_steps", 0))]
        self._takes_index = is_param_in_hook_signature(pl_module.training_step, "batch_idx", min_args=2)
        hooks = [owner for owner in (pl_module, trainer.datamodule) if owner is not None]
        moved = any(is_overridden(name, owner) for name in OF_TRANSFER for owner in hooks)
        self._moves = moved or pl_module.device.type != "cpu"
        loop: Any = trainer.fit_loop.epoch_loop
        through_lightning = loop.advance

        def advance(fetcher: Any) -> None:
            end = time.monotonic() + SECONDS
            while not (loop.restarting or self.is_due(trainer) or time.monotonic() > end):
                self._step(trainer, pl_module, fetcher)
            through_lightning(fetcher)

        loop.advance = advance

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Leaves Lightning's loop as it was."""
        vars(trainer.fit_loop.epoch_loop).pop("advance", None)

    def is_due(self, trainer: L.Trainer) -> bool:
        """Whether the next batch is one for Lightning's loop."""
        loop = trainer.fit_loop.epoch_loop
        ready, stepped = loop.batch_progress.current.ready + 1, loop._batches_that_stepped
        return (
            ready in (1, trainer.num_training_batches)
            or any(ready % every == 0 for every in self._every if every)
            or ready % trainer.val_check_batch == 0
            or any(
                step % trainer.log_every_n_steps == 0 for step in (stepped, stepped + 1) if trainer.log_every_n_steps
            )
            or any((loop.global_step + 1) % every == 0 for every in self._saves)
            or loop.global_step + 1 == trainer.max_steps
            or any(key.startswith("training_step") for key in trainer._results or ())  # logged in every step
        )

    def _step(self, trainer: L.Trainer, module: Any, fetcher: Any) -> None:
        loop: Any = trainer.fit_loop.epoch_loop
        batch, _, _ = next(fetcher)
        progress = loop.batch_progress
        progress.is_last_batch = fetcher.done
        if self._moves:
            batch = module._on_before_batch_transfer(batch, dataloader_idx=0)
            batch = call._call_strategy_hook(trainer, "batch_to_device", batch, dataloader_idx=0)
        progress.increment_ready()
        trainer._logger_connector.on_batch_start(batch)
        module._current_fx_name = "training_step"
        progress.increment_started()
        number = loop.batch_idx
        arguments = (batch, number) if self._takes_index else (batch,)
        if module.automatic_optimization:
            loss = self._optimize(trainer, module, arguments)
        else:
            loss = loop.manual_optimization.run(dict(enumerate(arguments))).get("loss")
        progress.increment_processed()
        for config in trainer.lr_scheduler_configs if module.automatic_optimization else ():
            if config.interval == "step" and not (number + 1) % config.frequency:
                loop.scheduler_progress.increment_ready()
                config.scheduler.step()
                loop.scheduler_progress.increment_completed()
        if loss is not None and module.device.type == "cpu" and not math.isfinite(loss):
            call._call_callback_hooks(trainer, "on_train_batch_end", {"loss": loss}, batch, number)
        module._current_fx_name = None
        progress.increment_completed()
        loop._batches_that_stepped += 1

    def _optimize(self, trainer: L.Trainer, module: Any, arguments: tuple[Any, ...]) -> Any:
        """One step as Lightning's automatic optimisation does it; returns the loss."""
        done = trainer.fit_loop.epoch_loop.automatic_optimization.optim_progress.optimizer
        optimizer: Any = trainer.optimizers[0]
        done.step.increment_ready()
        output = trainer.strategy.training_step(*arguments)
        loss = output["loss"] if isinstance(output, dict) else output
        done.zero_grad.increment_ready()
        done.zero_grad.increment_started()
        optimizer.zero_grad()
        done.zero_grad.increment_completed()
        if loss is not None:
            loss.backward()
        module.on_before_optimizer_step(optimizer)
        module.configure_gradient_clipping(optimizer, trainer.gradient_clip_val, trainer.gradient_clip_algorithm)
        optimizer.step()
        done.step.increment_completed()
        return None if loss is None else loss.detach()


def can_skip(trainer: L.Trainer, module: L.LightningModule) -> bool:
    """Whether steps without Lightning's hooks give the same bits, and nobody waits for these."""
    precision: Any = trainer.precision_plugin
    exact = type(precision) is Precision or (type(precision) is MixedPrecision and precision.scaler is None)
    # Lightning counts the steps of two optimisers in its own way.
    counted = trainer.max_steps != -1 or any(
        getattr(c, "_every_n_train_steps", 0) for c in trainer.checkpoint_callbacks
    )
    optimized = len(trainer.optimizers) == 1 if module.automatic_optimization else not counted
    return (
        exact
        and optimized
        and type(trainer.strategy) is SingleDeviceStrategy
        and isinstance(trainer.profiler, PassThroughProfiler)
        and trainer.accumulate_grad_batches == 1
        and math.isfinite(trainer.num_training_batches)
        and trainer.check_val_every_n_epoch is not None
        and not any(config.reduce_on_plateau for config in trainer.lr_scheduler_configs)
        and not any(isinstance(callback, GradientAccumulationScheduler) for callback in trainer.callbacks)
        and all(is_plain(owner(module, hook)) for hook in (*OF_BATCHES, *OF_STEPS))
        and all(owner(callback, hook) in CONTENT for callback in trainer.callbacks for hook in OF_BATCHES)
    )


def is_plain(cls: type) -> bool:
    """Whether a module's hooks from this class are known here."""
    return cls in KNOWN or cls.__module__.startswith("lightning.")


def owner(thing: object, name: str) -> type:
    """The class that a method of an object comes from."""
    owners: Iterator[type] = (cls for cls in type(thing).__mro__ if name in vars(cls))
    return next(owners, object)
