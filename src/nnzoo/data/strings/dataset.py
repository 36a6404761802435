"""Pairs of strings in memory, padded batch by batch."""

from torch import Tensor
from torch.utils.data import Dataset

from nnzoo.data.sampler import BatchIndex
from nnzoo.data.strings.pairs import Pair
from nnzoo.tokens import PAD, Characters


class StringPairs(Dataset[tuple[Tensor, ...]]):
    """Pairs as tokens, fetched by whole batches.

    Args:
        pairs: The strings.
        characters: Their encoding.
    """

    def __init__(self, pairs: list[Pair], characters: Characters) -> None:
        self.pairs = pairs
        self.source, self.lengths = characters.sources([pair.source for pair in pairs])
        self.target = characters.targets([pair.target for pair in pairs])
        self._target_lengths = (self.target != PAD).sum(dim=1)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitems__(self, batch: BatchIndex) -> tuple[Tensor, ...]:
        rows = batch.samples
        lengths, longest = self.lengths[rows], int(self._target_lengths[rows].max())
        source, target = (tensor.index_select(0, rows) for tensor in (self.source, self.target))
        return source[:, : int(lengths.max())], lengths, target[:, :longest]
