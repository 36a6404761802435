"""The times of series: their order, their calendars, and what is missing in them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from nnzoo.data.calendars import DAY, HOUR, Calendar, calendar_of, follows
from nnzoo.data.csv_file import line_of
from nnzoo.data.times import clocks_change
from nnzoo.errors import InputError

LONGEST_HOLIDAYS = 2
"""Seasons, which are weeks of business days or days of opening hours, that may be missing without a word."""

ENOUGH_TIMES = 4
"""That tell the distance between them: of fewer, most may lie before and after a holiday."""

OFFSETS = "write times with their offset, such as 2024-10-27 02:30+01:00, or in UTC"


def check_order(times: "pd.Series[Any]", path: Path, time: str, group: str | None) -> None:
    """Raises InputError if the times of a series do not rise."""
    for wrong, says in (
        (times < times.shift(), f"is out of order: sort the file by {time}"),
        (times == times.shift(), f"has the {time} of the row before it: remove one of them"),
    ):
        first = times[wrong].iloc[:1]  # a file from the newest row to the oldest has no time twice
        if times.isin(first).sum() > 1 and clocks_change(first, "back"):
            raise InputError(
                f"{path}, line {line_of(wrong)}: the {time} {first.iloc[0]} comes again, as where clocks are set back: "
                f"{OFFSETS}."
            )
        if wrong.any():
            hint = "" if group else ", or name the column that tells several series apart with --data.group"
            raise InputError(f"{path}, line {line_of(wrong)} {says}{hint}.")


def calendars_of(
    clocks: "Sequence[pd.Series[Any]]", known: Sequence[Any], path: Path, time: str
) -> list[Calendar | None]:
    """The calendar of each series, which is that of known times if it fits; those of the same times are found once."""
    dates = pd.api.types.is_datetime64_any_dtype(clocks[0])
    texts = bool(known) and isinstance(known[0], str)
    times = pd.Index(pd.to_datetime(known, format="ISO8601") if texts else known)
    usual = calendar_of(times) if known else None
    keys = [(clock.astype("int64") if dates else clock).to_numpy().tobytes() for clock in clocks]
    found: dict[bytes, Calendar | None] = {}
    for key, clock in zip(keys, clocks, strict=True):
        if key not in found:
            fits = usual is not None and dates == texts and follows(usual, clock)
            found[key] = usual if fits else calendar_of(clock)
            if usual is not None and not fits and len(clock) >= ENOUGH_TIMES:
                _warn_if_unlike(clock, found[key], times, usual, path, time)
    return [found[key] for key in keys]


def _warn_if_unlike(
    clock: "pd.Series[Any]", calendar: Calendar | None, known: "pd.Index[Any]", usual: Calendar, path: Path, time: str
) -> None:
    """Warns of times at another distance than known ones, or of another season."""
    theirs, ours = pd.Series(known).diff().median(), clock.diff().median()
    unlike = ""
    if not 0.8 <= ours / theirs <= 1.25:  # months differ in length
        steps = (str(step).removesuffix(" 00:00:00").removeprefix("0 days ") for step in (ours, theirs))
        unlike = "rows {} apart, the training file {}".format(*steps)
    elif calendar is not None and calendar.season != usual.season:
        unlike = f"a season of {calendar.season} steps, the training file {usual.season}"
    if unlike:
        rank_zero_warn(
            f"{path} has {unlike}, by {time}: the model takes every step for one as in training, so bring the rows to "
            "the same times, or its forecasts mean nothing."
        )


def season_of(calendars: Sequence[Calendar | None], lengths: Sequence[int]) -> int:
    """The season of most rows."""
    rows: dict[int, int] = {}
    for calendar, length in zip(calendars, lengths, strict=True):
        season = calendar.season if calendar else 1
        rows[season] = rows.get(season, 0) + length
    return max(rows, key=rows.__getitem__)


def warn_of_gaps(
    clocks: "Sequence[pd.Series[Any]]", calendars: Sequence[Calendar | None], path: Path, time: str
) -> None:
    """Warns of the first series that has no calendar, or lacks steps of it."""
    for clock, calendar in zip(clocks, calendars, strict=True):
        if len(clock) < 3:
            continue
        if calendar is None:
            steps = clock.diff().iloc[1:]
            usual = steps.mode().iloc[0]
            unusual = steps != usual
            # Steps of a day or part of one, measured by a clock on the wall.
            dates = pd.api.types.is_datetime64_any_dtype(clock)
            of_clocks = dates and unusual.mean() < 0.05 and (steps[unusual] - usual).abs().eq(HOUR).all()
            remedy = "bring the rows to even steps, such as the mean of each day or month"
            rank_zero_warn(
                f"{path} is not evenly spaced in {time}: {int(unusual.sum())} steps differ from the usual {usual}, the "
                f"first before line {line_of(unusual)}. The model takes every step for the same: "
                f"{f'if clocks change there, {OFFSETS}' if of_clocks else remedy}."
            )
            return
        steps = pd.Series(np.diff(calendar.numbers(pd.Index(clock))), clock.index[1:])
        gaps = steps > 1
        # Holidays are no gaps, but a month without a business day is one.
        if gaps.any() and not (calendar.usual_gaps and steps.max() <= LONGEST_HOLIDAYS * calendar.season):
            left_out = pd.Series(calendar.times(calendar.numbers(pd.Index(clock.iloc[1:][gaps].iloc[:1])) - 1))
            remedy = "fill the gaps, say with the values before them"
            if clocks_change(left_out, "forward") and clock.diff().median() < DAY:  # no day is left out as a whole
                remedy = f"if clocks are set forward there, {OFFSETS}"
            rank_zero_warn(
                f"{path} has gaps in {time}: {int((steps - 1).clip(lower=0).sum())} steps are missing, the first "
                f"before line {line_of(gaps)}. The model takes every step for the same: {remedy}."
            )
            return
