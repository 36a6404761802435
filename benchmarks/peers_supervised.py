"""Peers that train any network from inputs to outputs: skorch and fastai, each given the batches ready made."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.loops import Passes, Setting
from benchmarks.measuring import Stopwatch

Loss = Callable[[Tensor, Tensor], Tensor]


def supervised_peers(loss: Loss) -> Mapping[str, Callable[[Setting], float]]:
    """Both, with the loss of outputs and target."""
    return {"skorch": partial(skorch, loss), "fastai": partial(fastai, loss)}


class Criterion(nn.Module):
    """A loss as a module."""

    def __init__(self, loss: Loss) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, outputs: Tensor, target: Tensor) -> Tensor:  # noqa: D102
        return self.loss(outputs, target)


class OfList(nn.Module):
    """A network that takes its inputs as a list."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, inputs: list[Tensor]) -> Tensor:  # noqa: D102
        return self.net(*inputs)


def skorch(loss: Loss, setting: Setting) -> float:
    """The NeuralNet of skorch with its default callbacks, the fused optimiser, and no validation."""
    from skorch import NeuralNet
    from skorch.callbacks import GradientNormClipping, LRScheduler

    watch = Stopwatch(setting.steps)

    class Timed(NeuralNet):
        def run_single_epoch(self, iterator: Any, training: bool, *args: Any, **kwargs: Any) -> None:
            if not training:
                return
            watch.start()
            super().run_single_epoch(iterator, training, *args, **kwargs)
            watch.stop()

    batches = Passes(setting, lambda batch: (list(batch[0]), batch[1]))
    rate = LRScheduler(policy=torch.optim.lr_scheduler.LambdaLR, lr_lambda=setting.factor, step_every="batch")
    callbacks = [rate] if setting.has_schedule else []
    if setting.clip:
        callbacks.append(GradientNormClipping(setting.clip))
    net = Timed(
        OfList(setting.fresh().net), criterion=Criterion(loss), optimizer=torch.optim.AdamW, optimizer__fused=True,
        optimizer__weight_decay=setting.hparams["weight_decay"], lr=setting.hparams["lr"], train_split=None,
        max_epochs=len(setting.epochs), iterator_train=lambda *args, **kwargs: batches, callbacks=callbacks, verbose=0,
    )  # fmt: skip
    rows = torch.zeros(2, 1)  # the iterator has the batches
    net.fit(rows, rows)
    return watch.seconds


def fastai(loss: Loss, setting: Setting) -> float:
    """The Learner of fastai without a bar; a validation of one batch comes after each epoch and is not counted."""
    from fastai.basics import Callback, DataLoader, DataLoaders, Learner, OptimWrapper
    from fastai.callback.schedule import ParamScheduler
    from fastai.callback.training import GradientClip

    watch = Stopwatch(setting.steps)

    class Timer(Callback):
        def before_train(self) -> None:
            watch.start()

        def after_train(self) -> None:
            watch.stop()

    class Ready(DataLoader):
        def __init__(self, batches: Iterable[Any]) -> None:
            super().__init__([], bs=None, num_workers=0)
            self.batches, self.n = batches, setting.steps

        def __iter__(self) -> Iterator[Any]:
            return iter(self.batches)

    passes = Passes(setting, lambda batch: (*batch[0], batch[1]))
    few = [(*inputs, target) for inputs, target in setting.epochs[0][:1]]
    callbacks: list[Any] = [Timer()]
    if setting.has_schedule:
        rate = setting.hparams["lr"]
        callbacks.append(ParamScheduler({"lr": lambda share: rate * setting.factor(int(share * setting.total))}))
    if setting.clip:
        callbacks.append(GradientClip(setting.clip))
    learner = Learner(
        DataLoaders(Ready(passes), Ready(few)), setting.fresh().net, loss_func=loss,
        opt_func=partial(OptimWrapper, opt=torch.optim.AdamW, fused=True),
    )  # fmt: skip
    learner.dls.n_inp = len(few[0]) - 1
    with learner.no_bar(), learner.no_logging():
        learner.fit(len(setting.epochs), setting.hparams["lr"], wd=setting.hparams["weight_decay"], cbs=callbacks)
    return watch.seconds
