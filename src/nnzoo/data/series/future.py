"""What comes after the end of each series: the windows that ``predict`` forecasts, and their names and times."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from nnzoo.data.series.dataset import WindowDataset
from nnzoo.data.series.series import Series
from nnzoo.errors import InputError


class Future:
    """The steps after the end of each series that is as long as the history.

    Args:
        series: The series.
        history: Steps the model sees.
        horizon: Steps it forecasts.

    Raises:
        InputError: If no series is as long as the history.
    """

    def __init__(self, series: Series, history: int, horizon: int) -> None:
        self.series, self.history, self.horizon = series, history, horizon
        self.numbers = [number for number, length in enumerate(series.lengths) if length >= history]
        if not self.numbers:
            raise InputError(
                f"A forecast needs the last {history} steps (--data.history), the longest series has "
                f"{max(series.lengths)}: give more of them."
            )
        few = len(series.lengths) - len(self.numbers)
        if few:
            rank_zero_warn(f"{few} of {len(series.lengths)} series are shorter than the history and not forecast.")

    def histories(self) -> Tensor:
        """The last steps of each series (S, H, D)."""
        ends = np.cumsum(self.series.lengths)[self.numbers]
        return torch.stack([torch.from_numpy(self.series.values[end - self.history : end]).float() for end in ends])

    def windows(self, target_columns: Sequence[int]) -> WindowDataset:
        """The last history of each series, with a target that is not known yet, and so without a scale of MASE."""
        histories, size = self.histories(), self.history + self.horizon
        values = torch.nn.functional.pad(histories, (0, 0, 0, self.horizon), value=torch.nan).flatten(0, 1)
        starts = torch.arange(len(histories)) * size
        unknown = torch.zeros(len(histories), len(target_columns))
        return WindowDataset(values, starts + self.history, self.history, self.horizon, target_columns, starts, unknown)

    def rows(self, time: str, group: str | None) -> pd.DataFrame:
        """The series and the time of each step that is forecast, in columns of these names."""
        tables = []
        for number in self.numbers:
            table = pd.DataFrame({time: self.series.written(self.series.following(number, self.horizon))})
            if group is not None:
                table.insert(0, group, self.series.names[number])
            tables.append(table)
        return pd.concat(tables, ignore_index=True)
