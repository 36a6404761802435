"""Several series of very different size, each with a scale of its own, and values far from 0."""

import numpy as np
import pandas as pd
import pytest
import torch

from nnzoo import Forecaster, InputError
from support.forecaster import HORIZON, H, walk

pytestmark = pytest.mark.filterwarnings("ignore:.*")
CUT = 280
"""First validation row of a walk."""


def shop(name, size=1.0, seed=0):
    table = walk(columns=1, seed=seed)
    return table.assign(units=table["units"] * size, shop=name)


def test_the_units_of_one_series_do_not_matter_to_the_others(trained_forecaster):
    """In other units, every series gives the same losses and forecasts, up to rounding."""
    tables = shop("a"), shop("b", seed=1), shop("c", seed=2)
    module, data, metrics = trained_forecaster(pd.concat(tables), group="shop")
    rescaled = pd.concat([table.assign(units=table["units"] * 10.0**k) for k, table in enumerate(tables)])
    other, other_data, others = trained_forecaster(rescaled, group="shop")
    for name in ("test/loss", "test/mse", "test/mae", "test/mase", "baseline/ridge/mse", "baseline/naive/mase"):
        assert others[name] == pytest.approx(metrics[name], rel=1e-3), name
    units = torch.tensor([1.0, 10.0, 100.0])[:, None, None]
    with torch.no_grad():
        forecasts, in_units = module(*data.last_windows()), other(*other_data.last_windows())
    torch.testing.assert_close(in_units, forecasts * units, rtol=1e-3, atol=1e-3)


def test_standardised_errors_are_in_units_of_each_series_own_standard_deviation(trained_forecaster):
    tables = shop("small"), shop("large", size=1000, seed=1)
    module, data, metrics = trained_forecaster(pd.concat(tables), group="shop")
    history, target, place, _ = data.windows("test", 10_000)
    with torch.no_grad():
        errors = (module(history, place) - target).numpy().astype(float)
    std = np.array([table["units"][:CUT].std(ddof=0) for table in tables])[place[:, 0], None, None]
    assert metrics["test/mse"] == pytest.approx(np.square(errors / std).mean(), rel=1e-4)
    assert metrics["test/mae"] == pytest.approx(np.abs(errors / std).mean(), rel=1e-4)
    assert metrics["test/rmse"] == pytest.approx(np.sqrt(np.square(errors).mean()), rel=1e-4)


def test_values_far_from_0_lose_nothing(trained_forecaster):
    """A billion more gives the same errors, of the baselines too, and forecasts that are a billion more."""
    module, data, metrics = trained_forecaster(walk())
    far = walk()
    far["units"] += 1e9
    other, other_data, others = trained_forecaster(far)
    for name in set(metrics) - {name for name in metrics if name.endswith("smape")}:
        assert others[name] == pytest.approx(metrics[name], rel=1e-3), name
    assert others["test/smape"] < metrics["test/smape"]
    with torch.no_grad():
        forecasts, moved = module(*data.last_windows()), other(*other_data.last_windows())
    assert moved.dtype == torch.float64
    torch.testing.assert_close(moved - torch.tensor([1e9, 0.0]), forecasts.double(), rtol=1e-3, atol=1e-2)
    history = torch.tensor(far[["units", "income"]].to_numpy()[None, -H:])
    torch.testing.assert_close(other(history), moved, rtol=0, atol=0.01)


def test_a_series_that_was_not_trained_on_is_scaled_by_its_history():
    module = Forecaster(history=H, horizon=HORIZON, column_mean=[[5.0], [70.0]], column_std=[[1.0], [9.0]],
                        series_names=["a", "b"], hidden_size=8).eval()  # fmt: skip
    history, unknown = torch.randn(3, H, 1) * 4 + 30, torch.full((3, 1), -1)
    scale = module.scale_of(history, unknown)
    np.testing.assert_allclose(scale.mean.flatten(), history.numpy().mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(scale.std.flatten(), history.numpy().std(axis=(1, 2)), rtol=1e-5)
    known = module.scale_of(history, torch.tensor([[1], [0], [1]]))
    assert known.mean.flatten().tolist() == [70, 5, 70]
    assert known.std.flatten().tolist() == [9, 1, 9]
    with torch.no_grad():
        torch.testing.assert_close(module(100 * history, unknown), 100 * module(history, unknown))
        assert module(torch.full((1, H, 1), 7.0), torch.tensor([[-1]])).isfinite().all(), "a constant history"
    with pytest.raises(InputError, match="trained on 2 series: give the number of each history's series"):
        module(history)


def test_a_checkpoint_knows_its_series_by_their_names(trained_forecaster, tmp_path):
    module, _, _ = trained_forecaster(pd.concat([shop("a"), shop("b", 10, seed=1)]), group="shop")
    module.trainer.save_checkpoint(tmp_path / "x.ckpt")
    own = {"column_mean": [[1.0], [2.0]], "column_std": [[3.0], [4.0]], "series_names": ["new", "b"]}
    fresh = Forecaster(**{**module.hparams, **own})
    fresh.on_load_checkpoint(torch.load(tmp_path / "x.ckpt", weights_only=True))
    for name, ours in (("column_mean", 1.0), ("column_std", 3.0)):
        assert fresh.hparams[name] == [[ours], module.hparams[name][1]]
    assert fresh.scaler.std[:, 0].tolist() == pytest.approx([3.0, module.hparams["column_std"][1][0]])


def test_short_series_get_steps_enough(trained_forecaster):
    module, data, _ = trained_forecaster(walk(100), min_windows=1000)
    windows = len(data.parts["train"].origins)
    assert windows < 100
    assert module.trainer.global_step == 2 * (windows * -(-1000 // windows) // 32)
    assert len(data.windows("train", 10_000).history) == windows, "the baselines see each once"


def test_a_step_finds_the_scale_of_its_windows_twice():
    """To standardise them, and once for all metrics: it takes the mean of every history."""
    module = Forecaster(column_mean=[2.0, -1.0], column_std=[3.0, 0.5], history=H, horizon=HORIZON)
    calls = []
    module.scaler.register_forward_hook(lambda *_: calls.append(1))
    module.validation_step((torch.randn(4, H, 2), torch.randn(4, HORIZON, 1)), 1)  # the first is looked at, too
    assert len(calls) == 2
