"""Ridge and naive forecasts against scikit-learn, and how much of the windows they hold."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error

from nnzoo import ForecastDataModule
from nnzoo.baselines.series import RidgeForecast
from support.forecaster import walk

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def test_the_ridge_baseline_is_the_best_on_validation_of_scikit_learns_ridges(trained_forecaster):
    _, data, metrics = trained_forecaster(walk(columns=1))
    (mean,), (std,) = data.column_mean[0], data.column_std[0]
    x, y = {}, {}
    for part in ("train", "val", "test"):
        windows = data.windows(part, 10_000)
        history, target = (((v - mean) / std).squeeze(2).numpy().astype(float) for v in windows[:2])
        x[part], y[part] = history - history[:, -1:], target - history[:, -1:]
    models = [Ridge(alpha=alpha).fit(x["train"], y["train"]) for alpha in RidgeForecast.ALPHAS]
    best = min(models, key=lambda model: mean_squared_error(y["val"], model.predict(x["val"])))
    assert metrics["baseline/ridge/mse"] == pytest.approx(
        mean_squared_error(y["test"], best.predict(x["test"])), rel=1e-3
    )


def test_the_ridge_baseline_never_sees_the_test_part(trained_forecaster, monkeypatch):
    """Neither to fit nor to choose its penalty."""
    seen, windows = set(), ForecastDataModule.windows

    def watched(self, part, *arguments):
        seen.add(part)
        return windows(self, part, *arguments)

    monkeypatch.setattr(ForecastDataModule, "windows", watched)
    trained_forecaster(walk(columns=1))
    assert seen == {"train", "val"}


def test_the_ridge_baseline_reads_all_columns_where_that_helps():
    rng = np.random.default_rng(0)
    leader = rng.normal(size=600)
    follower = np.roll(leader, 3) + 0.01 * rng.normal(size=600)
    series = np.stack([leader, follower], axis=1).astype(np.float32)
    windows = np.stack([series[i : i + 8] for i in range(590)])
    read = []

    def part(rows):
        def chosen(columns, target):
            read.append(columns)
            return windows[rows, :6][:, :, columns], windows[rows, 6:, target]

        return chosen

    parts = part(slice(400)), part(slice(400, 590))
    ridge = RidgeForecast([1]).fit(*parts, 6, 2)
    assert ridge.models[0][0] == [0, 1]
    assert np.square(ridge.predict(windows[400:, :6]) - windows[400:, 6:, 1:]).mean() < 0.01
    read.clear()
    assert RidgeForecast([1], max_features=6).fit(*parts, 6, 2).models[0][0] == [1]
    assert read == [[1], [1]], "the other column is not even read"


def test_a_long_history_is_cut_to_the_last_values_for_ridge():
    series = np.random.default_rng(0).normal(size=400).astype(np.float32)
    windows = np.stack([series[i : i + 40] for i in range(360)])[:, :, None]

    def part(columns, target):
        return windows[:, :38][:, :, columns], windows[:, 38:, target]

    cut, whole = (RidgeForecast([0], max_features=most).fit(part, part, 38, 1) for most in (10, 38))
    assert [ridge.models[0][1].coef_.shape for ridge in (cut, whole)] == [(2, 10), (2, 38)]
    other = windows[:, :38].copy()
    other[:, :28] = 0
    np.testing.assert_array_equal(cut.predict(other), cut.predict(windows[:, :38]))


def test_the_baselines_never_hold_all_windows_of_all_columns(trained_forecaster, monkeypatch):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(200, 60)).cumsum(axis=0), columns=[f"c{i}" for i in range(60)])
    sizes, windows = [], ForecastDataModule.windows

    def measured(self, part, limit, *columns):
        found = windows(self, part, limit, *columns)
        sizes.append(max(tensor.numel() for tensor in found))
        return found

    monkeypatch.setattr(ForecastDataModule, "windows", measured)
    monkeypatch.setattr("nnzoo.baselines.series.MAX_VALUES", 1000)
    trained_forecaster(table, time=None)  # 24 steps of 60 columns are more than ridge takes
    assert len(sizes) == 60 * 2
    assert max(sizes) <= 1000
