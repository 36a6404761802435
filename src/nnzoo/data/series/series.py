"""Time series, and how they are read from the columns of a CSV file."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from numpy.typing import NDArray

from nnzoo.data.csv_file import check_columns, read_csv
from nnzoo.data.times import frequency, read_times
from nnzoo.errors import InputError


class Series(NamedTuple):
    """One series, or several one below the other, each in order of time.

    Attributes:
        values: Finite numbers (N, D).
        columns: Names of the D columns.
        lengths: Rows of each series; their sum is N.
        times: Number of each row's time among all distinct times, from 0: (N,).
        step: The usual time between two rows, where times are dates.
        clocks: The times of each series as the file has them, where it has any.
        names: Name of each series, where there are several.
    """

    values: NDArray[np.float64]
    columns: list[str]
    lengths: list[int]
    times: NDArray[np.int64]
    step: pd.Timedelta | None
    clocks: "Sequence[pd.Series[Any]]" = ()
    names: Sequence[Any] = ()

    def only(self, columns: Sequence[str]) -> "Series":
        """The same series with these columns alone."""
        numbers = [self.columns.index(column) for column in columns]
        return self._replace(values=self.values[:, numbers], columns=list(columns))

    def following(self, number: int, steps: int) -> Sequence[Any]:
        """The times that come after the end of a series: dates of the same calendar, or numbers; else 1, 2, ..."""
        if not self.clocks:
            return range(1, steps + 1)
        clock = self.clocks[number]
        last = clock.iloc[-1]
        if self.step is None:
            differences = clock.diff().mode()
            return [last + (differences.iloc[0] if len(differences) else 1) * step for step in range(1, steps + 1)]
        return pd.date_range(last, periods=steps + 1, freq=frequency(clock) or self.step)[1:].to_list()


def season_of(step: pd.Timedelta | None) -> int:
    """Steps of a usual season: a day of steps up to an hour, a week of days, a year of longer steps; else 1."""
    if step is None or step <= pd.Timedelta(0):
        return 1
    days = step / pd.Timedelta(days=1)
    if days <= 1 / 24:
        return round(1 / days)
    for low, high, season in ((1, 1, 7), (7, 7, 52), (28, 31, 12), (89, 92, 4)):
        if low <= days <= high:
            return season
    return 1


def read_series(
    path: Path,
    time: str | None,
    group: str | None,
    columns: list[str] | None,
    drop: Sequence[str] = (),
    option: str = "csv",
) -> Series:
    """Reads the columns of a CSV file, several series one below the other in the order of their first rows.

    Args:
        path: The file; its first line names the columns.
        time: Column of dates or numbers, rising within each series; without it, rows count as evenly spaced.
        group: Column that tells several series apart.
        columns: Columns to read; all but ``time``, ``group`` and ``drop`` if None.
        drop: Columns to leave out.
        option: The flag ``--data.OPTION`` that names the file, for errors.

    Raises:
        InputError: If the file cannot be read, a column is missing or not numeric, a value is missing, or times are out
            of order or appear twice.
    """
    table = read_csv(path, option)
    for name, columns_of in (("time", [time]), ("group", [group]), ("target", columns or []), ("drop", drop)):
        check_columns(table, [column for column in columns_of if column is not None], f"--data.{name}", path)
    columns = columns or [name for name in table.columns if name not in {time, group, *drop}]
    if (time is not None and time == group) or {time, group} & set(columns):
        raise InputError("--data.time, --data.group and --data.target must be different columns.")
    if not columns:
        raise InputError(f"{path} has no column to forecast beside those of --data.time and --data.group.")
    values = np.stack([_numbers(table[name], path) for name in columns], axis=1)
    clock = pd.Series(np.arange(len(table))) if time is None else read_times(table[time], path)
    if group is not None and table[group].isna().any():
        raise InputError(f"{path}, line {_line(table[group].isna())}: {group} is empty: fill it in or remove the row.")
    series = {None: np.arange(len(table))} if group is None else table.groupby(group, sort=False).indices
    names, rows = ([] if group is None else list(series)), list(series.values())
    clocks = [clock.iloc[chosen] for chosen in rows]
    if time is not None:
        for one in clocks:
            _check_order(one, path, time, group)
        _warn_of_gaps(clocks, path, time)
    # Without a column of times, rows count from 0 in each series.
    numbers = np.concatenate([np.arange(len(one)) if time is None else one.to_numpy() for one in clocks])
    times = pd.factorize(numbers, sort=True)[0].astype(np.int64)
    lengths = [len(one) for one in clocks]
    return Series(
        values[np.concatenate(rows)], columns, lengths, times, _usual_step(clocks), clocks if time else (), names
    )


def _numbers(column: "pd.Series[Any]", path: Path) -> NDArray[np.float64]:
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    strange = numbers.isna() & column.notna()
    if strange.any():
        raise InputError(
            f"{path}, line {_line(strange)}: {column.name} is {column[strange].iloc[0]!r}, not a number: repair the "
            "value, leave the column out with --data.drop, or give it as --data.group if it tells several series apart."
        )
    infinite = ~numbers.abs().lt(np.inf)
    if infinite.any():
        raise InputError(
            f"{path}, line {_line(infinite)}: {column.name} is empty, NaN or infinite: fill it in, say with the value "
            "before it."
        )
    return numbers.to_numpy()


def _check_order(times: "pd.Series[Any]", path: Path, time: str, group: str | None) -> None:
    for wrong, says in (
        (times < times.shift(), f"is out of order: sort the file by {time}"),
        (times == times.shift(), f"has the {time} of the row before it: remove one of them"),
    ):
        if wrong.any():
            hint = "" if group else ", or name the column that tells several series apart with --data.group"
            raise InputError(f"{path}, line {_line(wrong)} {says}{hint}.")


def _usual_step(clocks: "list[pd.Series[Any]]") -> pd.Timedelta | None:
    if not pd.api.types.is_datetime64_any_dtype(clocks[0]):
        return None
    steps = pd.concat([clock.diff().iloc[1:] for clock in clocks])
    return steps.mode().iloc[0] if len(steps) else None


def _warn_of_gaps(clocks: "list[pd.Series[Any]]", path: Path, time: str) -> None:
    for clock in clocks:
        steps = clock.diff().iloc[1:]
        if steps.nunique() <= 1:
            continue
        if pd.api.types.is_datetime64_any_dtype(clock) and frequency(clock):
            continue
        usual = steps.mode().iloc[0]
        unusual = steps != usual
        rank_zero_warn(
            f"{path} is not evenly spaced in {time}: {int(unusual.sum())} steps differ from the usual {usual}, the "
            f"first before line {_line(unusual)}. The model takes every step for the same: fill the gaps."
        )
        return


def _line(flags: "pd.Series[bool]") -> int:
    """Line of the file of the first row that is True: row 0 stands in line 2, below the header."""
    return int(flags.index[flags][0]) + 2
