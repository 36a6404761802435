"""Dates and times as files write them."""

import re
import warnings
from typing import Any, Literal

import numpy as np
import pandas as pd

from nnzoo.errors import InputError

Column = Any  # a pandas Series, whose type parameter differs between versions
ORDERED = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2\d{2,4}")
"""A date whose first two numbers may be day and month or month and day."""
OF_MONTHS = ("%b %Y", "%B %Y", "%b-%Y", "%b-%y", "%m/%Y", "%m-%Y", "%m.%Y")
"""Ways to write months; pandas takes Jan-24 for a day of the year 1."""
MONTHS_WITH_DOTS = r"(0[1-9]|1[0-2])\.(19|20)\d\d"
ZONES = (
    "Europe/London", "Europe/Berlin", "Europe/Athens", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "Australia/Sydney", "Pacific/Auckland", "America/Santiago",
)  # fmt: skip
"""Time zones whose clocks change: days that are of 24 hours in none of their own time may be days there."""
QUARTER = re.compile(r"\d{4}(-?)Q[1-4]")


def read_times(column: Column, path: object, day_first: bool | None = None) -> Column:
    """A column's numbers, or its dates; whole numbers such as 20240131 and 202401 are dates.

    Times with offsets become UTC.

    Args:
        column: Numbers, or texts of numbers or dates.
        path: File it comes from, for errors.
        day_first: Whether 01/02/2024 is in February; found out by :func:`is_day_first` if None.

    Raises:
        InputError: If a time cannot be read, or may be read in two ways.
    """
    column = numbers_of(column)
    if pd.api.types.is_numeric_dtype(column):
        compact = _compact_format(column)
        dates = _parsed(column.astype(str), format=compact) if compact else None
        if dates is None and column.isna().any():
            raise _unreadable(column, column, path)
        return column if dates is None or dates.isna().any() else dates
    periods = _periods(column)
    if periods is not None:
        return periods
    if not column.astype(str).map(lambda text: ORDERED.match(text) is not None).all():
        day_first = False  # the year comes first, or months have names: nothing to order
    elif day_first is None:
        day_first = is_day_first(column, path)
    times = _parsed(column, utc=True, dayfirst=day_first)
    if times.isna().any():
        raise _unreadable(column, times, path)
    return times if pd.Timestamp(column.iloc[0]).tz is not None else times.dt.tz_localize(None)


def numbers_of(column: Column) -> Column:
    """The column as numbers, whole ones exact, if it holds nothing else."""
    if pd.api.types.is_numeric_dtype(column) or column.astype(str).str.fullmatch(MONTHS_WITH_DOTS).all():
        return column
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):
        return column


def dates_among(texts: Column) -> "pd.Series[bool]":
    """Which texts are dates, with the day or with the month first, whichever makes more.

    One of the first ones has to look like a date: that spares most columns the rest.
    """
    if not any(_guessed_format(text, day_first) for text in texts.iloc[:3] for day_first in (False, True)):
        return pd.Series(False, texts.index)
    readings = [_parsed(texts, utc=True, dayfirst=day_first).notna() for day_first in (False, True)]
    return max(readings, key=lambda reading: reading.sum())


def is_day_first(column: Column, path: object) -> bool | None:
    """Whether a column of dates writes the day before the month, told by values above 12 or by an even spacing.

    None where nothing tells, as the year comes first, or day and month are the same throughout.

    Raises:
        InputError: If both are possible.
    """
    written = [ORDERED.match(text) for text in column.dropna().astype(str)]
    if not all(written):
        return None
    first, second = (max(int(match[group]) for match in written if match) for group in (1, 3))
    if max(first, second) > 12:
        return first > 12
    readings = [_parsed(column, utc=True, dayfirst=day_first) for day_first in (False, True)]
    if (readings[0] == readings[1]).all():
        return None
    regular = [frequency(reading.drop_duplicates().sort_values()) is not None for reading in readings]
    if regular[0] == regular[1]:
        raise InputError(
            f"{path}: the dates of {column.name}, such as {column.iloc[0]}, may have the day or the month first: write "
            "them as 2024-01-31."
        )
    return regular[1]


def frequency(times: Column) -> str | None:
    """Pandas' name of the calendar that dates follow without a gap; None if they do not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas 3 announces that it will return an object instead of a name
        return pd.infer_freq(pd.DatetimeIndex(times)) if len(times) > 2 else None


def clocks_change(times: Column, to: Literal["back", "forward"]) -> bool:
    """Whether some of these times without a time zone come twice where clocks are set back, or never: forward."""
    if not pd.api.types.is_datetime64_any_dtype(times) or pd.DatetimeIndex(times).tz is not None:
        return False
    local = pd.DatetimeIndex(times)
    first = np.zeros(len(local), dtype=bool)
    how: Any = {"back": {"ambiguous": "NaT", "nonexistent": "shift_forward"},
                "forward": {"ambiguous": first, "nonexistent": "NaT"}}[to]  # fmt: skip
    return any(local.tz_localize(zone, **how).hasnans for zone in ZONES)


def time_format(column: Column, times: Column) -> str | None:
    """How a column writes its times, for ``strftime``; None if it does so in no format that repeats all of them.

    Args:
        column: As written.
        times: As read from it.
    """
    column = numbers_of(column)
    if pd.api.types.is_numeric_dtype(column):
        return _compact_format(column)
    first, written = str(column.iloc[0]), column.astype(str)
    quarter = QUARTER.fullmatch(first)
    if quarter:
        return f"%Y{quarter[1]}Q%q"  # of pandas' periods
    for day_first in (False, True):
        found = _guessed_format(first, day_first)
        if found and "%z" not in found and (times.dt.strftime(found) == written).all():
            return found
    return next((months for months in OF_MONTHS if (times.dt.strftime(months) == written).all()), None)


def _guessed_format(text: str, day_first: bool) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas advises the other order of day and month, which is tried too
        return pd.tseries.api.guess_datetime_format(text, dayfirst=day_first)


def _compact_format(column: Column) -> str | None:
    """Of whole numbers that may be dates."""
    if pd.api.types.is_integer_dtype(column):
        for first, last, written in ((19000101, 21001231, "%Y%m%d"), (190001, 210012, "%Y%m")):
            if column.between(first, last).all():
                return written
    return None


def _periods(column: Column) -> Column | None:
    """First days of quarters and months that are written as such; None if the column does not hold them."""
    texts = column.astype(str)
    if texts.str.fullmatch(QUARTER.pattern).all():
        return pd.Series(pd.PeriodIndex(texts.str.replace("-", ""), freq="Q").to_timestamp(), column.index)
    for written in OF_MONTHS:
        if not pd.isna(pd.to_datetime(texts.iloc[0], format=written, errors="coerce")):
            months = pd.to_datetime(texts, format=written, errors="coerce")
            return None if months.isna().any() else months
    return None


def _parsed(column: Column, **settings: Any) -> Column:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of texts in no common format, which are refused below
        return pd.to_datetime(column, errors="coerce", **settings)


def _unreadable(column: Column, times: Column, path: object) -> InputError:
    line = int(times.index[times.isna()][0]) + 2  # row 0 stands in line 2, below the header
    return InputError(
        f"{path}, line {line}: the time {column[times.isna()].iloc[0]!r} cannot be read: write all times the same way, "
        "such as 2024-01-31 or 2024-01-31 13:00."
    )
