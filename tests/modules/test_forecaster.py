import os

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from nnzoo.recipes import forecaster as recipe
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error

from found import build
from nnzoo import ForecastDataModule, Forecaster, InputError
from nnzoo.arguments import LINKS
from nnzoo.callbacks.forecast_baselines import ForecastBaselines, RidgeForecast
from test_contracts import QUIET

pytestmark = pytest.mark.filterwarnings("ignore:.*")
H, HORIZON = 24, 6


def walk(rows=400, columns=2, seed=0):
    """A file's rows: daily random walks with a weekly wave, of different levels and units."""
    rng = np.random.default_rng(seed)
    wave = 3 * np.sin(2 * np.pi * np.arange(rows) / 7)[:, None]
    values = (rng.normal(size=(rows, columns)).cumsum(axis=0) + wave) * [1.0, 50.0][:columns] + [10.0, 4000.0][:columns]
    table = pd.DataFrame(values, columns=["units", "income"][:columns])
    return table.assign(date=pd.date_range("2024-01-01", periods=rows, freq="D").astype(str))


@pytest.fixture
def trained(tmp_path):
    """Trains a moment on a table with the baselines; returns (module, data, test metrics)."""

    def train(table, model=None, **settings):
        path = tmp_path / "walk.csv"
        table.to_csv(path, index=False)
        defaults = {"time": "date", "targets": "all", "history": H, "horizon": HORIZON, "batch_size": 32}
        data = ForecastDataModule(csv=str(path), **{**defaults, **settings})
        linked = {name: getattr(data, name) for name in LINKS if hasattr(data, name)}
        module = Forecaster(**linked, **{"hidden_size": 8, "instance_norm": "last", **(model or {})})
        trainer = L.Trainer(**QUIET, max_epochs=2, callbacks=[ForecastBaselines()])
        trainer.fit(module, data)
        (metrics,) = trainer.test(module, data, verbose=False)
        return module.eval(), data, metrics

    return train


def flat(values):
    return values.flatten(0, 1).numpy().astype(float)


def expected_metrics(data, target, predicted):
    """By scikit-learn and NumPy, from all test windows at once."""
    y, y_hat = flat(target), flat(predicted)
    std, naive_error = (np.array(getattr(data, name)) for name in ("column_std", "naive_error"))
    return {
        "mse": mean_squared_error(y / std, y_hat / std),
        "mae": mean_absolute_error(y / std, y_hat / std),
        "rmse": root_mean_squared_error(y, y_hat),
        "mae_original": mean_absolute_error(y, y_hat),
        "mase": np.mean(np.abs(y - y_hat) / naive_error),
        "smape": np.mean(200 * np.abs(y - y_hat) / (np.abs(y) + np.abs(y_hat))),
    }


def test_metrics_and_baselines_are_those_of_all_test_windows_at_once(trained):
    module, data, metrics = trained(walk())
    history, target = data.windows("test", 10_000)
    assert len(history) == 60 - HORIZON + 1, "none is dropped"
    season = history[:, -7:].repeat(1, 2, 1)[:, :HORIZON]
    for prefix, predicted in (
        ("test", module(history).detach()),
        ("baseline/naive", history[:, -1:].expand(-1, HORIZON, -1)),
        ("baseline/seasonal_naive", season),
    ):
        for name, value in expected_metrics(data, target, predicted).items():
            assert metrics[f"{prefix}/{name}"] == pytest.approx(value, rel=1e-4), (prefix, name)
    assert metrics["test/loss"] == pytest.approx(metrics["test/mse"], rel=1e-5)
    assert metrics["baseline/ridge/mse"] < metrics["baseline/naive/mse"]


def test_the_ridge_baseline_is_the_best_on_validation_of_scikit_learns_ridges(trained):
    _, data, metrics = trained(walk(columns=1))
    mean, std = data.column_mean[0], data.column_std[0]
    x, y = {}, {}
    for part in ("train", "val", "test"):
        history, target = (((v - mean) / std).squeeze(2).numpy().astype(float) for v in data.windows(part, 10_000))
        x[part], y[part] = history - history[:, -1:], target - history[:, -1:]
    models = [Ridge(alpha=alpha).fit(x["train"], y["train"]) for alpha in RidgeForecast.ALPHAS]
    best = min(models, key=lambda model: mean_squared_error(y["val"], model.predict(x["val"])))
    assert metrics["baseline/ridge/mse"] == pytest.approx(
        mean_squared_error(y["test"], best.predict(x["test"])), rel=1e-3
    )


def test_the_ridge_baseline_reads_all_columns_where_that_helps():
    rng = np.random.default_rng(0)
    leader = rng.normal(size=600)
    follower = np.roll(leader, 3) + 0.01 * rng.normal(size=600)
    series = np.stack([leader, follower], axis=1).astype(np.float32)
    windows = np.stack([series[i : i + 8] for i in range(590)])
    part = windows[:, :6], windows[:, 6:, 1:]
    train, val = (tuple(values[rows] for values in part) for rows in (slice(400), slice(400, 590)))
    ridge = RidgeForecast([1]).fit(train, val)
    assert ridge.models[0][0] == [0, 1]
    assert np.square(ridge.predict(val[0]) - val[1]).mean() < 0.01
    assert RidgeForecast([1], max_features=6).fit(train, val).models[0][0] == [1]


@torch.no_grad()
def test_forecasts_are_in_the_series_own_units():
    """The same windows in other units give the same forecasts in those units, and the same loss."""
    shared = {"history": H, "horizon": HORIZON, "target_columns": [1, 0], "naive_error": [1.0, 1.0], "hidden_size": 8}
    module = Forecaster(**shared, column_mean=[2.0, -1.0], column_std=[3.0, 0.5]).eval()
    other = Forecaster(**shared, column_mean=[2000.0, -1.0], column_std=[3000.0, 0.5]).eval()
    other.net.load_state_dict(module.net.state_dict())
    history, units = torch.randn(4, H, 2), torch.tensor([1000.0, 1.0])
    target = torch.randn(4, HORIZON, 2)
    torch.testing.assert_close(other(history * units), module(history) * units[[1, 0]], rtol=1e-4, atol=1e-3)
    losses = [
        m.validation_step(batch, 0) or m.means.metrics["val/loss"].compute()
        for m, batch in ((module, (history, target)), (other, (history * units, target * units[[1, 0]])))
    ]
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(module.predict_step((history, target), 0), module(history))


def test_the_scaler_is_undone_exactly():
    module = Forecaster(column_mean=[2.0, -1.0], column_std=[3.0, 0.5], history=4, target_columns=[0, 1],
                        naive_error=[1.0, 1.0])  # fmt: skip
    history = torch.randn(5, 4, 2)
    torch.testing.assert_close(module.original(module.standardized(history)), history)
    np.testing.assert_allclose(
        module.standardized(history), (history.numpy() - [2, -1]) / [3, 0.5], rtol=1e-5, atol=1e-6
    )


def test_a_network_without_any_skill_has_the_loss_of_the_naive_forecast(trained):
    module, data, metrics = trained(walk(), {"net": "linear", "lr": 1e-12})
    with torch.no_grad():
        for parameter in module.net.parameters():
            parameter.zero_()
    history, target = data.windows("test", 10_000)
    predicted = module(history).detach()
    torch.testing.assert_close(predicted, history[:, -1:].expand(-1, HORIZON, -1))
    assert expected_metrics(data, target, predicted)["mse"] == pytest.approx(metrics["baseline/naive/mse"], rel=1e-4)


def test_a_linear_forecaster_reaches_least_squares(trained):
    module, data, _ = trained(walk(columns=1), {"net": "linear"})
    history, target = data.windows("train", 10_000)
    x, y = ((values[:, :, 0] - data.column_mean[0]) / data.column_std[0] for values in (history, target))
    x, y = x - x[:, -1:], y - x[:, -1:]
    design = torch.cat([x[:, :-1], torch.ones(len(x), 1)], dim=1)  # the last difference is always 0
    best = (design @ torch.linalg.lstsq(design, y).solution - y).square().mean().item()
    optimizer = torch.optim.LBFGS(module.net.parameters(), max_iter=500, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = module.training_step((history, target), 1)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert closure().item() == pytest.approx(best, rel=0.01)


def test_a_checkpoint_of_windows_of_other_sizes_is_refused(trained, tmp_path):
    module, data, _ = trained(walk())
    module.trainer.save_checkpoint(tmp_path / "x.ckpt")
    loaded = Forecaster.load_from_checkpoint(tmp_path / "x.ckpt")
    torch.testing.assert_close(loaded(data.last_history()), module(data.last_history()))
    for change, says in (
        ({"history": 30}, "with history 24, these have 30: set --data.history"),
        ({"horizon": 3}, "--data.horizon"),
        ({"target_columns": [0], "naive_error": [1.0]}, "--data.target"),
        ({"column_mean": [0.0], "column_std": [1.0], "target_columns": [0], "naive_error": [1.0]}, "--data.inputs"),
    ):
        other = Forecaster(**{**module.hparams, **change})
        with pytest.raises(InputError) as error:
            other.on_load_checkpoint(torch.load(tmp_path / "x.ckpt", weights_only=True))
        assert says in str(error.value)


def test_a_history_of_another_shape_is_refused():
    module = Forecaster(history=H, horizon=HORIZON)
    with pytest.raises(InputError, match="takes 24 steps of 1 columns, got a history of shape \\(23, 1\\)"):
        module(torch.zeros(2, 23, 1))
    with pytest.raises(InputError, match="NaN or infinite"):
        module.training_step((torch.full((2, H, 1), torch.nan), torch.zeros(2, HORIZON, 1)), 0)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"patch_length": 5}, "set --model.patch_length 1"),
        ({"dropout": 1.0}, "dropout is a share"),
        ({"hidden_size": 0}, "hidden_size must be positive"),
        ({"net": "transformer"}, "There is no net 'transformer'"),
        ({"cell": "cnn"}, "There is no cell 'cnn'"),
        ({"instance_norm": "revin"}, "There is no instance_norm 'revin'"),
        ({"l2": -1.0}, "must not be negative"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"history": 0}, "history must be positive"),
        ({"season": 0}, "season must be positive"),
        ({"column_mean": [0.0, 1.0]}, "column_std for every column"),
        ({"naive_error": [1.0, 1.0]}, "naive_error for every target"),
        ({"target_columns": [1]}, "numbers of the 1 columns"),
    ],
)
def test_settings_out_of_range(settings, says):
    with pytest.raises(InputError, match=says):
        Forecaster(**settings)


def test_the_command_for_a_file_of_ones_own(in_tmp):
    walk(120).rename(columns={"income": "price"}).to_csv("sales.csv", index=False)
    flags = ["--data.csv", "sales.csv", "--data.time", "date", "--data.target", "units"]
    quick = ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    with pytest.raises(InputError, match=r"lower --data\.history"):
        recipe.main([*flags, *quick])
    metrics = recipe.main([*flags, *quick, "--data.history", "48", "--data.horizon", "7", "--data.batch_size", "16"])
    assert np.isfinite(metrics["test/mase"])
    assert {name.split("/")[1] for name in metrics if name.startswith("baseline")} == {
        "naive",
        "seasonal_naive",
        "ridge",
    }
    (figures,) = in_tmp.rglob("figures")
    assert {path.stem for path in figures.glob("*.png")} >= {"forecasts", "error_per_step", "learning_curves"}


@pytest.mark.realdata
@pytest.mark.skipif("NNZOO_DATA" not in os.environ, reason="needs ETTh1 under $NNZOO_DATA")
def test_a_linear_map_on_etth1_is_near_the_published_error():
    """Standardised MSE at horizon 96, history 336: linear maps have 0.375 in arXiv:2205.13504."""
    linear = {"net": "linear", "lr": 0.005, "lr_schedule": "cosine"}
    module, data = build("forecaster_etth1", linear, {"batch_size": 32})
    trainer = L.Trainer(**QUIET, max_epochs=3)
    trainer.fit(module, data)
    (metrics,) = trainer.test(module, data, verbose=False)
    assert metrics["test/mse"] == pytest.approx(0.375, abs=0.01)
