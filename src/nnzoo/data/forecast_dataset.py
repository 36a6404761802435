"""Windows of time series, cut by index from one array."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from nnzoo.data.base import BatchIndex


class WindowDataset(Dataset[tuple[Tensor, Tensor]]):
    """Windows fetched by whole batches: history (B, H, D) and target (B, horizon, C).

    All windows share one array of values: a window exists only while it is in a batch.

    Args:
        values: Series one below the other (N, D).
        origins: Row of each window's first target (windows,).
        history: Steps before the origin, H.
        horizon: Steps from the origin on.
        target_columns: Which of the D columns are the C targets.
    """

    def __init__(
        self, values: Tensor, origins: Tensor, history: int, horizon: int, target_columns: Sequence[int]
    ) -> None:
        self.values, self.origins, self.history = values, origins, history
        every = len(target_columns) == values.shape[1]
        self.targets = values if every else values[:, list(target_columns)].contiguous()
        self._before, self._after = torch.arange(-history, 0), torch.arange(horizon)

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        history, target = self.batch(torch.tensor([index]))
        return history[0], target[0]

    def __getitems__(self, batch: BatchIndex) -> tuple[Tensor, Tensor]:
        return self.batch(batch.samples)

    def batch(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """The windows of the given numbers."""
        origins = self.origins[samples]
        return _rows(self.values, origins, self._before), _rows(self.targets, origins, self._after)


def _rows(values: Tensor, origins: Tensor, offsets: Tensor) -> Tensor:
    rows = (origins[:, None] + offsets).flatten()
    return values.index_select(0, rows).unflatten(0, (len(origins), len(offsets)))


def time_bounds(times: NDArray[np.int64], lengths: Sequence[int], cuts: Sequence[int]) -> list[list[int]]:
    """First row of each part in each series, and the row after the last part: lists of len(cuts) + 1 rows.

    Args:
        times: Number of each row's time (N,), rising within a series.
        lengths: Rows of each series.
        cuts: Times at which the parts end: part k holds the times from ``cuts[k - 1]`` to below ``cuts[k]``. The same
            times for every series, so that no part of one series lies in the future of another's later part.
    """
    bounds, start = [], 0
    for length in lengths:
        inner = np.searchsorted(times[start : start + length], cuts)
        bounds.append([start, *(start + int(row) for row in inner)])
        start += length
    return bounds


def window_origins(bounds: Sequence[Sequence[int]], part: int, history: int, horizon: int) -> Tensor:
    """Rows at which a part's windows have their first target: (windows,).

    Every target lies in the part. The history may reach back into earlier parts of the same series: those values are
    known when the forecast is made. It never reaches into another series.

    Args:
        bounds: Of :func:`time_bounds`.
        part: Number of the part.
        history: Steps before the origin.
        horizon: Steps from the origin on.
    """
    pieces = []
    for rows in bounds:
        first = max(rows[part], rows[0] + history)
        pieces.append(torch.arange(first, max(first, rows[part + 1] - horizon + 1)))
    return torch.cat(pieces)
