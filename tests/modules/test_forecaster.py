import os

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from nnzoo.recipes import forecaster as recipe
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error

from nnzoo import ForecastDataModule, Forecaster, InputError
from nnzoo.baselines.series import ForecastBaselines
from support.forecaster import HORIZON, H, walk
from support.found import build, linked
from support.quiet import QUIET

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def flat(values):
    return values.flatten(0, 1).numpy().astype(float)


def expected_metrics(data, target, predicted):
    """By scikit-learn and NumPy, from all test windows at once."""
    y, y_hat = flat(target), flat(predicted)
    std, naive_error = np.array(data.column_std[0]), data.naive_error[0].numpy()
    return {
        "mse": mean_squared_error(y / std, y_hat / std),
        "mae": mean_absolute_error(y / std, y_hat / std),
        "rmse": root_mean_squared_error(y, y_hat),
        "mae_original": mean_absolute_error(y, y_hat),
        "mase": np.mean(np.abs(y - y_hat) / naive_error),
        "smape": np.mean(200 * np.abs(y - y_hat) / (np.abs(y) + np.abs(y_hat))),
    }


def test_metrics_and_baselines_are_those_of_all_test_windows_at_once(trained_forecaster):
    module, data, metrics = trained_forecaster(walk())
    history, target, *_ = data.windows("test", 10_000)
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


@torch.no_grad()
def test_forecasts_are_in_the_series_own_units():
    """The same windows in other units give the same forecasts in those units, and the same loss."""
    shared = {"history": H, "horizon": HORIZON, "target_columns": [1, 0], "hidden_size": 8}
    module = Forecaster(**shared, column_mean=[2.0, -1.0], column_std=[3.0, 0.5]).eval()
    other = Forecaster(**shared, column_mean=[2000.0, -1.0], column_std=[3000.0, 0.5]).eval()
    other.net.load_state_dict(module.net.state_dict())
    history, units = torch.randn(4, H, 2), torch.tensor([1000.0, 1.0])
    target, known = torch.randn(4, HORIZON, 2), (torch.zeros(4, 2).long(), torch.zeros(4, 2), torch.ones(4, 2))
    torch.testing.assert_close(other(history * units), module(history) * units[[1, 0]], rtol=1e-4, atol=1e-3)
    losses = [
        m.validation_step(batch, 0) or m.means.metrics["val/loss"].compute()
        for m, batch in (
            (module, (history, *known, target)),
            (other, (history * units, *known, target * units[[1, 0]])),
        )
    ]
    torch.testing.assert_close(*losses, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(module.predict_step((history, *known, target), 0), module(history))
    assert torch.equal(module(history, naive_error=5 * known[2]), module(history)), "MASE's scale is not used"


def test_the_scaler_is_undone_exactly():
    module = Forecaster(column_mean=[2.0, -1.0], column_std=[3.0, 0.5], history=4, target_columns=[0, 1])
    history = torch.randn(5, 4, 2)
    scale = module.scale_of(history)
    standardized = scale.standardized(history)
    torch.testing.assert_close(scale.original(standardized), history)
    np.testing.assert_allclose(standardized, (history.numpy() - [2, -1]) / [3, 0.5], rtol=1e-5, atol=1e-6)


def test_a_network_without_any_skill_has_the_loss_of_the_naive_forecast(trained_forecaster):
    module, data, metrics = trained_forecaster(walk(), {"net": "linear", "lr": 1e-12})
    with torch.no_grad():
        for parameter in module.net.parameters():
            parameter.zero_()
    history, target, *_ = data.windows("test", 10_000)
    predicted = module(history).detach()
    torch.testing.assert_close(predicted, history[:, -1:].expand(-1, HORIZON, -1))
    assert expected_metrics(data, target, predicted)["mse"] == pytest.approx(metrics["baseline/naive/mse"], rel=1e-4)


def test_a_linear_forecaster_reaches_least_squares(trained_forecaster):
    module, data, _ = trained_forecaster(walk(columns=1), {"net": "linear"})
    history, target, *_ = data.windows("train", 10_000)
    x, y = ((values[:, :, 0] - data.column_mean[0][0]) / data.column_std[0][0] for values in (history, target))
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


def test_a_checkpoint_of_windows_of_other_sizes_is_refused(trained_forecaster, tmp_path):
    module, data, _ = trained_forecaster(walk())
    module.trainer.save_checkpoint(tmp_path / "x.ckpt")
    loaded = Forecaster.load_from_checkpoint(tmp_path / "x.ckpt")
    torch.testing.assert_close(loaded(*data.last_windows()), module(*data.last_windows()))
    for change, says in (
        ({"history": 30}, "with history 24, these have history 30: set --data.history to match"),
        ({"horizon": 3}, "--data.horizon"),
        (
            {"history": 14, "horizon": 3},
            "with history 24 and horizon 6, these have history 14 and horizon 3: set --data.history, --data.horizon to",
        ),
        ({"target_columns": [0]}, "--data.target"),
        ({"column_mean": [0.0], "column_std": [1.0], "target_columns": [0], "columns": []}, "--data.inputs"),
        ({"columns": ["income", "units"]}, "another order than these data: sort them as units, income."),
        ({"columns": ["units", "price"]}, "(missing: income; not in the checkpoint: price)"),
        (
            {"column_mean": [0.0], "column_std": [1.0], "target_columns": [0], "columns": ["units"]},
            "(missing: income; not in the checkpoint: none)",
        ),
    ):
        other = Forecaster(**{**module.hparams, **change})
        with pytest.raises(InputError) as error:
            other.on_load_checkpoint(torch.load(tmp_path / "x.ckpt", weights_only=True))
        assert says in str(error.value)
    Forecaster(**{**module.hparams, "columns": []}).on_load_checkpoint({"hyper_parameters": module.hparams})


def test_the_scaler_of_a_checkpoint_counts_for_loss_metrics_and_baselines_of_other_data(trained_forecaster, tmp_path):
    module, _, _ = trained_forecaster(walk())
    module.trainer.save_checkpoint(tmp_path / "x.ckpt")
    std = np.array(module.hparams["column_std"][0])
    other = walk(seed=1)
    other[["units", "income"]] *= 7
    other.to_csv(tmp_path / "other.csv", index=False)
    data = ForecastDataModule(
        csv=str(tmp_path / "other.csv"), time="date", targets="all", history=H, horizon=HORIZON, batch_size=32
    )
    assert np.min(data.column_std / std) > 3
    fresh = Forecaster(**linked(Forecaster, data), hidden_size=8, instance_norm="last")
    trainer = L.Trainer(**QUIET, callbacks=[ForecastBaselines()])
    (metrics,) = trainer.test(fresh, data, ckpt_path=tmp_path / "x.ckpt", verbose=False)
    history, target, *_ = data.windows("test", 10_000)
    assert metrics["test/loss"] == pytest.approx(metrics["test/mse"], rel=1e-5)
    for name, predicted in (("test", module(history).detach()), ("baseline/naive", module.naive(history, 1))):
        y, y_hat = flat(target) / std, flat(predicted) / std
        assert metrics[f"{name}/mse"] == pytest.approx(mean_squared_error(y, y_hat), rel=1e-4)
        assert metrics[f"{name}/mae"] == pytest.approx(mean_absolute_error(y, y_hat), rel=1e-4)
    np.testing.assert_allclose(fresh.hparams["column_std"], [std], rtol=1e-6)


def shops(*tables):
    return pd.concat([table.assign(shop=f"s{number}") for number, table in enumerate(tables)])


def test_mase_of_several_series_is_in_units_of_each_ones_own_seasonal_naive_error(trained_forecaster):
    """Two walks, one with a hundred times the steps: a pooled scale would all but hide the small one."""
    first, second = walk(columns=1), walk(columns=1, seed=1)
    second["units"] *= 100
    module, data, metrics = trained_forecaster(shops(first, second), group="shop")
    history, target, place, _ = data.windows("test", 10_000)
    half = len(history) // 2
    for prefix, predicted in (
        ("test", module(history, place).detach()),
        ("baseline/naive", module.naive(history, 1)),
        ("baseline/seasonal_naive", module.naive(history, 7)),
    ):
        expected = []
        for rows, table in ((slice(half), first), (slice(half, None), second)):
            y = table["units"][:280].to_numpy()
            scale = np.abs(y[7:] - y[:-7]).mean()
            expected.append(mean_absolute_error(flat(target[rows]), flat(predicted[rows])) / scale)
        assert metrics[f"{prefix}/mase"] == pytest.approx(np.mean(expected), rel=1e-4)


def test_series_without_a_scale_are_left_out_of_mase_and_mase_where_none_has_one(trained_forecaster):
    repeats = walk(columns=1).assign(units=np.arange(400.0) % 7)
    module, data, metrics = trained_forecaster(shops(walk(columns=1), repeats), group="shop")
    history, target, place, _ = data.windows("test", 10_000)
    rows, scale = slice(len(history) // 2), data.naive_error[0, 0].item()
    own = mean_absolute_error(flat(target[rows]), flat(module(history, place)[rows].detach())) / scale
    assert metrics["test/mase"] == pytest.approx(own, rel=1e-4)
    module, _, metrics = trained_forecaster(shops(repeats, repeats), group="shop")
    assert not any("mase" in name for name in [*metrics, *module.trainer.callback_metrics])
    assert {"test/mse", "baseline/naive/mse", "baseline/ridge/smape"} <= set(metrics)
    assert np.isfinite(list(metrics.values())).all()


@pytest.mark.filterwarnings("default")
def test_a_model_worse_than_the_naive_forecast_says_so(trained_forecaster):
    bad = {"net": "linear", "instance_norm": "none", "lr": 1e-12}
    noise, wave = np.random.default_rng(0).normal(size=400), np.sin(2 * np.pi * np.arange(400) / 7)
    for units, name in ((noise.cumsum(), "naive"), (wave + 0.1 * noise, "seasonal-naive")):
        with pytest.warns(UserWarning, match=f"The {name} forecast is better than the model .test MSE [0-9.]+ against"):
            trained_forecaster(walk(columns=1).assign(units=units), bad)


def test_a_model_better_than_the_naive_forecasts_says_nothing(trained_forecaster, recwarn):
    table = walk(columns=1).assign(units=np.random.default_rng(0).normal(size=400))
    trained_forecaster(table, {"net": "linear", "instance_norm": "none", "lr": 1e-3})
    assert not [warning for warning in recwarn if "is better than the model" in str(warning.message)]


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
        ({"instance_norm": "seasonal", "season": 169}, "instance_norm seasonal needs a season in the history"),
        ({"column_mean": [0.0, 1.0]}, "column_mean and column_std for every series and column"),
        ({"series_names": ["a", "b"]}, "column_mean and column_std for every series and column"),
        ({"columns": ["a", "b"]}, "for every column"),
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
    with pytest.raises(InputError, match=r"set --data\.horizon to 18 or less and --data\.history to 66 or less"):
        recipe.main([*flags, *quick, "--data.history", "168", "--data.horizon", "24"])
    metrics = recipe.main([*flags, *quick])
    assert np.isfinite(metrics["test/mase"])
    assert {name.split("/")[1] for name in metrics if name.startswith("baseline")} == {
        "naive",
        "seasonal_naive",
        "ridge",
    }
    (figures,) = in_tmp.rglob("figures")
    assert {path.stem for path in figures.glob("*.png")} >= {"forecasts", "error_per_step", "learning_curves"}


def test_sixty_months_need_no_flags_and_other_columns_are_refused_by_name(in_tmp):
    months = pd.date_range("2019-01-01", periods=60, freq="MS").astype(str)
    table = pd.DataFrame({"month": months, "units": 50 + np.random.default_rng(0).normal(size=60).cumsum()})
    table["price"] = table["units"].shift(3, fill_value=48.0)
    table.to_csv("sales.csv", index=False)
    table.rename(columns={"price": "cost"}).to_csv("other.csv", index=False)
    table[["month", "price", "units"]].to_csv("order.csv", index=False)
    columns = ["--data.time", "month", "--data.target", "units"]
    quick = ["--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    metrics = recipe.main(["--data.csv", "sales.csv", *columns, *quick, "--trainer.max_epochs", "2"])
    assert np.isfinite(list(metrics.values())).all()
    (best,) = in_tmp.rglob("best.ckpt")
    for file, says in (("other.csv", "missing: price; not in the checkpoint: cost"), ("order.csv", "as units, price")):
        with pytest.raises(InputError, match=says):
            recipe.main(["test", "--ckpt_path", str(best), "--data.csv", file, *quick])


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
