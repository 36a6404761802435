"""Dates as features of a table."""

import pandas as pd

from nnzoo.data.times import is_day_first, read_times


class DateParts:
    """Replaces a table's columns of dates by numbers and categories that a network can use.

    A column of dates becomes its number of days since 1970, its month and its weekday as categories, and its hour where
    the training rows have times of day.

    Args:
        train: Training rows; which columns hold dates, and in which order, is found out from these.
        kept: Columns to leave as they are.
    """

    def __init__(self, train: pd.DataFrame, kept: list[str]) -> None:
        texts = train.select_dtypes(exclude=["number", "bool"]).columns.difference(kept, sort=False)
        self._day_first = {column: is_day_first(train[column].dropna(), "the table") for column in texts
                           if _holds_dates(train[column].dropna())}  # fmt: skip
        self._with_hours = [column for column in self.columns if self._read(train, column).dt.hour.any()]

    @property
    def columns(self) -> list[str]:
        """Names of the columns of dates."""
        return list(self._day_first)

    def _read(self, table: pd.DataFrame, column: str) -> "pd.Series[pd.Timestamp]":
        written = table[column].dropna()
        if written.empty:
            return pd.Series(pd.NaT, table.index)
        return read_times(written, "the table", self._day_first[column]).reindex(table.index)

    def __call__(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table with other columns in place of its dates.

        Raises:
            InputError: If a column that held dates in training holds other texts.
        """
        parts = {}
        for column in self.columns:
            dates = self._read(table, column)
            naive = dates.dt.tz_localize(None)
            parts[f"{column} (day)"] = (naive - pd.Timestamp(1970, 1, 1)) / pd.Timedelta(days=1)
            parts[f"{column} (month)"] = dates.dt.month_name()
            parts[f"{column} (weekday)"] = dates.dt.day_name()
            if column in self._with_hours:
                parts[f"{column} (hour)"] = dates.dt.hour + dates.dt.minute / 60
        return table.drop(columns=self.columns).assign(**parts)


def _holds_dates(column: "pd.Series[str]") -> bool:
    """Whether all texts are dates; the format of the first is looked at first, which spares most columns the rest."""
    if column.empty or not isinstance(column.iloc[0], str) or not any(
        pd.tseries.api.guess_datetime_format(column.iloc[0], dayfirst=day_first) for day_first in (False, True)
    ):  # fmt: skip
        return False
    readings = [pd.to_datetime(column, errors="coerce", utc=True, dayfirst=day_first) for day_first in (False, True)]
    return any(reading.notna().all() for reading in readings)
