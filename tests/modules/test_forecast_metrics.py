import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error

from nnzoo.modules.forecast_metrics import ScaledError, SymmetricPercentageError

STD = [0.5, 4.0, 1.5]


def forecasts(batch=11, horizon=4):
    target = torch.randn(batch, horizon, 3) * torch.tensor(STD) + 5
    return target + torch.randn(batch, horizon, 3), target


def measure(metric, preds, target):
    for part in zip(preds.split(4), target.split(4), strict=True):  # batches of 4, 4 and 3
        metric.update(*part)
    return metric.compute().item()


def columns(values):
    return values.flatten(0, 1).numpy()


def test_standardised_errors_are_scikit_learns_of_standardised_values():
    preds, target = forecasts()
    y, y_hat = (columns(values / torch.tensor(STD)) for values in (target, preds))
    assert measure(ScaledError(STD, squared=True), preds, target) == pytest.approx(mean_squared_error(y, y_hat))
    assert measure(ScaledError(STD), preds, target) == pytest.approx(mean_absolute_error(y, y_hat))


def test_errors_in_the_original_units_are_scikit_learns_mean_over_targets():
    preds, target = forecasts()
    y, y_hat = columns(target), columns(preds)
    rmse = ScaledError([1.0] * 3, squared=True, root=True)
    assert measure(rmse, preds, target) == pytest.approx(root_mean_squared_error(y, y_hat))
    assert measure(ScaledError([1.0] * 3), preds, target) == pytest.approx(mean_absolute_error(y, y_hat))


def test_mase_of_a_hand_computed_example():
    """Training series 1 3 2 6 5, season 2: differences |2-1|, |6-3|, |5-2| with mean 7/3. Errors 1 and 3, mean 2."""
    mase = ScaledError([7 / 3])
    mase.update(torch.tensor([[[4.0], [9.0]]]), torch.tensor([[[5.0], [6.0]]]))
    assert mase.compute().item() == pytest.approx(2 / (7 / 3))


def test_the_seasonal_naive_forecast_has_mase_1_where_the_test_repeats_the_training_part():
    y = np.random.default_rng(0).normal(size=60).cumsum()
    scale = np.abs(y[7:] - y[:-7]).mean()
    mase = ScaledError([scale])
    mase.update(*(torch.from_numpy(values)[None, :, None] for values in (y[:-7], y[7:])))
    assert mase.compute().item() == pytest.approx(1)


def test_smape_is_200_times_the_error_over_the_sum_and_0_for_0_and_0():
    preds, target = forecasts()
    y, y_hat = target.numpy().astype(float), preds.numpy().astype(float)
    expected = np.mean(200 * np.abs(y - y_hat) / (np.abs(y) + np.abs(y_hat)))
    assert measure(SymmetricPercentageError(), preds, target) == pytest.approx(expected)
    smape = SymmetricPercentageError()
    smape.update(torch.tensor([[[0.0], [0.0], [3.0], [2.0]]]), torch.tensor([[[0.0], [5.0], [-3.0], [2.0]]]))
    assert smape.compute().item() == pytest.approx((0 + 200 + 200 + 0) / 4)
