"""Series and times of windows: of those that are there, and of what comes after the end of each series."""

import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from nnzoo.data.series.dataset import SeriesTable, WindowDataset
from nnzoo.data.series.scale import offsets_of
from nnzoo.data.series.series import Series
from nnzoo.errors import InputError


class Timeline:
    """Which series, and which times, the rows of a table of series are of.

    Args:
        series: Returns the series; it is called where they are asked for.
        tested: The series of a file to test on, whose rows are counted from its end: -1 is the last.
    """

    def __init__(self, series: Callable[[], Series], tested: Series | None = None) -> None:
        self.series, self.tested = series, tested

    def window(self, start: int, end: int) -> tuple[str, Any]:
        """Name of the series of rows from ``start`` to before ``end``, and their times; None if these are not known."""
        series = self.series() if start >= 0 else typing.cast(Series, self.tested)
        start, steps = start % len(series.values), end - start
        starts = np.cumsum([0, *series.lengths[:-1]])
        number = int(np.searchsorted(starts, start, side="right")) - 1
        name = str(series.names[number]) if series.names else ""
        if not series.clocks:
            return name, None
        times = series.clocks[number].iloc[start - starts[number] :][:steps]
        zoned = pd.api.types.is_datetime64_any_dtype(times) and times.dt.tz is not None
        return name, (times.dt.tz_localize(None) if zoned else times).to_numpy()


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

    def windows(self, target_columns: Sequence[int], known: Mapping[str, int]) -> WindowDataset:
        """The last history of each series, with a target that is not known yet, and so without a scale of MASE.

        Args:
            target_columns: Which columns are the targets.
            known: Numbers of the series that the model knows, by their names.
        """
        ends = np.cumsum(self.series.lengths)[self.numbers]
        histories = np.stack([self.series.values[end - self.history : end] for end in ends])
        offset = offsets_of(histories.mean(axis=1), histories.std(axis=1))
        padded = np.pad(histories, ((0, 0), (0, self.horizon), (0, 0)), constant_values=np.nan)
        starts = np.arange(len(ends)) * padded.shape[1]
        names = [str(self.series.names[number]) if self.series.names else "" for number in self.numbers]
        numbers = torch.tensor([known.get(name, -1) for name in names])
        unknown = torch.zeros(len(ends), len(target_columns))
        table = SeriesTable.of(np.concatenate(padded), starts.tolist(), offset, numbers, unknown)
        return WindowDataset(table, table.starts + self.history, self.history, self.horizon, target_columns)

    def rows(self, time: str, group: str | None) -> pd.DataFrame:
        """The series and the time of each step that is forecast, in columns of these names."""
        tables = []
        for number in self.numbers:
            table = pd.DataFrame({time: self.series.written(self.series.following(number, self.horizon))})
            if group is not None:
                table.insert(0, group, self.series.names[number])
            tables.append(table)
        return pd.concat(tables, ignore_index=True)
