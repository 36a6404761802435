"""One training batch with the counts of Lightning's loop, and without its hooks that do nothing."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback, LearningRateMonitor, ModelCheckpoint, ProgressBar, TQDMProgressBar
from lightning.pytorch.loops.optimization.automatic import Closure, ClosureResult
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.trainer import call
from lightning.pytorch.utilities.combined_loader import _MaxSizeCycle
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor

from nnzoo.run.expected_time import ExpectedTime

OF_BATCHES = ("on_train_batch_start", "on_before_zero_grad", "on_before_backward", "on_after_backward",
              "on_before_optimizer_step", "on_train_batch_end")  # fmt: skip
OF_TRANSFER = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
CONTENT = {Callback, ProgressBar, TQDMProgressBar, ModelCheckpoint, LearningRateMonitor, ExpectedTime}
"""Classes of callbacks whose hooks for a batch do nothing at one that Lightning's loop need not take."""


class QuickStep:
    """Takes one batch.

    Args:
        trainer: Whose counts go on.
        module: What is trained.
    """

    def __init__(self, trainer: Any, module: L.LightningModule) -> None:
        self.trainer, self.module = trainer, module
        self.loop: Any = trainer.fit_loop.epoch_loop
        plain = type(trainer.precision_plugin) is Precision and trainer.strategy.model is module
        self.training_step = module.training_step if plain else trainer.strategy.training_step
        self.takes_index = is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)
        owners = [owner for owner in (module, trainer.datamodule) if owner is not None]
        changed = any(is_overridden(name, owner) for name in OF_TRANSFER for owner in owners)
        self.moves = changed or module.device.type != "cpu"
        self.hooks = {name: [hook for callback in trainer.callbacks if owner_of(callback, name) not in CONTENT
                             and callable(hook := getattr(callback, name))] for name in OF_BATCHES}  # fmt: skip

    def __call__(self, fetcher: Any) -> None:
        """The next batch that is fetched."""
        trainer, module, loop = self.trainer, self.module, self.loop
        batch = next_batch(fetcher)
        progress = loop.batch_progress
        progress.is_last_batch = fetcher.done
        if self.moves or not is_plain(batch):
            batch = module._on_before_batch_transfer(batch, dataloader_idx=0)
            batch = call._call_strategy_hook(trainer, "batch_to_device", batch, dataloader_idx=0)
        progress.increment_ready()
        results, number, outputs = trainer._results, loop.batch_idx, None
        results.batch, results.batch_size = batch, None  # what a value logged in the step goes by
        if batch is not None:
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
        """A step of the optimiser, by Lightning's closure of loss, gradients and what follows them."""
        trainer, module, optimizer = self.trainer, self.module, self.trainer.optimizers[0]
        done = self.loop.automatic_optimization.optim_progress.optimizer

        def compute() -> ClosureResult:
            output: Any = self.training_step(*arguments)
            # Of a tensor there is nothing to check, and to divide it by one batch takes time.
            is_loss = type(output) is Tensor
            return ClosureResult(output) if is_loss else ClosureResult.from_training_step_output(output)

        def clear() -> None:
            done.zero_grad.increment_ready()
            self.call("on_before_zero_grad", optimizer)
            done.zero_grad.increment_started()
            optimizer.zero_grad()
            done.zero_grad.increment_completed()

        def backward(loss: Tensor) -> None:
            self.call("on_before_backward", loss)
            loss.backward()
            self.call("on_after_backward")

        gradients = Closure(compute, backward, clear)

        def closure() -> Tensor | None:
            loss = gradients()
            self.call("on_before_optimizer_step", optimizer)
            module.on_before_optimizer_step(optimizer)
            if (most := trainer.gradient_clip_val) is not None:
                module.configure_gradient_clipping(optimizer, most, trainer.gradient_clip_algorithm)
            return loss

        done.step.increment_ready()
        optimizer.step(closure=closure)
        done.step.increment_completed()
        result = gradients.consume_result()
        return {} if result.loss is None else result.asdict()

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a hook of the callbacks that have one of their own."""
        if hooks := self.hooks[name]:
            before, self.module._current_fx_name = self.module._current_fx_name, name
            for hook in hooks:
                hook(self.trainer, self.module, *arguments)
            self.module._current_fx_name = before


def is_plain(batch: Any) -> bool:
    """Whether Lightning would hand on a batch as it is: others it makes anew, so that a step may change them."""
    return type(batch) is Tensor or (type(batch) is tuple and all(type(one) is Tensor for one in batch))


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


def owner_of(thing: object, name: str) -> type:
    """The class that a method of an object comes from; ``object`` where it is the object's alone."""
    if name in vars(thing):
        return object
    return next((cls for cls in type(thing).__mro__ if name in vars(cls)), object)
