"""Training batches that wait to be measured together."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, ...]


class Waiting(nn.Module):
    """Keeps what is measured of training batches until there are several: measuring them together costs as much as one.

    Which ones are taken together is a matter of their order and shapes alone, since the last bit of a sum may depend on
    it: a checkpoint within an epoch keeps those that wait, so that a resumed run measures the same ones together.
    """

    MOST = 16
    LARGE = 2**20
    """Bytes of a batch that is measured at once: it takes long anyway, and would take memory."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Batch] = []

    def add(self, *tensors: Tensor) -> list[Batch]:
        """Takes a batch, whose samples are in the first dimension of each tensor.

        Returns:
            What is to be measured now, batches put together: mostly nothing.
        """
        due = [] if not self.batches or are_alike(tensors, self.batches[0]) else self.take()
        self.batches.append(tensors)
        # Of a slice, all that it was cut from is held.
        large = sum(tensor.untyped_storage().nbytes() for tensor in tensors) > self.LARGE
        return due + self.take() if large or len(self.batches) == self.MOST else due

    def take(self) -> list[Batch]:
        """What still waits, put together."""
        waiting, self.batches = self.batches, []
        return [tuple(map(torch.cat, zip(*waiting, strict=True)))] if waiting else []


def are_alike(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    """Whether two batches can be put together."""
    return all(a.shape[1:] == b.shape[1:] and a.dtype == b.dtype for a, b in zip(one, other, strict=True))
