import hashlib
import io
import re
import urllib.error
import urllib.request

import numpy as np
import pandas as pd
import pytest

from nnzoo import InputError
from nnzoo.data.series import sources
from nnzoo.data.series.future import Future
from nnzoo.data.series.series import read_series
from nnzoo.data.series.sources import ETTh1, generated_series


@pytest.fixture
def csv_of(tmp_path):
    """Writes a table and returns its path."""

    def write(table):
        path = tmp_path / "sales.csv"
        if isinstance(table, str):
            path.write_text(table)
        else:
            table.to_csv(path, index=False)
        return path

    return write


def sales(rows=6, **columns):
    dates = pd.date_range("2024-01-30", periods=rows, freq="D").astype(str)
    table = pd.DataFrame({"date": dates, "units": np.arange(rows) ** 2, "price": 2.5 - 0.1 * np.arange(rows)})
    return table.assign(**columns)


def test_the_generated_series_is_the_same_every_time_and_has_its_seasons():
    values, columns, lengths, times, season, *_ = generated_series()
    assert columns == ["temperature", "demand"]
    assert lengths == [14_400]
    assert values.shape == (14_400, 2)
    np.testing.assert_array_equal(values, generated_series().values)
    np.testing.assert_array_equal(times, np.arange(14_400))
    assert season == 24
    temperature, demand = values.T
    day = np.arange(14_400) // 24
    assert demand[day % 7 < 5].mean() > demand[day % 7 >= 5].mean() + 3, "weekends need less"
    winter, summer = demand[temperature < 0].mean(), demand[temperature > 28].mean()
    mild = demand[(temperature > 15) & (temperature < 18)].mean()
    assert min(winter, summer) > mild + 5, "heat and cold need more, which is not linear"
    assert np.abs(demand[24:] - demand[:-24]).mean() < 0.6 * np.abs(demand[12:] - demand[:-12]).mean()


def test_a_file_is_read_in_its_order_with_the_columns_asked_for(csv_of):
    path = csv_of(sales())
    read = read_series(path, "date", None, None)
    assert read.columns == ["units", "price"]
    np.testing.assert_allclose(read.values, sales()[["units", "price"]])
    assert read.lengths == [6]
    assert read.times.tolist() == list(range(6))
    assert read.season == 7
    only = read_series(path, "date", None, ["price"])
    assert only.columns == ["price"]
    np.testing.assert_allclose(only.values, sales()[["price"]])


def test_without_a_column_of_times_rows_are_numbered(csv_of):
    read = read_series(csv_of(sales().drop(columns="date")), None, None, None)
    assert read.times.tolist() == list(range(6))
    assert read.season == 1


def test_several_series_are_told_apart_and_share_their_times(csv_of):
    first, second = sales(4, shop="b"), sales(3, shop="a", units=[7, 8, 9])
    second["date"] = first["date"].to_numpy()[1:]
    interleaved = pd.concat([first, second]).sort_values("date", kind="stable")
    read = read_series(csv_of(interleaved), "date", "shop", ["units"])
    assert read.values[:, 0].tolist() == [0, 1, 4, 9, 7, 8, 9]
    assert read.lengths == [4, 3]
    assert read.times.tolist() == [0, 1, 2, 3, 1, 2, 3]
    unnumbered = read_series(csv_of(interleaved.drop(columns="date")), None, "shop", ["units"])
    assert unnumbered.times.tolist() == [0, 1, 2, 3, 0, 1, 2]


def test_times_with_a_time_zone_keep_their_order_when_clocks_change(csv_of):
    hours = pd.date_range("2024-10-27", periods=6, freq="h", tz="Europe/Berlin").astype(str)
    read = read_series(csv_of(sales(date=hours)), "date", None, ["units"])
    assert read.times.tolist() == list(range(6))
    assert read.season == 24


BERLIN = {"periods": 6, "tz": "Europe/Berlin"}
OFFSET = "write times with their offset, such as 2024-10-27 02:30+01:00, or in UTC"


@pytest.mark.parametrize(
    "times",
    [
        pd.date_range("2024-10-27 01:00", freq="h", **BERLIN),
        pd.date_range("2024-10-27 01:30", freq="30min", **BERLIN),
        pd.date_range("2024-11-03 00:00", periods=6, freq="h", tz="America/New_York"),
    ],
)
def test_a_time_that_clocks_show_twice_needs_its_offset(csv_of, times):
    with pytest.raises(
        InputError, match=r"line \d: the date 2024-\S+ 0[12]:\S+ comes again, as where clocks are set back"
    ) as error:
        read_series(csv_of(sales(date=times.strftime("%Y-%m-%d %H:%M"))), "date", None, ["units"])
    assert str(error.value).endswith(f"{OFFSET}.")
    assert read_series(csv_of(sales(date=times.astype(str))), "date", None, ["units"]).times.tolist() == list(range(6))


@pytest.mark.parametrize("freq", ["D", "h"])
def test_a_file_with_its_newest_row_first_is_to_be_sorted(csv_of, freq):
    dates = pd.date_range("2022-01-01", "2023-12-01", freq=freq)[::-1].astype(str)
    with pytest.raises(InputError, match="line 3 is out of order: sort the file by date"):
        read_series(csv_of(sales(len(dates), date=dates)), "date", None, ["units"])


@pytest.mark.parametrize(("start", "freq"), [("2024-08-20", "24h"), ("2024-03-01", "h"), ("2024-10-15", "6h")])
def test_steps_that_are_an_hour_off_where_clocks_change_need_offsets(csv_of, start, freq):
    """Steps of 24 hours fall on 23:00 after the change, and an hour of spring is missing."""
    times = pd.date_range(start, periods=1000 if freq == "h" else 100, freq=freq, tz="Europe/Berlin")
    with pytest.warns(UserWarning, match=re.escape(OFFSET)):
        read_series(csv_of(sales(len(times), date=times.strftime("%Y-%m-%d %H:%M"))), "date", None, ["units"])


def test_a_day_that_is_missing_or_comes_twice_is_no_change_of_clocks(csv_of):
    days = pd.date_range("2023-08-01", periods=60).strftime("%Y-%m-%d").tolist()
    change = days.index("2023-09-03")  # in Santiago, at midnight
    with pytest.raises(InputError, match="has the date of the row before it: remove one of them"):
        read_series(csv_of(sales(61, date=[*days[:change], days[change], *days[change:]])), "date", None, ["units"])
    with pytest.warns(UserWarning, match="1 steps are missing.*: fill the gaps"):
        read_series(csv_of(sales(59, date=[*days[:change], *days[change + 1 :]])), "date", None, ["units"])


NAN = [1, 2, 3, np.nan, 5, 6]
DATES = sales()["date"].tolist()


@pytest.mark.parametrize(
    ("table", "settings", "says"),
    [
        (sales(units=list("abcdef")), {}, "line 2: units is 'a', not a number"),
        (sales(), {"time": None}, "or give it as --data.time if it holds the times"),
        (sales(units=NAN), {}, "line 5: units is empty, NaN or infinite"),
        (sales(price=NAN), {}, "line 5: price is empty"),
        (sales(units=[1, np.inf, 3, 4, 5, 6]), {}, "line 3: units is empty, NaN or infinite"),
        (sales(units=[1, 2, -3e38, 4, 5, 6]), {}, "line 4: units is -3e+38, too large for float32: rescale"),
        (sales(date=[*DATES[:3], DATES[1], *DATES[4:]]), {}, "line 5 is out of order: sort the file by date"),
        (sales(date=[*DATES[:2], DATES[1], *DATES[3:]]), {}, "line 4 has the date of the row before it"),
        (sales(date=[*DATES[:2], DATES[1], *DATES[3:]]), {}, "with --data.group"),
        (sales(date=[*DATES[:5], "soon"]), {}, "line 7: the time 'soon' cannot be read"),
        (sales(date=[*DATES[:5], None]), {}, "line 7: the time '' cannot be read"),
        (sales(shop=["a", "a", None, "b", "b", "b"]), {"group": "shop"}, "line 4: shop is empty"),
        (sales(), {"time": "day"}, "no column day for --data.time. Its columns are date, units, price"),
        (sales(), {"group": "shop"}, "no column shop for --data.group"),
        (sales(), {"columns": ["amount"]}, "no column amount for --data.target"),
        (sales(), {"columns": ["date"]}, "must be different columns"),
        (sales(), {"group": "date"}, "must be different columns"),
        (sales()[["date"]], {}, "no column to forecast"),
        (sales(0), {}, "has no rows below its header"),
        ("", {}, "cannot be read as CSV"),
        ('a,b\n"1,2\n', {}, "cannot be read as CSV"),
    ],
)
def test_bad_files(csv_of, table, settings, says):
    path = csv_of(table)
    with pytest.raises(InputError) as error:
        read_series(path, **{"time": "date", "group": None, "columns": None, **settings})
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("dates", "following"),
    [
        (["2024-01-30", "2024-01-31", "2024-02-01"], ["2024-02-02", "2024-02-03"]),
        (["2023-11-30", "2023-12-31", "2024-01-31"], ["2024-02-29", "2024-03-31"]),
        (["2024-01", "2024-02", "2024-03"], ["2024-04", "2024-05"]),
        (["15.01.2024", "15.02.2024", "15.03.2024"], ["15.04.2024", "15.05.2024"]),
        (["1/2/2024", "1/3/2024", "1/13/2024", "1/14/2024"], ["2024-01-15", "2024-01-16"]),
        (["2024-01-01", "2024-01-02", "2024-01-05", "2024-01-06"], ["2024-01-07", "2024-01-08"]),
        (["2024-01-01 22:00", "2024-01-01 23:00"], ["2024-01-02 00:00", "2024-01-02 01:00"]),
        (["2024-01-01 00:00+02:00", "2024-01-01 01:00+02:00"],
         ["2024-01-01 00:00:00+00:00", "2024-01-01 01:00:00+00:00"]),
        ([201610, 201611, 201612], [201701, 201702]),
        ([20240227, 20240228], [20240229, 20240301]),
        ([1999, 2000, 2001], [2002, 2003]),
        ([3, 6, 9, 12], [15, 18]),
        ([1, 2, 3, 5, 6], [7, 8]),
        ([0.1, 0.2, 0.3, 0.4], [0.5, 0.6]),
        (["2024-01-01", "2024-01-02", "2024-01-09", "2024-01-11"], ["2024-01-12", "2024-01-13"]),
        (["2024-01-01"], ["2024-01-02", "2024-01-03"]),
        ([7], [8, 9]),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*(not evenly spaced|has gaps)")
def test_the_times_after_the_end_follow_the_same_calendar_and_are_written_alike(csv_of, tmp_path, dates, following):
    series = read_series(csv_of(sales(len(dates), date=dates)), "date", None, ["units"])
    Future(series, 1, 2).rows("date", None).to_csv(tmp_path / "next.csv", index=False)
    assert (tmp_path / "next.csv").read_text().split("\n")[1:-1] == [str(time) for time in following]


def test_without_a_column_of_times_the_steps_ahead_are_counted(csv_of):
    assert list(read_series(csv_of(sales()), None, None, ["units"]).following(0, 3)) == [1, 2, 3]


def test_a_missing_file_and_one_in_another_encoding(tmp_path):
    with pytest.raises(InputError, match=r"There is no file .*absent.csv: check --data.csv"):
        read_series(tmp_path / "absent.csv", None, None, None)
    with pytest.raises(InputError, match="There is no file"):
        read_series(tmp_path, None, None, None)
    (tmp_path / "latin.csv").write_bytes("Stück,a\n1,2\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_series(tmp_path / "latin.csv", None, None, None)


def test_the_order_is_checked_within_each_series(csv_of):
    table = pd.concat([sales(3, shop="a"), sales(3, shop="b")])
    assert read_series(csv_of(table), "date", "shop", None).lengths == [3, 3]
    with pytest.raises(InputError, match=r"line 7 is out of order: sort the file by date\.$"):
        read_series(csv_of(table.iloc[[0, 1, 2, 3, 5, 4]]), "date", "shop", None)


def test_gaps_are_warned_of_but_calendar_months_working_days_and_holidays_are_not(csv_of, recwarn):
    for freq in ("MS", "B", "D"):
        dates = pd.date_range("2024-01-01", periods=24, freq=freq).astype(str)
        read_series(csv_of(sales(24, date=dates)), "date", None, ["units"])
    read_series(csv_of(sales(date=[0, 10, 20, 30, 40, 50])), "date", None, ["units"])
    read_series(csv_of(sales(5, date=[0.1, 0.2, 0.3, 0.4, 0.5])), "date", None, ["units"])
    working = pd.date_range("2024-01-01", periods=60, freq="B").delete([5, 20, 30]).astype(str)
    read_series(csv_of(sales(57, date=working)), "date", None, ["units"])
    assert not recwarn.list
    for dates, missing, line in (
        ([*DATES[:4], "2024-03-01", "2024-03-02"], 27, 6),
        (["2024-01-01", "2024-02-01", "2024-05-01", "2024-06-01", "2024-07-01", "2024-08-01"], 2, 4),
        ([1, 2, 3, 5, 6, 7], 1, 5),
    ):
        with pytest.warns(
            UserWarning, match=f"gaps in date: {missing} steps are missing, the first before line {line}"
        ):
            read_series(csv_of(sales(date=dates)), "date", None, ["units"])
    month_off = pd.date_range("2024-01-01", periods=60, freq="B").delete(range(20, 42)).astype(str)
    with pytest.warns(UserWarning, match="22 steps are missing, the first before line 22"):
        read_series(csv_of(sales(38, date=month_off)), "date", None, ["units"])


def test_rows_without_a_calendar_are_not_to_be_filled(csv_of):
    odd = ["2024-01-01", "2024-01-04", "2024-01-11", "2024-01-13", "2024-01-30", "2024-02-02"]
    with pytest.warns(UserWarning, match=r"not evenly spaced in date: 3 steps differ from the usual 3 days") as caught:
        series = read_series(csv_of(sales(date=odd)), "date", None, ["units"])
    assert "fill" not in str(caught[0].message)
    assert series.season == 1


def test_the_season_is_that_of_most_rows(csv_of):
    days, months = sales(10, shop="a"), sales(30, shop="b")
    months["date"] = pd.date_range("2010-01-01", periods=30, freq="MS").astype(str)
    assert read_series(csv_of(pd.concat([days, months])), "date", "shop", ["units"]).season == 12


def test_etth1_is_downloaded_once_and_only_if_it_is_the_right_file(tmp_path, monkeypatch):
    contents, calls = b"date,OT\n", []

    def urlopen(url, timeout):
        calls.append(url)
        return io.BytesIO(contents)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    etth1, path = ETTh1({"root": str(tmp_path)}), tmp_path / "ETTh1" / "ETTh1.csv"
    with pytest.raises(InputError, match="gave another file"):
        etth1.fetch()
    assert not list(tmp_path.rglob("*.*")), "nothing of it is left"
    monkeypatch.setattr(sources, "ETTH1_MD5", hashlib.md5(contents).hexdigest())
    etth1.fetch()
    etth1.fetch()
    assert path.read_bytes() == contents
    assert calls == [sources.ETTH1_URL] * 2
    path.write_bytes(contents.replace(b"OT", b"TO"))
    with pytest.raises(InputError, match=r"ETTh1.csv is not the ETTh1.csv that published .* delete it to download it"):
        etth1.load()
    assert len(calls) == 2, "a file of the user's is not overwritten"


def test_without_a_network_the_message_says_where_to_get_etth1(tmp_path, monkeypatch):
    def urlopen(url, timeout):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    with pytest.raises(InputError) as error:
        ETTh1({"root": str(tmp_path)}).fetch()
    for part in ("no route to host", sources.ETTH1_URL, str(tmp_path / "ETTh1" / "ETTh1.csv"), "--data.root"):
        assert part in str(error.value)
