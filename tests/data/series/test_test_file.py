"""A file of series to test on takes the place of the test part."""

import numpy as np
import pandas as pd
import pytest
import torch

from nnzoo import ForecastDataModule, Forecaster, InputError
from nnzoo.data.series.scale import naive_errors
from support.series import HORIZON, H, sales, whole

pytestmark = pytest.mark.filterwarnings("ignore:.*(not in training|longer than the history)")


@pytest.fixture
def tested(tmp_path):
    """Writes a file to train on and one to test on, and returns the datamodule of both."""

    def make(train, test, csv_format=None, setup=True, **settings):
        train.to_csv(tmp_path / "train.csv", index=False)
        test.to_csv(tmp_path / "test.csv", index=False, **(csv_format or {}))
        files = {"csv": str(tmp_path / "train.csv"), "test_csv": str(tmp_path / "test.csv")}
        sizes = {"time": "date", "target": "units", "history": H, "horizon": HORIZON, "batch_size": 8}
        data = ForecastDataModule(**files, **{**sizes, **settings})
        if setup:
            data.setup()
        return data

    return make


def later(rows=30, seed=1, start="2024-04-10", **columns):
    """Sales from the day after those to train on."""
    dates = pd.date_range(start, periods=rows, freq="D").astype(str)
    return sales(rows, seed=seed).assign(date=dates, **columns)


def test_training_and_validation_share_the_whole_of_the_other_file(tested):
    data = tested(sales(), later(), val_fraction=0.2)
    assert data.parts["train"].origins.tolist() == list(range(H, 80 - HORIZON + 1))
    assert data.parts["val"].origins.tolist() == list(range(80, 100 - HORIZON + 1))
    assert data.column_mean[0] == pytest.approx(sales()[["units", "price"]][:80].mean().tolist())


def test_every_window_lies_in_the_test_file(tested):
    table = later()
    history, target = whole(tested(sales(), table), "test")
    assert len(history) == 30 - H - HORIZON + 1
    for start, (past, future) in enumerate(zip(history, target, strict=True)):
        rows = table[start : start + H + HORIZON]
        np.testing.assert_allclose(past, rows[["units", "price"]][:H], rtol=1e-6)
        np.testing.assert_allclose(future, rows[["units"]][H:], rtol=1e-6)


def shops(tables):
    return pd.concat([table.assign(shop=name) for name, table in tables.items()])


def test_series_that_training_has_keep_their_scale_and_others_have_that_of_their_history(tested):
    train = shops({"a": sales(), "b": sales(seed=1).assign(units=lambda f: 1000 * f["units"])})
    test = shops({"new": later(units=lambda f: 1e9 + f["units"]), "b": later(units=lambda f: 1000 * f["units"])})
    data = tested(train, test, group="shop")
    history, place, offset, naive_error, target = data.parts["test"].batch(torch.arange(len(data.parts["test"])))
    windows = 30 - H - HORIZON + 1
    assert place[:, 0].tolist() == [-1] * windows + [1] * windows
    scale = naive_errors([train[train["shop"] == "b"][["units"]].to_numpy()[:85]], data.season)
    np.testing.assert_allclose(naive_error[:, 0], np.repeat([0.0, scale[0, 0]], windows), rtol=1e-5)
    facts = ("history", "horizon", "season", "columns", "target_columns", "column_mean", "column_std", "series_names")
    model = Forecaster(**{name: getattr(data, name) for name in facts})
    std = model.scale_of(history, place, offset).std[:, 0, 0]
    new = test["units"].to_numpy()[:H].std()
    assert std[0] == pytest.approx(new, rel=1e-3)
    assert std[-1] == pytest.approx(data.column_std[1][0])
    units = test["units"].to_numpy()
    np.testing.assert_allclose(target[0, :, 0].double() + offset[0, 0].double(), units[H : H + HORIZON], rtol=1e-12)


def test_pictures_name_the_days_of_the_test_file_and_those_of_the_training_file(tested):
    data = tested(sales(), later())
    for part, first in (("test", "2024-04-10"), ("val", "2024-03-18")):
        origin = int(data.parts[part].batch(torch.tensor([0]))[1][0, 1])
        name, times = data.timeline.window(origin - H, origin + HORIZON)
        assert (name, len(times), str(times[0])[:10]) == ("", H + HORIZON, first)
    last = int(data.parts["test"].batch(torch.tensor([len(data.parts["test"]) - 1]))[1][0, 1])
    assert str(data.timeline.window(last - H, last + HORIZON)[1][-1])[:10] == "2024-05-09"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_may_stand_in_any_order_beside_others_with_any_separator(tested, mark):
    table = later().assign(note="text")[["note", "price", "units", "date"]]
    history, _ = whole(tested(sales(), table, {"sep": mark}), "test")
    np.testing.assert_allclose(history[0], later()[["units", "price"]][:H], rtol=1e-6)


@pytest.mark.parametrize(
    ("table", "csv_format", "settings", "says"),
    [
        (later().drop(columns="units"), {}, {}, r"test\.csv has no column units for the same columns as in training"),
        (later().drop(columns="price"), {}, {}, r"test\.csv has no column price"),
        (later().rename(columns={"date": "day"}), {}, {}, r"test\.csv has no column date for --data\.time"),
        (later(), {}, {"group": "shop"}, r"test\.csv has no column shop for --data\.group"),
        (later(), {"sep": ";", "decimal": ","}, {}, r"test\.csv, line 2: units is '\d+,\d+', not a number as in"),
        (later(units=["?", *range(29)]), {}, {}, r"test\.csv, line 2: units is '\?', not a number"),
        (later(H + HORIZON - 1), {}, {}, rf"test\.csv has no window to test: one takes {H + HORIZON} steps"),
        (later(units=3e38), {}, {}, r"test\.csv, line 2: units is 3e\+38, too large for float32"),
        (later().assign(date=range(30)), {}, {}, r"test\.csv: date is 0, where the training file has 2024-01-01"),
    ],
)
def test_a_test_file_that_cannot_be_used(tested, table, csv_format, settings, says):
    with pytest.raises(InputError, match=says):
        tested(sales(shop="a") if "group" in settings else sales(), table, csv_format, **settings)


@pytest.mark.parametrize(
    ("dates", "says"),
    [
        (
            pd.date_range("2024-05-01", periods=30, freq="h"),
            r"test\.csv has rows 01:00:00 apart, the training file 1 days, by",
        ),
        (pd.date_range("2024-05-01", periods=30, freq="W"), r"rows 7 days apart, the training file 1 days, by"),
        (pd.date_range("2024-05-01 00:30", periods=30, freq="D"), None),
        (pd.date_range("2024-05-01", periods=30, freq="D")[[0, *range(2, 30)]], r"test\.csv has gaps in date"),
        (pd.date_range("2024-01-15", periods=30, freq="D"), r"tests from 2024-01-23.* but the training file goes on"),
    ],
)
def test_times_that_do_not_go_on_as_in_training_are_told(tested, dates, says, recwarn):
    tested(sales(), later(len(dates)).assign(date=dates.astype(str)))
    said = [str(warning.message) for warning in recwarn]
    if says is None:
        assert not said
    else:
        with pytest.warns(UserWarning, match=says):
            tested(sales(), later(len(dates)).assign(date=dates.astype(str)))


def test_business_days_are_not_tested_on_all_days_without_a_word(tested):
    days = pd.bdate_range("2024-01-01", periods=100).astype(str)
    with pytest.warns(UserWarning, match=r"a season of 7 steps, the training file 5"):
        tested(sales(date=days), later(start="2024-06-01"))


def test_series_of_other_names_and_short_ones_are_told(tested):
    train, test = shops({"a": sales(), "b": sales(seed=1)}), shops({"A": later(), "b": later(5)})
    with pytest.warns(UserWarning, match=r"1 of 2 series are not in training, such as 'A'"):
        tested(train, test, group="shop")
    with pytest.warns(UserWarning, match=r"1 of 2 series are too short for a window and not tested"):
        tested(train, test, group="shop")


def test_a_file_too_short_to_train_on_names_the_parts_that_there_are(tested):
    with pytest.raises(InputError, match=r"the horizon also into the validation part \(2\), as their"):
        tested(sales(12), later())
