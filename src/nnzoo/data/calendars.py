"""Calendars that times follow: which time comes next, which are missing, and after how many steps a season repeats.

Times may leave out steps, such as holidays: a calendar is what most of them follow.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnzoo.data.times import ZONES

Column = Any  # a pandas Series, whose type parameter differs between versions
Integers = NDArray[np.int64]
HOUR, DAY, WEEK = (pd.Timedelta(length) for length in ("1h", "1D", "7D"))
SEEN = 4
"""Weeks, or days, that tell which parts of them are left out on purpose; of weekends one is enough."""


class Calendar(ABC):
    """Steps of time, numbered.

    Attributes:
        season: Steps after which a series usually repeats; 1 if there is no such thing.
        usual_gaps: Whether steps may well be missing, as holidays are among business days.
    """

    season = 1
    usual_gaps = False

    @abstractmethod
    def numbers(self, times: Any) -> Integers:
        """Number of the step in which each time lies."""

    @abstractmethod
    def times(self, numbers: Integers) -> Any:
        """The times of these steps."""

    def following(self, last: Any, steps: int) -> Any:
        """The times that come after a last one."""
        return self.times(self.numbers(pd.Index([last]))[0] + 1 + np.arange(steps))

    def is_usual(self, times: Any) -> bool:
        """Whether at least half of the times are one step after the one before."""
        return bool((np.diff(self.numbers(times)) == 1).mean() >= 0.5)

    def share_of(self, times: Any) -> float:
        """Share of the times that are this calendar's."""
        return float((self.times(self.numbers(times)) == times).mean())


class Counter(Calendar):
    """Numbers that rise by the same step; whole ones stay whole.

    Args:
        numbers: The rising numbers.
    """

    def __init__(self, numbers: pd.Index) -> None:
        steps = pd.Series(np.diff(numbers.to_numpy()))
        whole = pd.api.types.is_integer_dtype(numbers)
        self.first, self.step = numbers[0], (steps.mode().iloc[0] if whole else steps.median())

    def numbers(self, times: Any) -> Integers:
        """Number of each number's step."""
        return np.rint((pd.Index(times).to_numpy() - self.first) / self.step).astype(np.int64)

    def times(self, numbers: Integers) -> Any:
        """The numbers of these steps, without the dust of binary fractions."""
        if isinstance(self.step, np.integer):
            return self.first + numbers * self.step
        return np.array([float(f"{self.first + number * self.step:.12g}") for number in numbers])

    def share_of(self, times: Any) -> float:
        """Share of the numbers that are this counter's, up to rounding."""
        return float(np.isclose(self.times(self.numbers(times)), times, rtol=1e-9, atol=1e-6 * abs(self.step)).mean())


class Grid(Calendar):
    """Times at the same distance, less those of the week that are left out: nights, weekends, other weekdays.

    Args:
        times: Rising times without a time zone.
        step: The distance.
    """

    def __init__(self, times: pd.DatetimeIndex, step: pd.Timedelta) -> None:
        self.step = step.as_unit(times.unit)
        monday = times[0].normalize() - times[0].day_of_week * DAY
        self.origin = monday + (times[0] - monday) % step
        self.per_week = WEEK // step if step >= pd.Timedelta(minutes=1) and not WEEK % step else 1
        self.slots = self._slots(np.asarray((times - self.origin) // step, dtype=np.int64))
        self.usual_gaps = len(self.slots) < self.per_week
        self.season = self._season()

    def numbers(self, times: Any) -> Integers:
        """Number of each time's step; of a time that is left out, that of the step before it."""
        steps = np.asarray((times - self.origin) // self.step, dtype=np.int64)
        weeks, slots = np.divmod(steps, self.per_week)
        return weeks * len(self.slots) + np.searchsorted(self.slots, slots, side="right") - 1

    def times(self, numbers: Integers) -> Any:
        """The times of these steps."""
        weeks, slots = np.divmod(numbers, len(self.slots))
        steps = (weeks * self.per_week + self.slots[slots]) * self.step.to_timedelta64()
        return pd.DatetimeIndex(self.origin.to_datetime64() + steps)

    def _slots(self, steps: Integers) -> Integers:
        """The steps of the week that are not usually left out."""
        every = np.arange(self.per_week)
        if self.per_week == 1 or self.step > DAY:
            return every
        per_day = max(1, self.per_week // 7)
        kept = _kept(steps, self.per_week)
        if self.step < DAY and not DAY % self.step:
            kept &= np.tile(_kept(steps, per_day), 7)
        weekend = every >= 5 * per_day
        present, possible = _counts(steps, self.per_week)
        if not present[weekend].any() and possible[weekend].all():
            kept &= ~weekend
        return every[kept] if kept.any() else every

    def _season(self) -> int:
        """A day of shorter steps, a week of days, a year of weeks."""
        if self.step < DAY:
            if self.usual_gaps:
                return round(len(self.slots) / len(np.unique(self.slots // (self.per_week // 7))))
            return round(DAY / self.step) if self.step <= HOUR or not DAY % self.step else 1
        if self.step == DAY:
            return len(self.slots)
        weeks = self.step // WEEK
        return 52 // weeks if not self.step % WEEK and not 52 % weeks else 1


class Months(Calendar):
    """Every month, or every so many, by the rule that most days follow: the 15th, the last business day ...

    Args:
        times: Rising times without a time zone.
        every: Months of a step.
    """

    def __init__(self, times: pd.DatetimeIndex, every: int) -> None:
        self.every, self.phase = every, int(_months(times)[0] % every)
        self.season = 12 // every if 12 % every == 0 else 1
        days = times.normalize()
        self.time = pd.Series(times - days).mode().iloc[0]
        shares = {rule: (self._days(_months(times), rule) == days).mean() for rule in _rules(times)}
        self.rule = max(shares, key=shares.__getitem__)

    def numbers(self, times: Any) -> Integers:
        """Number of each time's step."""
        return (_months(times) - self.phase) // self.every

    def times(self, numbers: Integers) -> Any:
        """The times of these steps."""
        return self._days(numbers * self.every + self.phase, self.rule) + self.time

    @staticmethod
    def _days(months: Integers, rule: Any) -> pd.DatetimeIndex:
        starts = [pd.Timestamp(int(month) // 12, int(month) % 12 + 1, 1) for month in months]
        anchored = type(rule) is not pd.DateOffset
        return pd.DatetimeIndex([rule.rollforward(start) if anchored else start + rule for start in starts])


class Local(Calendar):
    """A calendar of the local time of a zone, for times with time zones.

    Args:
        calendar: Of times without a time zone.
        zone: Name of the zone.
    """

    def __init__(self, calendar: Calendar, zone: str) -> None:
        self.calendar, self.zone = calendar, zone
        self.season, self.usual_gaps = calendar.season, calendar.usual_gaps

    def numbers(self, times: Any) -> Integers:
        """Number of the step in which each time lies."""
        return self.calendar.numbers(_local(times, self.zone))

    def times(self, numbers: Integers) -> Any:
        """The times of these steps; one that clocks leave out is the next that there is."""
        local = self.calendar.times(numbers)
        return local.tz_localize(self.zone, nonexistent="shift_forward", ambiguous=np.ones(len(local), dtype=bool))


def calendar_of(clock: Column) -> Calendar | None:
    """The calendar that a column of rising times or numbers follows, but for some that are missing; None if none does.

    Business days and other parts of the week, months by the same day, the first or last business day or a weekday's
    number, quarters and years likewise, and equal distances. Times with time zones may follow it in the local time of
    one in which clocks change.
    """
    times = pd.Index(clock)
    if len(times) < 2:
        return None
    if not isinstance(times, pd.DatetimeIndex):
        counter = Counter(times)
        return counter if counter.share_of(times) == 1 and counter.is_usual(times) else None
    if times.tz is None:
        return next((calendar for exact in (True, False) for calendar in _calendars(times, exact)), None)
    zones = sorted(ZONES, key=lambda zone: -_midnights(_local(times, zone)))
    return next(
        (
            Local(calendar, zone)
            for exact in (True, False)
            for zone in ("UTC", *zones)
            for calendar in _calendars(_local(times, zone), exact)
        ),
        None,
    )


def follows(calendar: Calendar, clock: Column) -> bool:
    """Whether all times of a column are a calendar's, most of them one after the other."""
    times = pd.Index(clock)
    zoned = isinstance(times, pd.DatetimeIndex) and times.tz is not None
    if zoned != isinstance(calendar, Local):
        return False
    return calendar.share_of(times) == 1 and (len(times) < 2 or calendar.is_usual(times))


def _calendars(times: pd.DatetimeIndex, exact: bool) -> Iterator[Calendar]:
    """The calendars that times without a time zone follow, exactly or, of months, in number only; coarse ones first."""
    every = _usual_months(times)
    if every:
        months = Months(times, every)
        if months.is_usual(times) and (not exact or months.share_of(times) == 1):
            yield months
    if not exact:
        return
    steps: Column = times.to_series().diff().iloc[1:]
    usual = steps.mode().iloc[0]
    for step, share in ((usual, 0.9), (DAY, 1.0), (HOUR, 1.0)):
        if not (steps % step).any():
            grid = Grid(times, step)
            if grid.share_of(times) >= share and grid.is_usual(times):
                yield grid


def _usual_months(times: pd.DatetimeIndex) -> int:
    """Months between times, each of which has a month of its own; 0 if they are not months apart."""
    months = np.diff(_months(times))
    every = int(pd.Series(months).mode().iloc[0])
    if every < 1 or (months % every).any() or (months < 1).any():
        return 0
    # Two days around the end of a month are not a month apart, and four weeks are not one everywhere.
    days = np.diff(times.to_numpy()) / np.timedelta64(1, "D")
    return every if (days >= 26 * months).all() else 0


def _rules(times: pd.DatetimeIndex) -> Iterator[Any]:
    """Days of a month that the times may be, as pandas' offsets."""
    days = pd.Series(times.day)
    for day in sorted({int(days.mode().iloc[0]), int(days.max()), 31 if times.is_month_end.all() else 1}, reverse=True):
        yield pd.DateOffset(day=day)
    yield pd.offsets.BMonthBegin()
    yield pd.offsets.BMonthEnd()
    weekday: Any = int(pd.Series(times.day_of_week).mode().iloc[0])
    week = int((days.median() - 1) // 7)
    if week < 4:
        yield pd.offsets.WeekOfMonth(week=week, weekday=weekday)
    yield pd.offsets.LastWeekOfMonth(weekday=weekday)


def _kept(steps: Integers, count: int) -> NDArray[np.bool_]:
    """Which of so many recurring slots are not usually missing."""
    present, possible = _counts(steps, count)
    often = possible >= SEEN
    if not often.any():
        return np.ones(count, dtype=bool)
    share = present / np.maximum(possible, 1)
    return ~often | (share >= share[often].max() / 2)


def _counts(steps: Integers, count: int) -> tuple[Integers, Integers]:
    """How often each of so many recurring slots is there, and in how many rounds with any it could be."""
    slots = np.arange(count)
    rounds, (first, last) = len(np.unique(steps // count)), steps[[0, -1]] % count
    return np.bincount(steps % count, minlength=count), rounds - (slots < first) - (slots > last)


def _months(times: Any) -> Integers:
    return np.asarray(times.year * 12 + times.month - 1, dtype=np.int64)


def _local(times: Any, zone: str) -> Any:
    return times.tz_convert(zone).tz_localize(None)


def _midnights(times: pd.DatetimeIndex) -> int:
    return int((times == times.normalize()).sum())
