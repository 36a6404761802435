"""What the recipe takes for a file of one's own: training sets out from the seasonal naive forecast, and beats it."""

import numpy as np
import pandas as pd
import pytest
import torch
from nnzoo.recipes import forecaster as recipe

from nnzoo import ForecastDataModule, Forecaster
from support.forecaster import walk
from support.found import linked

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def untrained(table, **settings):
    """A forecaster of a table, which becomes a file, and its data."""
    table.to_csv("series.csv", index=False)
    data = ForecastDataModule(csv="series.csv", time="date", **settings)
    data.setup()
    return Forecaster(**linked(Forecaster, data), instance_norm="seasonal").eval(), data


@torch.no_grad()
def test_an_untrained_forecaster_gives_the_seasonal_naive_forecast_in_each_series_units(in_tmp):
    tables = [walk(seed=n).assign(shop=name) for n, name in enumerate("ab")]
    module, data = untrained(pd.concat(tables), group="shop", target="income")
    assert data.season == 7
    history, target, place, offset = data.windows("test", 10_000)
    assert target.shape[2] == 1
    torch.testing.assert_close(module(history, place, offset), module.naive(history, 7), rtol=1e-5, atol=1e-2)


@torch.no_grad()
def test_a_series_that_repeats_is_forecast_exactly_without_training(in_tmp):
    repeats = walk(columns=1).assign(units=np.tile([3.0, 5, 4, 8, 13, 21, 1], 58)[:400])
    module, data = untrained(repeats, target="units", horizon=10)
    history, target, *_ = data.windows("test", 10_000)
    torch.testing.assert_close(module(history), target, rtol=1e-5, atol=1e-5)


def months(shops, rows, rng):
    """Monthly sales that grow by a share of themselves and have a season."""
    t, season = np.arange(rows), rng.normal(0, 0.2, 12)
    dates = pd.period_range("2015-01", periods=rows, freq="M").astype(str)
    for shop in range(shops):
        log = rng.normal(4) + 0.006 * t + season[t % 12] + rng.normal(0, 0.05, rows)
        yield pd.DataFrame({"date": dates, "units": np.exp(log), "shop": f"shop {shop}"})


def years(shops, rows, rng):
    """Yearly sales that drift, each for itself."""
    for shop in range(shops):
        log = 4 + rng.normal(0.05, 0.1, rows).cumsum()
        yield pd.DataFrame({"date": range(1990, 1990 + rows), "units": np.exp(log), "shop": f"shop {shop}"})


@pytest.mark.slow
@pytest.mark.parametrize(("made", "shops", "rows"), [(months, 2, 150), (months, 12, 60), (years, 12, 22)])
def test_short_series_are_forecast_no_worse_than_by_the_last_season(made, shops, rows, in_tmp):
    pd.concat(made(shops, rows, np.random.default_rng(0))).to_csv("sales.csv", index=False)
    flags = ["--data.csv", "sales.csv", "--data.time", "date", "--data.target", "units", "--data.group", "shop"]
    metrics = recipe.main([*flags, "--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"])
    assert metrics["test/mase"] < 1.02 * metrics["baseline/seasonal_naive/mase"]
