"""Time series, and how they are read from the columns of a CSV file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnzoo.data.calendars import Calendar
from nnzoo.data.columns import Format, formats_of, without_counter, written_otherwise
from nnzoo.data.csv_file import check_columns, line_of
from nnzoo.data.numbers import MISSING
from nnzoo.data.plain_csv import read_table
from nnzoo.data.series.clocks import calendars_of, check_order, season_of, warn_of_gaps
from nnzoo.data.times import is_day_first, numbers_of, read_times, time_format
from nnzoo.errors import InputError

MOST_TIMES = 1000
"""That are kept to tell a calendar."""

LARGEST = 1e30
"""Of values, which are float32 in histories and targets."""


class Series(NamedTuple):
    """One series, or several one below the other, each in order of time.

    Attributes:
        values: Finite numbers (N, D).
        columns: Names of the D columns.
        lengths: Rows of each series; their sum is N.
        times: Number of each row's time among all distinct times, from 0: (N,).
        season: Steps after which the series usually repeat; 1 if that is not known.
        clocks: The times of each series, where the file has any.
        names: Name of each series, where there are several.
        time_format: How the file writes times, for ``strftime``; None if they are numbers, or written in no one way.
        calendars: The calendar of each series, where there is one.
        day_first: Whether the file writes the day of a date before the month; None where that does not arise.
        formats: How the file writes its columns, by their names.
    """

    values: NDArray[np.float64]
    columns: list[str]
    lengths: list[int]
    times: NDArray[np.int64]
    season: int = 1
    clocks: "Sequence[pd.Series[Any]]" = ()
    names: Sequence[Any] = ()
    time_format: str | None = None
    calendars: Sequence[Calendar | None] = ()
    day_first: bool | None = None
    formats: Mapping[str, Format] = MappingProxyType({})

    def only(self, columns: Sequence[str]) -> "Series":
        """The same series with these columns alone."""
        numbers = [self.columns.index(column) for column in columns]
        return self._replace(values=self.values[:, numbers], columns=list(columns))

    def following(self, number: int, steps: int) -> Sequence[Any]:
        """The times that come after the end of a series: dates of the same calendar, or numbers; else 1, 2, ..."""
        if not self.clocks:
            return range(1, steps + 1)
        clock, calendar = self.clocks[number], self.calendars[number]
        last = clock.iloc[-1]
        if calendar is not None:
            return list(calendar.following(last, steps))
        differences = clock.diff().mode()
        dates = pd.api.types.is_datetime64_any_dtype(clock)
        usual = differences.iloc[0] if len(differences) else pd.Timedelta(days=1) if dates else 1
        return [last + usual * step for step in range(1, steps + 1)]

    def times_as_written(self) -> dict[str, Any]:
        """How the file writes columns and times, those of one series, which tell its calendar, and where each ends."""
        formats = {name: known.plain() for name, known in self.formats.items()}
        if not self.clocks:
            return {"times": [], "day_first": None, "formats": formats}
        clock = max(self.clocks, key=len).iloc[-MOST_TIMES:]
        dates = pd.api.types.is_datetime64_any_dtype(clock)
        last = [one.iloc[-1] for one in self.clocks]
        times, ends = ([t.isoformat() if dates else t.item() for t in plain] for plain in (clock.array, last))
        named = dict(zip(map(str, self.names or [""]), ends, strict=True))
        return {"times": times, "ends": named, "day_first": self.day_first, "formats": formats}

    def written(self, times: Sequence[Any]) -> Sequence[Any]:
        """Times as the file writes them."""
        if self.time_format is None:
            return times
        dates = pd.DatetimeIndex(list(times))
        texts = (dates.to_period("Q") if "%q" in self.time_format else dates).strftime(self.time_format)
        return texts.astype(int) if self.time_format in ("%Y%m%d", "%Y%m") else texts


def read_series(
    path: Path,
    time: str | None,
    group: str | None,
    columns: list[str] | None,
    drop: Sequence[str] = (),
    option: str = "csv",
    times: Mapping[str, Any] | None = None,
) -> Series:
    """Reads the columns of a CSV file, several series one below the other in the order of their first rows.

    Args:
        path: The file; its first line names the columns.
        time: Column of dates or numbers, rising within each series; without it, rows count as evenly spaced.
        group: Column that tells several series apart.
        columns: Columns to read; all but ``time``, ``group`` and ``drop`` if None.
        drop: Columns to leave out.
        option: The flag ``--data.OPTION`` that names the file, for errors.
        times: Of :meth:`Series.times_as_written` of the training file, whose order of day and month and whose calendar
            count for this one too.

    Raises:
        InputError: If the file cannot be read, a column is missing or not numeric, a value is missing, or times are out
            of order or appear twice.
    """
    usual = times or {"times": [], "day_first": None, "formats": {}}
    given = {name: Format.from_plain(known) for name, known in usual["formats"].items()}
    table = read_table(path, option, {*filter(None, (time, group)), *written_otherwise(given)})
    read = "the same columns as in training" if times else "--data.target"
    for needed, for_what in (
        ([time], "--data.time"),
        ([group], "--data.group"),
        (columns, read),
        (drop, "--data.drop"),
    ):
        check_columns(table, [column for column in needed or [] if column is not None], for_what, path)
    table = without_counter(table, path, [time, group, *(columns or []), *drop])
    columns = columns or [name for name in table.columns if name not in {time, group, *drop}]
    if (time is not None and time == group) or {time, group} & set(columns):
        raise InputError("--data.time, --data.group and --data.target must be different columns.")
    if not columns:
        raise InputError(f"{path} has no column to forecast beside those of --data.time and --data.group.")
    if time is not None:
        table[time] = numbers_of(table[time])
    formats = given or formats_of(table[columns], path)
    values = np.stack([_numbers(formats[name], table[name], path) for name in columns], axis=1)
    day_first = usual["day_first"]
    if time is not None and day_first is None and not pd.api.types.is_numeric_dtype(table[time]):
        day_first = is_day_first(table[time], path)
    clock = pd.Series(np.arange(len(table))) if time is None else read_times(table[time], path, day_first)
    if usual["times"] and isinstance(usual["times"][0], str) != pd.api.types.is_datetime64_any_dtype(clock):
        raise InputError(
            f"{path}: {time} is {table[time].iloc[0]}, where the training file has {usual['times'][0]}: write times "
            "as the training file does."
        )
    series = {None: np.arange(len(table))} if group is None else _groups(table[group], path)
    names, rows = ([] if group is None else list(series)), list(series.values())
    clocks = [clock.iloc[chosen] for chosen in rows]
    if time is not None:
        for one in clocks:
            check_order(one, path, time, group)
    # Without a column of times, rows count from 0 in each series.
    numbers = np.concatenate([np.arange(len(one)) if time is None else one.to_numpy() for one in clocks])
    ranks = pd.factorize(numbers, sort=True)[0].astype(np.int64)
    lengths = [len(one) for one in clocks]
    joined = values[np.concatenate(rows)]
    if time is None:
        return Series(joined, columns, lengths, ranks, names=names, formats=formats)
    calendars = calendars_of(clocks, usual["times"], path, time)
    warn_of_gaps(clocks, calendars, path, time)
    written = time_format(table[time], clock) if pd.api.types.is_datetime64_any_dtype(clock) else None
    season = season_of(calendars, lengths)
    return Series(joined, columns, lengths, ranks, season, clocks, names, written, calendars, day_first, formats)


def _groups(names: "pd.Series[str]", path: Path) -> dict[Any, Any]:
    """The rows of each series by its name, as it is written: 007 is not 7."""
    empty = names == ""
    if empty.any():
        raise InputError(f"{path}, line {line_of(empty)}: {names.name} is empty: fill it in or remove the row.")
    return names.groupby(names, sort=False).indices


def _numbers(known: Format, column: "pd.Series[str]", path: Path) -> NDArray[np.float64]:
    if known.kind == "truth":
        numbers = known.read(column, path).map({"False": 0.0, "True": 1.0})
    elif known.kind == "number":
        numbers = known.read(column, path)
    else:
        numbers = pd.to_numeric(column, errors="coerce").astype(float)
    strange = numbers.isna() & ~column.isin(MISSING) & column.notna()
    if strange.any():
        raise InputError(
            f"{path}, line {line_of(strange)}: {column.name} is {column[strange].iloc[0]!r}, not a number: repair the "
            "value, leave the column out with --data.drop, or give it as --data.time if it holds the times, or as "
            "--data.group if it tells several series apart."
        )
    infinite = ~numbers.abs().lt(np.inf)
    if infinite.any():
        raise InputError(
            f"{path}, line {line_of(infinite)}: {column.name} is empty, NaN or infinite: fill it in, say with the "
            "value before it."
        )
    large = numbers.abs() > LARGEST
    if large.any():
        raise InputError(
            f"{path}, line {line_of(large)}: {column.name} is {column[large].iloc[0]}, too large for float32: rescale "
            "the column."
        )
    return numbers.to_numpy()
