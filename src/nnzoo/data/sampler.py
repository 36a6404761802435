"""Global batches: which samples each step sees, whatever the number of devices.

Batches are global: ``batch_size`` counts the samples of one optimiser step over all devices. Which samples a step sees
is a pure function of (seed, epoch, step), and a device takes the rows ``rank::world_size``. So one device and N devices
see the same global batches, and a resumed run continues with the step it stopped at.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Sampler

from nnzoo.seeds import mix_seed


class BatchIndex(NamedTuple):
    """One device's share of a global batch: what a dataset's ``__getitems__`` receives.

    Attributes:
        samples: Indices of this device's samples.
        numbers: What the seed is made of; or the seed itself.
        rows: Position of each sample in the global batch: random draws are made for the whole global batch and indexed
            by these, so that they do not depend on the number of devices.
        size: Number of samples in the global batch.
    """

    samples: Tensor
    numbers: int | tuple[int, ...]
    rows: slice
    size: int

    @property
    def seed(self) -> int:
        """Seed of the global batch, for augmentation and binarisation; it takes time to make, and few data use it."""
        return self.numbers if isinstance(self.numbers, int) else mix_seed(*self.numbers)


class GlobalBatchSampler(Sampler[BatchIndex]):
    """Yields this device's rows of each global batch; a pure function of (seed, epoch, step, rank, world size).

    Args:
        num_samples: Size of the dataset.
        batch_size: Samples per global batch.
        seed: Seed of the order.
        rank: This device's number.
        world_size: Number of devices.
        position: Returns (epoch, first step) when iteration starts; the step is above 0 only after a resume in the
            middle of an epoch.
        train: Shuffle and leave out the last, incomplete batch. Otherwise keep the order and split all samples into
            batches of (almost) equal size, so that every device gets the same number of batches, none empty.
        weights: Sampling weights per sample: draws with replacement (training only).
    """

    def __init__(
        self,
        num_samples: int,
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        position: Callable[[], tuple[int, int]] = lambda: (0, 0),
        train: bool = True,
        weights: Tensor | None = None,
    ) -> None:
        self.num_samples, self.batch_size, self.seed = num_samples, batch_size, seed
        self.rank, self.world_size, self.position = rank, world_size, position
        self.train, self.weights = train, weights

    def __len__(self) -> int:
        if self.train:
            return self.num_samples // self.batch_size
        return max(1, min(math.ceil(self.num_samples / self.batch_size), self.num_samples // self.world_size))

    def order(self, epoch: int) -> Tensor:
        """The order in which the given epoch visits the samples."""
        if not self.train:
            return torch.arange(self.num_samples)
        generator = torch.Generator().manual_seed(mix_seed(self.seed, epoch))
        if self.weights is not None:
            return torch.multinomial(self.weights, self.num_samples, replacement=True, generator=generator)
        return torch.randperm(self.num_samples, generator=generator)

    def __iter__(self) -> Iterator[BatchIndex]:
        epoch, first_step = self.position()
        order = self.order(epoch)
        batches = order.split(self.batch_size)[: len(self)] if self.train else order.tensor_split(len(self))
        rows = slice(self.rank, None, self.world_size)
        for step, batch in enumerate(batches[first_step:], start=first_step):
            yield BatchIndex(batch if self.world_size == 1 else batch[rows], (self.seed, epoch, step), rows, len(batch))
