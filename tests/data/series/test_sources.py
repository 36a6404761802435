import numpy as np
import pandas as pd
import pytest
import torch

from nnzoo import ForecastDataModule, InputError
from nnzoo.data.series.series import Series
from nnzoo.data.series.sources import SOURCES, SeriesSource
from nnzoo.data.splits import PARTS
from support.room import (
    check_that_a_source_reads_what_it_says,
    check_that_further_sources_can_be_chosen,
    check_that_options_act_or_are_refused,
    module_with,
    names,
)


@pytest.fixture
def settings(tmp_path):
    """What each source needs to be small and complete."""
    path, rng = tmp_path / "sales.csv", np.random.default_rng(0)
    dates = pd.date_range("2024-01-01", periods=100).astype(str)
    shops = [pd.DataFrame({"date": dates, "shop": shop, "units": rng.normal(size=100), "note": 1}) for shop in "ab"]
    pd.concat(shops).to_csv(path, index=False)
    own = {"csv": str(path), "time": "date", "group": "shop", "drop": ["note"], "target": "units"}
    return {name: {"dataset": name, **(own | {"predict_csv": str(path)} if name == "csv" else {})} for name in SOURCES}


class Ramp(SeriesSource):
    """A series that rises, with its own split."""

    name = "ramp"
    usual_target = "height"

    def load(self):
        heights = np.arange(100.0)[:, None]
        return Series(heights, ["height"], [100], np.arange(100))

    def cuts(self, total):
        return 60, 80, total


def test_a_new_source_needs_no_other_edit(monkeypatch):
    cls = module_with(monkeypatch, "series", Ramp).ForecastDataModule
    data = cls(dataset="ramp", history=5, horizon=2)
    data.prepare_data()
    data.setup()
    assert (data.columns, data.target_columns, data.column_mean) == (["height"], [0], [[29.5]])
    assert [len(data.parts[part].origins) for part in PARTS] == [54, 19, 19]
    history, target, *_ = data.windows("test", 1)
    assert (history.flatten().tolist(), target.flatten().tolist()) == ([75, 76, 77, 78, 79], [80, 81])
    assert data.last_windows()[0].flatten().tolist() == [95, 96, 97, 98, 99]
    with pytest.raises(InputError, match="val_fraction does nothing with dataset ramp"):
        cls(dataset="ramp", val_fraction=0.2)
    check_that_further_sources_can_be_chosen(cls, ForecastDataModule)


def test_every_option_acts_or_is_refused(settings):
    check_that_options_act_or_are_refused(ForecastDataModule, settings)


@pytest.mark.parametrize("name", names(SOURCES))
def test_a_source_reads_what_it_says(name, settings):
    check_that_a_source_reads_what_it_says(ForecastDataModule(**settings[name]))


@pytest.mark.parametrize("name", names(SOURCES))
def test_what_a_source_knows_is_true_of_its_data(name, settings):
    data = ForecastDataModule(**settings[name])
    assert data.source.target in data.columns
    series = data.series
    assert series.values.shape == (sum(series.lengths), len(data.columns))
    assert data.target_columns == [data.columns.index(data.source.target)]
    total = int(series.times.max()) + 1
    val, test, end = data.source.cuts(total)
    assert 0 < val < test < end <= total
    data.setup()
    for part, (start, stop) in zip(PARTS, ((0, val), (val, test), (test, end)), strict=True):
        dataset = data.parts[part]
        times = torch.from_numpy(series.times)[dataset.origins]
        assert start <= times.min()
        assert times.max() + data.horizon == stop
    alone = ForecastDataModule(**settings[name], inputs="target")
    assert alone.columns == [data.source.target]
    np.testing.assert_array_equal(alone.series.values[:, 0], series.values[:, data.target_columns[0]])


def test_what_is_forecast_next_may_come_from_a_newer_file(settings, tmp_path):
    path = tmp_path / "new.csv"
    rows = pd.read_csv(settings["csv"]["csv"]).query("shop == 'a'").assign(units=range(100))
    rows.to_csv(path, index=False)
    data = ForecastDataModule(**{**settings["csv"], "predict_csv": str(path), "history": 3, "horizon": 1, "season": 1})
    assert data.last_windows()[0].flatten().tolist() == [97, 98, 99]
    data = ForecastDataModule(**{**settings["csv"], "predict_csv": None, "history": 3, "horizon": 1, "season": 1})
    assert data.last_windows()[0].shape == (2, 3, 1)
