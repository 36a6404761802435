"""Peers that train any network from inputs to outputs: skorch and fastai, each given the batches ready made."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.loops import Setting
from benchmarks.measuring import Stopwatch

Loss = Callable[[Tensor, Tensor], Tensor]


def supervised_peers(loss: Loss) -> Mapping[str, Callable[[Setting, int], float]]:
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


def skorch(loss: Loss, setting: Setting, seed: int) -> float:
    """The NeuralNet of skorch with its default callbacks, the fused optimiser, and no validation."""
    from skorch import NeuralNet
    from skorch.callbacks import GradientNormClipping, LRScheduler

    watch = Stopwatch(len(setting.batches))

    class Timed(NeuralNet):
        def run_single_epoch(self, iterator: Any, training: bool, *args: Any, **kwargs: Any) -> None:
            if not training:
                return
            watch.start()
            super().run_single_epoch(iterator, training, *args, **kwargs)
            watch.stop()

    class Batches:
        def __init__(self, dataset: Any, **settings: Any) -> None: ...

        def __iter__(self) -> Iterator[Any]:
            return ((list(inputs), target) for inputs, target in setting.batches)

    rate = LRScheduler(policy=torch.optim.lr_scheduler.LambdaLR, lr_lambda=setting.factor, step_every="batch")
    callbacks = [rate] if setting.has_schedule else []
    if setting.clip:
        callbacks.append(GradientNormClipping(setting.clip))
    net = Timed(
        OfList(setting.fresh(seed).net), criterion=Criterion(loss), optimizer=torch.optim.AdamW, optimizer__fused=True,
        optimizer__weight_decay=setting.hparams["weight_decay"], lr=setting.hparams["lr"], train_split=None,
        max_epochs=setting.epochs, iterator_train=Batches, callbacks=callbacks, verbose=0,
    )  # fmt: skip
    rows = torch.zeros(2, 1)  # the iterator has the batches
    net.fit(rows, rows)
    return watch.seconds


def fastai(loss: Loss, setting: Setting, seed: int) -> float:
    """The Learner of fastai without a bar; a validation of one batch comes after each epoch and is not counted."""
    from fastai.basics import Callback, DataLoader, DataLoaders, Learner, OptimWrapper
    from fastai.callback.schedule import ParamScheduler
    from fastai.callback.training import GradientClip

    watch = Stopwatch(len(setting.batches))

    class Timer(Callback):
        def before_train(self) -> None:
            watch.start()

        def after_train(self) -> None:
            watch.stop()

    batches = [(*inputs, target) for inputs, target in setting.batches]
    loaders = (DataLoader(part, bs=None, num_workers=0) for part in (batches, batches[:1]))
    callbacks: list[Any] = [Timer()]
    if setting.has_schedule:
        rate = setting.hparams["lr"]
        callbacks.append(ParamScheduler({"lr": lambda share: rate * setting.factor(int(share * setting.total))}))
    if setting.clip:
        callbacks.append(GradientClip(setting.clip))
    learner = Learner(
        DataLoaders(*loaders), setting.fresh(seed).net, loss_func=loss,
        opt_func=partial(OptimWrapper, opt=torch.optim.AdamW, fused=True),
    )  # fmt: skip
    learner.dls.n_inp = len(batches[0]) - 1
    with learner.no_bar(), learner.no_logging():
        learner.fit(setting.epochs, setting.hparams["lr"], wd=setting.hparams["weight_decay"], cbs=callbacks)
    return watch.seconds
