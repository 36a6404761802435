"""Sequences in memory, padded batch by batch."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from nnzoo.data.sampler import BatchIndex
from nnzoo.tokens import IGNORED


class SequenceDataset(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Sequences fetched by whole batches: values (B, T, D), lengths (B,) and targets (B,), (B, T) or (B, T, K).

    T is the longest length of the batch; steps after a sequence's end are 0, with the target ``IGNORED``.

    Args:
        values: All steps of all sequences, one sequence after the other (S, D).
        lengths: Steps of each sequence (N,), S in all.
        targets: One per sequence (N,), or with ``per_step`` one per step: (S,) or (S, K).
        per_step: Whether each step has its target.
        scale: Factor on the values, for those kept as bytes.
    """

    def __init__(
        self, values: Tensor, lengths: Tensor, targets: Tensor, per_step: bool = False, scale: float = 1.0
    ) -> None:
        self.values, self.lengths, self.targets = values, lengths, targets
        self.per_step, self.scale = per_step, scale
        self.starts = lengths.cumsum(0) - lengths

    @classmethod
    def equally_long(cls, sequences: Tensor, targets: Tensor, scale: float = 1.0) -> "SequenceDataset":
        """Sequences (N, T, D) with targets (N,) or (N * T,)."""
        lengths = torch.full((len(sequences),), sequences.shape[1])
        return cls(sequences.flatten(0, 1), lengths, targets, len(targets) != len(lengths), scale)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        values, lengths, targets = self.__getitems__(BatchIndex(torch.tensor([index]), index, slice(None), 1))
        return values[0], lengths[0], targets[0]

    def __getitems__(self, batch: BatchIndex) -> tuple[Tensor, Tensor, Tensor]:
        lengths = self.lengths[batch.samples]
        steps = torch.arange(int(lengths.max()))
        padding = steps >= lengths[:, None]
        rows = (self.starts[batch.samples, None] + steps).masked_fill_(padding, 0)
        values = self._gathered(self.values, rows, padding, 0).float()
        if self.scale != 1:
            values *= self.scale
        if self.per_step:
            return values, lengths, self._gathered(self.targets, rows, padding, IGNORED)
        return values, lengths, self.targets[batch.samples]

    @staticmethod
    def _gathered(steps: Tensor, rows: Tensor, padding: Tensor, fill: int) -> Tensor:
        gathered = steps.index_select(0, rows.flatten()).view(*rows.shape, *steps.shape[1:])
        return gathered.masked_fill_(padding.view(*padding.shape, *[1] * (steps.dim() - 1)), fill)
