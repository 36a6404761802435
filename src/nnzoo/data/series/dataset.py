"""Windows of time series, cut by index from one array."""

from collections.abc import Mapping, Sequence

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor
from torch.utils.data import Dataset

from nnzoo.data.sampler import BatchIndex


class WindowDataset(Dataset[tuple[Tensor, ...]]):
    """Windows fetched by whole batches: history (B, H, D), naive error (B, C) and target (B, horizon, C).

    All windows share one array of values: a window exists only while it is in a batch.

    Args:
        values: Series one below the other (N, D).
        origins: Row of each window's first target (windows,).
        history: Steps before the origin, H.
        horizon: Steps from the origin on.
        target_columns: Which of the D columns are the C targets.
        starts: First row of each series (S,).
        naive_error: The scale of MASE for each series and target (S, C), see
            :func:`nnzoo.data.series.scale.naive_errors`.
    """

    def __init__(
        self,
        values: Tensor,
        origins: Tensor,
        history: int,
        horizon: int,
        target_columns: Sequence[int],
        starts: Tensor,
        naive_error: Tensor,
    ) -> None:
        self.values, self.origins, self.history = values, origins, history
        self.target_columns, self.naive_error = list(target_columns), naive_error
        self.targets = _columns(values, self.target_columns)
        self.series = torch.searchsorted(starts, origins, right=True) - 1
        self._before, self._after = torch.arange(-history, 0), torch.arange(horizon)

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return tuple(tensor[0] for tensor in self.batch(torch.tensor([index])))

    def __getitems__(self, batch: BatchIndex) -> tuple[Tensor, ...]:
        return self.batch(batch.samples)

    def batch(self, samples: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The windows of the given numbers."""
        origins = self.origins[samples]
        naive_error = self.naive_error[self.series[samples]]
        return _rows(self.values, origins, self._before), naive_error, _rows(self.targets, origins, self._after)

    def columns(self, samples: Tensor, inputs: Sequence[int], targets: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Only some columns of these windows: history (B, H, inputs) and what follows (B, horizon, targets)."""
        origins = self.origins[samples]
        before, after = _columns(self.values, inputs), _columns(self.values, targets)
        return _rows(before, origins, self._before), _rows(after, origins, self._after)


def warn_without_scale(datasets: Mapping[str, WindowDataset], season: int) -> None:
    """Warns of the parts in which no window and target has a scale of MASE."""
    parts = [part for part, data in datasets.items() if not (data.naive_error[data.series.unique()] > 0).any()]
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
