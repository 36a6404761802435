"""Windows of time series, cut by index from one array."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from nnzoo.data.sampler import BatchIndex


class SeriesTable(NamedTuple):
    """Series one below the other as float32 numbers, and what there is to know of each.

    Attributes:
        values: In their own units, less the offset (N, D).
        starts: First row of each series (S,).
        offset: What was taken from each series' columns, as they are far from 0; 0 where they are not (S, D).
        numbers: Number of each series among those that the model knows; -1 if it does not (S,).
        naive_error: The scale of MASE for each series and target (S, C), see
            :func:`nnzoo.data.series.scale.naive_errors`.
    """

    values: Tensor
    starts: Tensor
    offset: Tensor
    numbers: Tensor
    naive_error: Tensor

    @classmethod
    def of(
        cls, values: NDArray[np.float64], starts: Sequence[int], offset: NDArray[np.float64], *known: Tensor
    ) -> "SeriesTable":
        """Takes the offset from float64 values before they are rounded."""
        lengths = np.diff([*starts, len(values)])
        moved = values - np.repeat(offset, lengths, axis=0) if offset.any() else values
        return cls(torch.from_numpy(moved).float(), torch.tensor(starts), torch.from_numpy(offset).float(), *known)


class Windows(NamedTuple):
    """Some columns of windows: what precedes them and what follows, in the series' units less the offset.

    Attributes:
        history: (B, H, inputs).
        target: (B, horizon, targets).
        place: As in :class:`WindowDataset` (B, 2).
        offset: Of the history's columns (B, inputs).
    """

    history: Tensor
    target: Tensor
    place: Tensor
    offset: Tensor


class WindowDataset(Dataset[tuple[Tensor, ...]]):
    """Windows fetched by whole batches: history (B, H, D), place (B, 2), offset (B, D), naive error (B, C) and target.

    The place is the number of the window's series among those that the model knows, -1 if it does not, and the row of
    the first target. The target is (B, horizon, C). All windows share one array of values: a window exists only while
    it is in a batch.

    Args:
        series: The series.
        origins: Row of each window's first target (windows,).
        history: Steps before the origin, H.
        horizon: Steps from the origin on.
        target_columns: Which of the D columns are the C targets.
        repeats: How often an epoch goes through the windows.
        first_place: Row of the series' first one in places.
    """

    def __init__(
        self,
        series: SeriesTable,
        origins: Tensor,
        history: int,
        horizon: int,
        target_columns: Sequence[int],
        repeats: int = 1,
        first_place: int = 0,
    ) -> None:
        self.table, self.origins, self.history, self.repeats = series, origins, history, repeats
        self.first_place = first_place
        self.target_columns = list(target_columns)
        self.targets = _columns(series.values, self.target_columns)
        self.series = torch.searchsorted(series.starts, origins, right=True) - 1
        self._before, self._after = torch.arange(-history, 0), torch.arange(horizon)

    def __len__(self) -> int:
        return len(self.origins) * self.repeats

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(tensor[0] for tensor in self.batch(torch.tensor([index])))

    def __getitems__(self, batch: BatchIndex) -> tuple[Tensor, ...]:
        return self.batch(batch.samples)

    def batch(self, samples: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The windows of the given numbers."""
        samples = samples % len(self.origins)
        origins, series = self.origins[samples], self.series[samples]
        history, target = _rows(self.table.values, origins, self._before), _rows(self.targets, origins, self._after)
        return history, self._place(samples), self.table.offset[series], self.table.naive_error[series], target

    def columns(self, samples: Tensor, inputs: Sequence[int], targets: Sequence[int]) -> Windows:
        """Only some columns of these windows."""
        origins, offset = self.origins[samples], self.table.offset[self.series[samples]]
        before, after = _columns(self.table.values, inputs), _columns(self.table.values, targets)
        histories, futures = _rows(before, origins, self._before), _rows(after, origins, self._after)
        return Windows(histories, futures, self._place(samples), offset[:, list(inputs)])

    def _place(self, samples: Tensor) -> Tensor:
        return torch.stack([self.table.numbers[self.series[samples]], self.first_place + self.origins[samples]], dim=1)


def warn_without_scale(datasets: Mapping[str, WindowDataset], season: int) -> None:
    """Warns of the parts in which no window and target has a scale of MASE."""
    parts = [part for part, data in datasets.items() if not (data.table.naive_error[data.series.unique()] > 0).any()]
    if parts:
        rank_zero_warn(
            f"MASE is left out ({' and '.join(parts)}): no series there has a training part of more than a season "
            f"({season} steps) that does not repeat exactly."
        )


def _columns(values: Tensor, columns: Sequence[int]) -> Tensor:
    return values if list(columns) == list(range(values.shape[1])) else values[:, list(columns)].contiguous()


def _rows(values: Tensor, origins: Tensor, offsets: Tensor) -> Tensor:
    rows = (origins[:, None] + offsets).flatten()
    return values.index_select(0, rows).unflatten(0, (len(origins), len(offsets)))
