"""Every calendar against pandas' own: what comes next, with and without gaps, and its season."""

import numpy as np
import pandas as pd
import pytest

from nnzoo.data.calendars import calendar_of

MID_MONTH = pd.DateOffset(months=1, day=15)
WITH_SATURDAY, FROM_SUNDAY, EVERY_SECOND = (
    pd.offsets.CustomBusinessDay(weekmask=mask) for mask in ("1111110", "1111001", "1010100")
)
SEASONS = {
    "15min": 96, "h": 24, "2h": 12, "3h": 8, "6h": 4, "12h": 2, "5h": 1, "D": 7, "2D": 1, "B": 5, "bh": 8,
    WITH_SATURDAY: 6, FROM_SUNDAY: 5, EVERY_SECOND: 3, "W-SUN": 52, "2W-MON": 26, "4W-MON": 13,
    "MS": 12, "ME": 12, "BMS": 12, "BME": 12, "2MS": 6, "WOM-3FRI": 12, MID_MONTH: 12,
    "QS": 4, "QE": 4, "QE-NOV": 4, "BQE": 4, "2QS": 2, "YS": 1, "YE": 1, "YS-APR": 1, "BYE": 1,
}  # fmt: skip


@pytest.mark.parametrize("gaps", [(), (7, 21, 22)])
@pytest.mark.parametrize("freq", SEASONS, ids=str)
def test_times_follow_pandas_offsets(freq, gaps):
    first = {"bh": "2020-01-03 09:00", MID_MONTH: "2020-01-15"}.get(freq, "2020-01-03")
    times = pd.date_range(first, periods=70, freq=freq)
    calendar = calendar_of(pd.Series(times[:60].delete(list(gaps))))
    assert calendar.following(times[59], 10).tolist() == times[60:].tolist()
    assert calendar.season == SEASONS[freq]
    numbers = calendar.numbers(times)
    assert np.diff(numbers).tolist() == [1] * 69
    assert calendar.times(numbers).tolist() == times.tolist()


@pytest.mark.parametrize("freq", ["B", "MS", "3h", "QE"])
@pytest.mark.parametrize("length", [6, 7, 12])
def test_a_few_rows_are_enough(freq, length):
    times = pd.date_range("2024-03-28", periods=length + 5, freq=freq)
    assert calendar_of(pd.Series(times[:length])).following(times[length - 1], 5).tolist() == times[length:].tolist()


def test_days_at_the_end_of_short_months():
    times = pd.to_datetime(["2023-11-30", "2023-12-30", "2024-01-30", "2024-02-29", "2024-03-30"])
    following = calendar_of(pd.Series(times)).following(times[-1], 11)
    assert following.tolist() == [times[-1] + pd.DateOffset(months=n, day=30) for n in range(1, 12)]
    assert str(following[-1].date()) == "2025-02-28"


def test_months_by_the_rule_that_most_of_them_follow():
    """The last business day, but for some months in which it was a holiday."""
    times = pd.date_range("2020-01-01", periods=48, freq="BME")
    moved = times[:40].to_series()
    moved.iloc[[3, 11, 30]] -= pd.offsets.BDay()
    assert calendar_of(moved).following(moved.iloc[-1], 8).tolist() == times[40:].tolist()


def test_a_saturday_at_work_does_not_make_saturdays_workdays():
    times = pd.date_range("2024-01-01", periods=80, freq="B").append(pd.DatetimeIndex(["2024-02-03"])).sort_values()
    calendar = calendar_of(pd.Series(times))
    assert calendar.season == 5
    assert calendar.following(pd.Timestamp("2024-02-03"), 2).tolist() == list(pd.date_range("2024-02-05", periods=2))


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize("freq", ["D", "MS", "B"])
def test_local_midnights_stay_midnights_when_clocks_change(zone, freq):
    times = pd.date_range("2023-01-02", "2026-12-31", freq=freq, tz=zone)
    known = len(times) - (20 if freq == "MS" else 300)
    following = calendar_of(pd.Series(times[:known].tz_convert("UTC"))).following(times[known - 1], len(times) - known)
    assert len({time.utcoffset() for time in following}) == 2, "the clocks change on the way"
    assert following.tolist() == times[known:].tolist()


def test_hours_are_counted_in_utc():
    times = pd.date_range("2024-03-30", periods=100, freq="h", tz="Europe/Berlin")
    assert calendar_of(pd.Series(times[:60].tz_convert("UTC"))).following(times[59], 40).tolist() == times[60:].tolist()


@pytest.mark.parametrize("numbers", [[1, 2, 3, 5, 6], [10, 20, 30, 50], [2**60, 2**60 + 1, 2**60 + 2]])
def test_whole_numbers_stay_whole(numbers):
    calendar, step = calendar_of(pd.Series(numbers)), numbers[1] - numbers[0]
    following = calendar.following(numbers[-1], 3)
    assert following.tolist() == [numbers[-1] + step * ahead for ahead in (1, 2, 3)]
    assert following.dtype == np.int64
    assert calendar.season == 1


def test_fractions_are_free_of_dust():
    following = calendar_of(pd.Series([0.1 * number for number in range(1, 8)])).following(0.7, 3)
    assert following.tolist() == [0.8, 0.9, 1.0]


@pytest.mark.parametrize(
    "times",
    [
        ["2024-01-01", "2024-01-02", "2024-01-09", "2024-01-11"],
        ["2024-01-01", "2024-01-04", "2024-01-11", "2024-01-13", "2024-01-30", "2024-02-02"],
        ["2024-01-01"],
        [1, 2, 4, 7, 11],
        [0.5, 0.6, 1.7, 3.9],
    ],
)
def test_what_follows_no_calendar_has_none(times):
    values = pd.to_datetime(times) if isinstance(times[0], str) else times
    assert calendar_of(pd.Series(values)) is None


def test_two_days_around_new_year_are_days():
    times = pd.Series(pd.to_datetime(["2024-12-31", "2025-01-01"]))
    assert calendar_of(times).following(times.iloc[-1], 1)[0] == pd.Timestamp("2025-01-02")
