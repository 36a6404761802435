"""Several optimiser steps for each of Lightning's own, whose hooks and counts outlast a small network's step.

What Lightning does around a batch costs the same for every network: a millisecond or more, beside two of a small one.
Most batches need nothing of it, as nothing is logged, saved, validated or over after them.
"""

import math
import time
from collections.abc import Mapping
from types import MethodType
from typing import Any

import lightning
import lightning as L
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ModelCheckpoint, ProgressBar, TQDMProgressBar
from lightning.pytorch.loops.fetchers import _PrefetchDataFetcher
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.trainer import call
from lightning.pytorch.utilities.combined_loader import _MaxSizeCycle
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor

from nnzoo.modules.base import ZooModule
from nnzoo.modules.token_loss import TokenLossModule
from nnzoo.run.expected_time import ExpectedTime

MOST, SECONDS = 100, 0.5
"""Batches, and seconds, after which one goes through Lightning's loop again: bars, clocks and signals wait no more."""

OF_BATCHES = ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
              "on_before_optimizer_step", "on_train_batch_end")  # fmt: skip
OF_STEPS = ("backward", "optimizer_step", "optimizer_zero_grad", "lr_scheduler_step", "configure_gradient_clipping")
OF_TRANSFER = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
CONTENT = {Callback, ProgressBar, TQDMProgressBar, ModelCheckpoint, LearningRateMonitor, ExpectedTime}
"""Classes of callbacks whose hooks for a batch do nothing at one that Lightning's loop need not take."""
KNOWN = {ZooModule, TokenLossModule}
"""Classes of modules, beside Lightning's, whose hooks for a step are called here too."""


class ManySteps(Callback):
    """Takes most batches without what Lightning does around each, wherever that changes no bit.

    The module's ``training_step`` gets every batch as always, and hooks for a batch that a callback has of its own are
    called as always. Batches after which something is logged, saved, validated or over go through Lightning's loop, and
    so does one of a hundred or of half a second. All do on several devices, with a gradient scaler or accumulated
    gradients, a profiler, an epoch of unknown length, a validation that is due by time or every so many batches of
    several epochs, a ``dataloader_iter``, hooks for batches or steps that a module has of its own, and values that a
    module logs in ``training_step``; and so do all of a Lightning that is not known here.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Steps in where it can."""
        loop: Any = trainer.fit_loop.epoch_loop
        vars(loop).pop("advance", None)  # of an earlier fit that broke off
        if not can_skip(trainer, pl_module):
            return
        quick, slow = QuickSteps(trainer, pl_module), MethodType(type(loop).advance, loop)

        def advance(fetcher: Any) -> None:
            if quick.run(fetcher):
                slow(fetcher)

        loop.advance = advance

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Leaves Lightning's loop as it was."""
        vars(trainer.fit_loop.epoch_loop).pop("advance", None)


class QuickSteps:
    """Training batches up to the next one that Lightning's loop must take.

    Args:
        trainer: In whose place they are taken, and whose counts go on.
        module: What is trained.
    """

    def __init__(self, trainer: Any, module: L.LightningModule) -> None:
        self.trainer, self.module = trainer, module
        self.loop: Any = trainer.fit_loop.epoch_loop
        self.redrawn = [c.refresh_rate for c in trainer.callbacks if isinstance(c, TQDMProgressBar) and c.refresh_rate]
        self.saved = saving_steps(trainer)
        plain = type(trainer.precision_plugin) is Precision and trainer.strategy.model is module
        self.training_step = module.training_step if plain else trainer.strategy.training_step
        self.takes_index = is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)
        owners = [owner for owner in (module, trainer.datamodule) if owner is not None]
        changed = any(is_overridden(name, owner) for name in OF_TRANSFER for owner in owners)
        self.moves = changed or module.device.type != "cpu"
        self.hooks = {name: [getattr(callback, name) for callback in trainer.callbacks
                             if owner_of(callback, name) not in CONTENT] for name in OF_BATCHES}  # fmt: skip

    def run(self, fetcher: Any) -> bool:
        """Takes the batches; returns whether the next one is for Lightning's loop, not its end."""
        trainer, loop, end = self.trainer, self.loop, time.monotonic() + SECONDS
        if loop.restarting or type(fetcher) is not _PrefetchDataFetcher:
            return True
        stopped, self.results = False, trainer._results
        self.module._current_fx_name = "training_step"  # once: of an nn.Module, setting an attribute takes long
        for _ in range(self.free()):
            self.step(fetcher)
            if stopped := trainer.should_stop or trainer.received_sigterm:
                break  # the loop counts this batch as its own, and looks at both
            loop._batches_that_stepped += 1
            if time.monotonic() > end:
                break
        self.module._current_fx_name = None
        return not stopped

    def free(self) -> int:
        """Batches before the next one at which Lightning does something."""
        trainer, loop = self.trainer, self.loop
        done, stepped, steps = loop.batch_progress.current.ready, loop._batches_that_stepped, loop.global_step
        logged = any(name.startswith("training_step") for name in trainer._results or ())
        if done == 0 or logged or trainer.accumulate_grad_batches != 1 or loop.automatic_optimization._skip_backward:
            return 0
        due = [MOST, trainer.num_training_batches - done - 1, trainer.max_steps - steps - 1]
        if trainer.max_steps < 0:
            due.pop()
        due += [-(done + 1) % every for every in (*self.redrawn, trainer.val_check_batch) if math.isfinite(every)]
        if log_every := getattr(trainer, "log_every_n_steps", 0):
            due.append(-(stepped + 1) % log_every)
        due += [-(steps + 1) % every for every in self.saved]
        return int(min(due))

    def step(self, fetcher: Any) -> None:
        """One batch, with the counts of Lightning's loop."""
        trainer, module, loop = self.trainer, self.module, self.loop
        batch = next_batch(fetcher)
        progress = loop.batch_progress
        progress.is_last_batch = fetcher.done
        if self.moves:
            batch = module._on_before_batch_transfer(batch, dataloader_idx=0)
            batch = call._call_strategy_hook(trainer, "batch_to_device", batch, dataloader_idx=0)
        progress.increment_ready()
        self.results.batch, self.results.batch_size = batch, None  # what a value logged in the step goes by
        number = loop.batch_idx
        self.call("on_train_batch_start", batch, number)
        progress.increment_started()
        arguments = (batch, number) if self.takes_index else (batch,)
        if module.automatic_optimization:
            outputs = self.optimize(arguments)
        else:
            outputs = loop.manual_optimization.run(dict(enumerate(arguments)))
        progress.increment_processed()
        if module.automatic_optimization:
            for config in trainer.lr_scheduler_configs:
                if config.interval == "step" and not (number + 1) % config.frequency:
                    loop.scheduler_progress.increment_ready()
                    config.scheduler.step()
                    loop.scheduler_progress.increment_completed()
        self.call("on_train_batch_end", outputs, batch, number)
        progress.increment_completed()

    def optimize(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        """A step of the optimiser in Lightning's order: loss, gradients, clipping and the step, in a closure."""
        trainer, module, optimizer = self.trainer, self.module, self.trainer.optimizers[0]
        done = self.loop.automatic_optimization.optim_progress.optimizer
        outputs: dict[str, Any] = {}

        def closure() -> Tensor | None:
            nonlocal outputs
            output = self.training_step(*arguments)
            loss = output["loss"] if isinstance(output, Mapping) else output
            done.zero_grad.increment_ready()
            self.call("on_before_zero_grad", optimizer)
            done.zero_grad.increment_started()
            optimizer.zero_grad()
            done.zero_grad.increment_completed()
            if loss is not None:
                self.call("on_before_backward", loss)
                loss.backward()
                self.call("on_after_backward")
                outputs = {**(output if isinstance(output, Mapping) else {}), "loss": loss.detach()}
            self.call("on_before_optimizer_step", optimizer)
            module.on_before_optimizer_step(optimizer)
            if (most := trainer.gradient_clip_val) is not None:
                module.configure_gradient_clipping(optimizer, most, trainer.gradient_clip_algorithm)
            return outputs.get("loss")

        done.step.increment_ready()
        optimizer.step(closure)
        done.step.increment_completed()
        return outputs

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a hook of the callbacks that have one of their own."""
        if hooks := self.hooks[name]:
            before, self.module._current_fx_name = self.module._current_fx_name, name
            for hook in hooks:
                hook(self.trainer, self.module, *arguments)
            self.module._current_fx_name = before


def next_batch(fetcher: Any) -> Any:
    """The next batch of Lightning's fetcher, for one loader past what it does for several."""
    loaders = fetcher.iterator._iterator
    if type(loaders) is not _MaxSizeCycle or not fetcher.combined_loader._spec.is_leaf():
        return next(fetcher)[0]
    batch = next(loaders.iterators[0])
    loaders._idx += 1
    fetcher.fetched += 1
    fetcher.done = fetcher.fetched >= fetcher.length
    return batch


def can_skip(trainer: Any, module: L.LightningModule) -> bool:
    """Whether batches without Lightning's hooks give the same bits, and no hook of the module's own waits for them."""
    precision: Any = trainer.precision_plugin
    if not lightning.__version__.startswith("2.6."):
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


def owner_of(thing: object, name: str) -> type:
    """The class that a method of an object comes from; ``object`` where it is the object's alone."""
    if name in vars(thing):
        return object
    return next((cls for cls in type(thing).__mro__ if name in vars(cls)), object)
