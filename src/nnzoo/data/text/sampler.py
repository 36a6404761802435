"""Batches of texts of similar length, in random order."""

from typing import Any

import torch
from torch import Tensor

from nnzoo.data.sampler import GlobalBatchSampler
from nnzoo.seeds import mix_seed

SORTED_BATCHES = 50
"""Batches whose samples are sorted by length together: enough that little is padding, few enough that a batch is of
other samples in each epoch."""


class LengthGroupedSampler(GlobalBatchSampler):
    """Global batches of samples of similar length; as random as those of its base but for that.

    The samples are shuffled and cut into chunks of ``SORTED_BATCHES`` batches; each chunk is sorted by length, those of
    the same length in random order, and cut into batches; then the batches of all chunks are shuffled. Each sample
    comes once in an epoch, but for those that do not fill a batch, which are others each time and not the longest.

    Args:
        lengths: Tokens of each sample (N,).
        batch_size: Samples per global batch.
        settings: What :class:`nnzoo.data.sampler.GlobalBatchSampler` takes.
    """

    def __init__(self, lengths: Tensor, batch_size: int, **settings: Any) -> None:
        super().__init__(len(lengths), batch_size, **settings)
        self.lengths = lengths

    def order(self, epoch: int) -> Tensor:
        """The order in which the given epoch visits the samples."""
        shuffled = super().order(epoch)
        if not self.train:
            return shuffled
        shuffled = shuffled[: len(self) * self.batch_size]
        chunks = shuffled.split(SORTED_BATCHES * self.batch_size)
        by_length = torch.cat([chunk[self.lengths[chunk].argsort(stable=True)] for chunk in chunks])
        generator = torch.Generator().manual_seed(mix_seed(self.seed, epoch, -1))
        return by_length.view(len(self), -1)[torch.randperm(len(self), generator=generator)].flatten()
