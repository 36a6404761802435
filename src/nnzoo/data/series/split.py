"""Series cut by time into parts, the windows in these, and the sizes of windows that fit."""

from collections.abc import Sequence
from statistics import median_low
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.series.series import Series
from nnzoo.data.splits import PARTS
from nnzoo.errors import InputError

TITLES = ("training", "validation", "test")
"""The parts in words."""

LONGEST_SEASON = 1440
"""A day of minutes: a longer season makes windows that no default should have."""


class SeriesSplit:
    """Series cut by time into training, validation and test part, and the windows in these.

    Args:
        series: The series.
        cuts: Times at which the parts end, see :func:`time_bounds`; two of them leave no test part.
        season: Steps after which the series repeats.
        history: Steps before a window's first target; by default of :func:`default_sizes`, like the horizon.
        horizon: Steps from the first target on.

    Attributes:
        bounds: First row of each part in each series, and the row after the last.
        history: As given or by default.
        horizon: As given or by default.
        season: As given, or 1 where the history is shorter.

    Raises:
        InputError: If a part has no window.
    """

    def __init__(
        self, series: Series, cuts: Sequence[int], season: int, history: int | None, horizon: int | None
    ) -> None:
        self.series, self.cuts, self.season = series, list(cuts), season
        self.bounds = time_bounds(series.times, series.lengths, cuts)
        self.history, self.horizon = default_sizes(self.bounds, season, history, horizon)
        check_sizes_fit(self.bounds, self.history, self.horizon)
        if season > self.history:
            rank_zero_warn(
                f"The season of {season} steps is longer than the history, so the seasonal-naive forecast repeats the "
                f"last value instead: set --data.history {season} or more, or a shorter --data.season."
            )
            self.season = 1

    @property
    def settings(self) -> dict[str, Any]:
        """What makes the same split of the same series again, as plain values."""
        return {name: getattr(self, name) for name in ("cuts", "season", "history", "horizon")}

    @property
    def parts(self) -> Sequence[str]:
        """Names of the parts."""
        return PARTS[: len(self.bounds[0]) - 1]

    @property
    def training_rows(self) -> list[NDArray[np.float64]]:
        """The training part of each series, (T, D)."""
        return [self.series.values[rows[0] : rows[1]] for rows in self.bounds]

    def origins(self, part: str) -> Tensor:
        """Rows at which the windows of train, val or test have their first target."""
        return window_origins(self.bounds, PARTS.index(part), self.history, self.horizon)

    def warn_of_series_left_out(self) -> None:
        """Warns of series that are too short, or not there to be validated on or tested."""
        lengths, names = self.series.lengths, self.series.names
        short = {number for number, length in enumerate(lengths) if length < self.history + self.horizon}
        if short:
            rank_zero_warn(
                f"{len(short)} of {len(lengths)} series are too short for a window of {self.history} + {self.horizon} "
                f"steps and not used: {_first(names, sorted(short))}."
            )
        for part, used in enumerate(("validated on", "tested")[: len(self.parts) - 1], start=1):
            sizes = part, self.history, self.horizon
            missing = [n for n, rows in enumerate(self.bounds) if n not in short and not _origins(rows, *sizes)]
            if missing:
                rank_zero_warn(
                    f"{len(missing)} of {len(lengths)} series end before the {TITLES[part]} part, or leave no window "
                    f"in it, and are not {used}: {_first(names, missing)}."
                )


def _first(names: Sequence[object], numbers: Sequence[int], most: int = 5) -> str:
    """The first few of these series, and how many more there are."""
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return ", ".join(str(names[number]) for number in numbers[:most]) + more


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
    return torch.cat([torch.tensor(_origins(rows, part, history, horizon), dtype=torch.long) for rows in bounds])


def _origins(rows: Sequence[int], part: int, history: int, horizon: int) -> range:
    return range(max(rows[part], rows[0] + history), rows[part + 1] - horizon + 1)


def largest_horizon(bounds: Sequence[Sequence[int]]) -> int:
    """The longest horizon that has a window in every part, with a history of one step; 0 if none has."""
    parts = range(len(bounds[0]) - 1)
    return max(0, min(max(rows[k + 1] - max(rows[k], rows[0] + 1) for rows in bounds) for k in parts))


def largest_history(bounds: Sequence[Sequence[int]], horizon: int) -> int:
    """The longest history that has a window in every part with this horizon; 0 if none has."""
    longest = [
        max((rows[k + 1] - horizon - rows[0] for rows in bounds if rows[k + 1] - rows[k] >= horizon), default=0)
        for k in range(len(bounds[0]) - 1)
    ]
    return max(0, min(longest))


def default_sizes(
    bounds: Sequence[Sequence[int]], season: int, history: int | None = None, horizon: int | None = None
) -> tuple[int, int]:
    """History and horizon that suit the data, where they are not given.

    Wished for are a horizon of one season and a history of seven, or 12 and 84 steps without a season. A window keeps
    to two thirds of a part, so that there are some of them: of validation and test part for the horizon, of the
    training part for both. What does not fit is reduced, in whole seasons as long as one fits.

    Args:
        bounds: Of :func:`time_bounds`; the parts of a series of median length count.
        season: Steps after which the series repeats; 1 if it does not.
        history: As given.
        horizon: As given.
    """
    season = season if season <= LONGEST_SEASON else 1
    train, *held_out = (2 * _median_length(bounds, part) // 3 for part in range(len(bounds[0]) - 1))
    if horizon is None:
        wished = season if season > 1 else 12
        horizon = max(1, min(wished, *held_out, largest_horizon(bounds)))
        while history is not None and horizon > 1 and largest_history(bounds, horizon) < history:
            horizon -= 1
    if history is None:
        wished = 7 * (season if season > 1 else 12)
        fitting = min(wished, max(train - horizon, season), largest_history(bounds, horizon))
        history = max(1, fitting - fitting % season if fitting >= season else fitting)
    return history, horizon


def _median_length(bounds: Sequence[Sequence[int]], part: int) -> int:
    lengths = [rows[part + 1] - rows[part] for rows in bounds]
    return median_low([length for length in lengths if length] or [0])


def check_sizes_fit(bounds: Sequence[Sequence[int]], history: int, horizon: int) -> None:
    """Raises InputError, with the largest sizes that fit, if a part has no window of these."""
    if largest_history(bounds, horizon) >= history:
        return
    steps = [max(rows[part + 1] - rows[part] for rows in bounds) for part in range(len(bounds[0]) - 1)]
    *first, last = (f"{count} ({name})" for count, name in zip(steps, TITLES, strict=False))
    held_out = " and ".join(f"the {name} part ({count})" for count, name in zip(steps[1:], TITLES[1:], strict=False))
    longest = " of the longest series" if len(bounds) > 1 else ""
    most = min(horizon, largest_horizon(bounds))
    if not most:
        raise InputError(
            f"The series is too short: its parts{longest} have {', '.join(first)} and {last} steps: give more rows, or "
            "change --data.val_fraction and --data.test_fraction."
        )
    shorter = f"set --data.horizon to {most} or less and" if most < horizon else "set"
    raise InputError(
        f"No window of {history} + {horizon} steps fits: history and horizon together must fit into the training part "
        f"({steps[0]} steps{longest}), the horizon also into {held_out}, as their history may reach back: {shorter} "
        f"--data.history to {largest_history(bounds, most)} or less, or leave out both."
    )
