import pandas as pd
import pytest

from nnzoo import InputError
from nnzoo.data.times import dates_among, frequency, is_day_first, read_times, time_format


def read(values):
    return read_times(pd.Series(values, name="date"), "my.csv")


def days(*texts):
    return [pd.Timestamp(text) for text in texts]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["2024-01-31", "2024-02-01"], days("2024-01-31", "2024-02-01")),
        (["2024-01-31 13:00", "2024-01-31 14:00"], days("2024-01-31 13:00", "2024-01-31 14:00")),
        ([20240131, 20240201], days("2024-01-31", "2024-02-01")),
        (["31/01/2024", "01/02/2024"], days("2024-01-31", "2024-02-01")),
        (["01/31/2024", "02/01/2024"], days("2024-01-31", "2024-02-01")),
        (["11.01.2024", "12.01.2024", "13.01.2024"], days("2024-01-11", "2024-01-12", "2024-01-13")),
        ([201612, 201701], days("2016-12-01", "2017-01-01")),
        (["Jan-24", "Feb-24"], days("2024-01-01", "2024-02-01")),
        (["May 2024", "Jun 2024"], days("2024-05-01", "2024-06-01")),
        (["2018Q1", "2018Q2"], days("2018-01-01", "2018-04-01")),
        (["2018-Q4", "2019-Q1"], days("2018-10-01", "2019-01-01")),
        (["12.2018", "01.2019"], days("2018-12-01", "2019-01-01")),
        ([201612, 201613], [201612, 201613]),
        ([3, 1, 2], [3, 1, 2]),
        ([1990, 1991], [1990, 1991]),
        ([0.5, 1.5], [0.5, 1.5]),
        (["2021-03-28 01:00+01:00", "2021-03-28 03:00+02:00"], days("2021-03-28 00:00Z", "2021-03-28 01:00Z")),
    ],
)
def test_times_as_they_are_written(written, expected):
    assert read(written).tolist() == expected


def test_where_no_day_is_above_twelve_the_even_spacing_tells_the_order():
    months = [f"01/{month:02}/{year}" for year in (2000, 2001) for month in range(1, 13)]
    assert read(months).tolist() == list(pd.date_range("2000-01-01", periods=24, freq="MS"))
    assert is_day_first(pd.Series(months), "my.csv") is True


def test_dates_that_may_be_read_in_two_ways_are_refused():
    with pytest.raises(InputError, match=r"such as 01/02/2024, may have the day or the month first"):
        read(["01/02/2024", "03/04/2024", "11/12/2024"])
    with pytest.raises(InputError, match="may have the day or the month first"):
        read([f"01/{number:02}/2000" for number in range(1, 13)])  # twelve days of January, or of twelve months


@pytest.mark.parametrize(("values", "line"), [(["2024-01-31", "soon"], 3), ([1.0, float("nan")], 3)])
def test_a_time_that_cannot_be_read_is_told_with_its_line(values, line):
    with pytest.raises(InputError, match=f"my.csv, line {line}: the time .* cannot be read"):
        read(values)


def test_calendars():
    assert frequency(pd.Series(pd.date_range("2024-01-01", periods=9, freq="B"))) == "B"
    assert frequency(pd.Series(pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-09", "2024-01-11"]))) is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (["2024-01-31", "2024-02-01"], "%Y-%m-%d"),
        (["2024-01", "2024-02"], "%Y-%m"),
        (["31/01/2024", "01/02/2024"], "%d/%m/%Y"),
        (["31.01.2024", "01.02.2024"], "%d.%m.%Y"),
        (["Jan 2024", "Feb 2024"], "%b %Y"),
        (["01/2024", "02/2024"], "%m/%Y"),
        (["Jan-24", "Feb-24"], "%b-%y"),
        (["2018Q1", "2018Q2"], "%YQ%q"),
        (["2018-Q1", "2018-Q2"], "%Y-Q%q"),
        (["1/31/2024", "2/1/2024"], None),
        ([20240131, 20240201], "%Y%m%d"),
        ([201612, 201701], "%Y%m"),
    ],
)
def test_how_times_are_written_without_pandas_advice_to_its_callers(written, expected, recwarn):
    assert time_format(pd.Series(written), read(written)) == expected
    assert not recwarn.list


def test_dates_are_found_among_texts_without_pandas_advice_to_its_callers(recwarn):
    assert dates_among(pd.Series(["31.01.2024", "soon", "01.02.2024"])).tolist() == [True, False, True]
    assert not recwarn.list


@pytest.mark.parametrize("written", ["2024-10-01", "2024/10/01", "2024-10-01 00:00", "Oct 1, 2024"])
def test_a_date_that_is_in_order_is_not_swapped_where_the_training_file_has_the_day_first(written):
    assert read_times(pd.Series([written]), "new.csv", day_first=True).tolist() == days("2024-10-01")


@pytest.mark.parametrize("values", [["2024-02-03", "2024-02-04"], ["01/01/2024", "02/02/2024"]])
def test_dates_that_do_not_tell_say_so(values):
    assert is_day_first(pd.Series(values), "my.csv") is None
