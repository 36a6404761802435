"""Dates as features of a table."""

from collections.abc import Sequence

import pandas as pd


def date_columns(table: pd.DataFrame) -> list[str]:
    """Names of the columns of dates."""
    return list(table.select_dtypes(["datetime", "datetimetz"]).columns)


def with_hours(table: pd.DataFrame) -> list[str]:
    """Those columns of dates that have times of day."""
    return [column for column in date_columns(table) if table[column].dt.hour.any()]


def split_dates(table: pd.DataFrame, dates: Sequence[str], hours: Sequence[str]) -> pd.DataFrame:
    """The table with numbers and categories, which a network can use, in place of its dates.

    A date becomes its number of days since 1970, its month and its weekday as categories, and its hour.

    Args:
        table: Rows.
        dates: Names of the columns of dates.
        hours: Those that have times of day in training.
    """
    if not dates:
        return table
    parts = {}
    for column in dates:
        times = table[column]
        naive = times.dt.tz_localize(None)
        parts[f"{column} (day)"] = (naive - pd.Timestamp(1970, 1, 1)) / pd.Timedelta(days=1)
        parts[f"{column} (month)"] = times.dt.month_name()
        parts[f"{column} (weekday)"] = times.dt.day_name()
        if column in hours:
            parts[f"{column} (hour)"] = times.dt.hour + times.dt.minute / 60
    return table.drop(columns=list(dates)).assign(**parts)
