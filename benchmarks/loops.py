"""Loops as one writes them by hand: the same network, optimiser and schedule, batches in memory, no metrics."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from benchmarks.fits import Clock
from benchmarks.measuring import Stopwatch
from nnzoo.modules.optimizers import by_decay, by_share, schedule_factor

Step = Callable[[Any], None]
"""What a training step does with a batch."""


@dataclass
class Setting:
    """What all contenders of a family share.

    Attributes:
        module: As the recipe builds it; a contender takes the networks of a :meth:`fresh` one.
        epochs: The batches of each epoch of a round, ready for the network, as the recipe has them; the first warms up.
        clip: The largest norm of the gradients, if they are clipped.
        batch_size: Samples of a batch.
    """

    module: Any
    epochs: list[list[Any]]
    clip: float | None
    batch_size: int

    @property
    def hparams(self) -> Any:
        """The module's."""
        return self.module.hparams

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return len(self.epochs[0])

    @property
    def total(self) -> int:
        """Steps of a round."""
        return len(self.epochs) * self.steps

    def fresh(self) -> Any:
        """A module of the same hyperparameters, untrained."""
        torch.manual_seed(0)
        return type(self.module)(**self.hparams).train()

    def factor(self, step: int) -> float:
        """The schedule's on the learning rate."""
        return schedule_factor(step, self.total, self.hparams["lr_schedule"], self.hparams["lr_warmup"])

    @property
    def has_schedule(self) -> bool:
        """Whether the rate changes."""
        return self.hparams["lr_schedule"] != "constant" or self.hparams["lr_warmup"] > 0


class Passes:
    """Batches in memory for loops that are not ours: each pass over them is the next epoch, round and round.

    Args:
        setting: That has them.
        form: Makes of a batch what the loop takes.
    """

    def __init__(self, setting: Setting, form: Callable[[Any], Any]) -> None:
        self.epochs = cycle([[form(batch) for batch in batches] for batches in setting.epochs])
        self.steps, self.dataset = setting.steps, range(setting.steps * setting.batch_size)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        return iter(next(self.epochs))


def setting_of(clock: Clock, steps: int, epochs: int, prepare: Callable[[Any, Any], Any]) -> Setting:
    """The setting of a fit, with its batches as ``prepare(module, batch)`` makes them for the network."""
    data, dataset, module = clock.data, clock.data.parts["train"], clock.module.train()
    order = {"batch_size": data.batch_size, "seed": data.seed, "train": True}
    found = []
    for epoch in range(epochs):
        sampler = data.build_sampler("train", len(dataset), position=lambda epoch=epoch: (epoch, 0), **order)
        found.append([prepare(module, dataset.__getitems__(index)) for index in islice(sampler, steps)])
    return Setting(module, found, clock.clip, data.batch_size)


def gradient_step(
    loss: Callable[[Any], Tensor],
    parameters: Sequence[nn.Parameter],
    setting: Setting,
    shares: Mapping[nn.Parameter, float] | None = None,
) -> Step:
    """A step of AdamW, fused, on a batch's loss; ``shares`` are of the learning rate, where that differs."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [group for share, some in by_share(trained, shares) for group in by_decay(some, setting.hparams, share)]
    optimizer = torch.optim.AdamW(groups, fused=True)
    rate = LambdaLR(optimizer, setting.factor) if setting.has_schedule else None

    def step(batch: Any) -> None:
        value = loss(batch)
        optimizer.zero_grad()
        value.backward()
        if setting.clip:
            nn.utils.clip_grad_norm_(trained, setting.clip)
        optimizer.step()
        if rate is not None:
            rate.step()

    return step


def loop_time(step: Step, setting: Setting) -> float:
    """Seconds of a step in a loop over the batches, epoch after epoch."""
    watch = Stopwatch(setting.steps)
    for batches in setting.epochs:
        watch.start()
        for batch in batches:
            step(batch)
        watch.stop()
    return watch.seconds
