"""Windows of a file to test on, which brings series of its own or the continuation of those that are trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from nnzoo.data.series.dataset import SeriesTable, WindowDataset
from nnzoo.data.series.scale import offsets_of
from nnzoo.data.series.series import Series
from nnzoo.data.series.split import window_origins
from nnzoo.errors import InputError


def tested_windows(
    series: Series,
    path: str,
    history: int,
    horizon: int,
    target_columns: Sequence[int],
    known: Mapping[str, int],
    naive_error: Tensor,
) -> WindowDataset:
    """All windows that lie in the series from their first history to their last target.

    Args:
        series: Those of the file.
        path: The file, for errors.
        history: Steps the model sees.
        horizon: Steps it forecasts.
        target_columns: Which columns are the targets.
        known: Numbers of the series that the model knows, by their names; others have no scale of MASE.
        naive_error: The scale of MASE of those it knows (S, C).

    Raises:
        InputError: If no series is long enough for a window.
    """
    steps = history + horizon
    if max(series.lengths) < steps:
        raise InputError(
            f"{path} has no window to test: one takes {steps} steps (--data.history {history} and --data.horizon "
            f"{horizon}), the longest series has {max(series.lengths)}: give more rows, such as those before its first."
        )
    short = sum(length < steps for length in series.lengths)
    if short:
        rank_zero_warn(f"{path}: {short} of {len(series.lengths)} series are too short for a window and not tested.")
    ends = np.cumsum(series.lengths)
    bounds = [[int(end) - length, int(end)] for end, length in zip(ends, series.lengths, strict=True)]
    names = [str(name) for name in series.names] if series.names else [""]
    numbers = torch.tensor([known.get(name, -1) for name in names])
    new = [name for name in names if name not in known]
    if new:
        rank_zero_warn(
            f"{path}: {len(new)} of {len(names)} series are not in training, such as {new[0]!r}: each of their windows "
            "is scaled by its own history, and has no MASE."
        )
    rows = [series.values[start:end] for start, end in bounds]
    offset = np.stack([offsets_of(values.mean(axis=0), values.std(axis=0)) for values in rows])
    scale = torch.cat([naive_error, torch.zeros(1, len(target_columns))])[numbers]  # the last is that of -1
    table = SeriesTable.of(series.values, [start for start, _ in bounds], offset, numbers, scale)
    origins = window_origins(bounds, 0, history, horizon)
    return WindowDataset(table, origins, history, horizon, target_columns, first_place=-len(series.values))


def warn_of_overlap(tested: Series, ends: Mapping[str, Any], history: int, path: str) -> None:
    """Warns of the first series of a file to test on whose targets begin before the end of what is trained on.

    Args:
        tested: The series of the file.
        ends: The last time of each series of the training file, by its name; only those of the same names count.
        history: Steps before the first target.
        path: The file to test on.
    """
    for name, clock in zip(map(str, tested.names or [""]), tested.clocks, strict=bool(tested.clocks)):
        if name not in ends or len(clock) <= history:
            continue
        first, last = clock.iloc[history], pd.Timestamp(ends[name]) if isinstance(ends[name], str) else ends[name]
        if (getattr(first, "tz", None) is None) == (getattr(last, "tz", None) is None) and first <= last:
            which = f"series {name!r}" if tested.names else "file"
            rank_zero_warn(
                f"{path} tests from {first} on, but the training {which} goes on until {last}: leave out what is "
                "trained on, or, if it is another series, name it in a column for --data.group."
            )
            return
