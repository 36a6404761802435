import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, root_mean_squared_error

from nnzoo.metrics.forecasts import ScaledError, SymmetricPercentageError

STD = [0.5, 4.0, 1.5]


def forecasts(batch=11, horizon=4):
    target = torch.randn(batch, horizon, 3) * torch.tensor(STD) + 5
    return target + torch.randn(batch, horizon, 3), target


def measure(metric, preds, target, **scales):
    for part in zip(preds.split(4), target.split(4), strict=True):  # batches of 4, 4 and 3
        metric.update(*part, **scales)
    return metric.compute().item()


def columns(values):
    return values.flatten(0, 1).numpy()


def test_standardised_errors_are_scikit_learns_of_standardised_values():
    preds, target = forecasts()
    y, y_hat = (columns(values / torch.tensor(STD)) for values in (target, preds))
    std = torch.tensor(STD)
    mse, mae = ScaledError(3, "std", squared=True), ScaledError(3, "std")
    assert measure(mse, preds, target, std=std) == pytest.approx(mean_squared_error(y, y_hat))
    assert measure(mae, preds, target, std=std) == pytest.approx(mean_absolute_error(y, y_hat))


def test_errors_in_the_original_units_are_scikit_learns_mean_over_targets():
    preds, target = forecasts()
    y, y_hat = columns(target), columns(preds)
    rmse = ScaledError(3, squared=True, root=True)
    assert measure(rmse, preds, target) == pytest.approx(root_mean_squared_error(y, y_hat))
    assert measure(ScaledError(3), preds, target) == pytest.approx(mean_absolute_error(y, y_hat))


def test_mase_of_a_hand_computed_example():
    """Training series 1 3 2 6 5, season 2: differences |2-1|, |6-3|, |5-2| with mean 7/3. Errors 1 and 3, mean 2."""
    mase = ScaledError(1, "naive_error")
    mase.update(torch.tensor([[[4.0], [9.0]]]), torch.tensor([[[5.0], [6.0]]]), naive_error=torch.tensor([[7 / 3]]))
    assert mase.compute().item() == pytest.approx(2 / (7 / 3))


def test_the_seasonal_naive_forecast_has_mase_1_where_the_test_repeats_the_training_part():
    y = np.random.default_rng(0).normal(size=60).cumsum()
    scale = np.abs(y[7:] - y[:-7]).mean()
    mase = ScaledError(1, "naive_error")
    forecasts = (torch.from_numpy(values)[None, :, None] for values in (y[:-7], y[7:]))
    mase.update(*forecasts, naive_error=torch.tensor([[scale]]))
    assert mase.compute().item() == pytest.approx(1)


def test_every_window_is_divided_by_the_scale_of_its_own_series():
    """Errors 1 and 1, 10 and 30 of series with scales 2 and 100: a pooled scale would give another mean."""
    preds, target = torch.tensor([[[1.0], [1.0]], [[10.0], [30.0]]]), torch.zeros(2, 2, 1)
    mase = ScaledError(1, "naive_error")
    mase.update(preds, target, naive_error=torch.tensor([[2.0], [100.0]]))
    assert mase.compute().item() == pytest.approx((1 / 2 + 1 / 2 + 10 / 100 + 30 / 100) / 4)


def test_windows_without_a_scale_are_left_out_and_then_targets_are_averaged():
    preds, target = torch.tensor([[[3.0, 5.0]], [[4.0, 6.0]], [[7.0, 8.0]]]), torch.zeros(3, 1, 2)
    scales = torch.tensor([[2.0, 0.0], [0.0, 3.0], [7.0, 0.0]])
    mase = ScaledError(2, "naive_error")
    for window in range(3):
        mase.update(preds[[window]], target[[window]], naive_error=scales[[window]])
    assert mase.compute().item() == pytest.approx(((3 / 2 + 7 / 7) / 2 + 6 / 3) / 2)
    mase.reset()
    mase.update(preds, target, naive_error=torch.tensor([[2.0, 0.0]] * 3))
    assert mase.compute().item() == pytest.approx((3 + 4 + 7) / 3 / 2), "a target without any scale does not count"
    mase.reset()
    mase.update(preds, target, naive_error=torch.zeros(3, 2))
    assert mase.compute().isnan()


def test_smape_is_200_times_the_error_over_the_sum_and_0_for_0_and_0():
    preds, target = forecasts()
    y, y_hat = target.numpy().astype(float), preds.numpy().astype(float)
    expected = np.mean(200 * np.abs(y - y_hat) / (np.abs(y) + np.abs(y_hat)))
    assert measure(SymmetricPercentageError(), preds, target) == pytest.approx(expected)
    smape = SymmetricPercentageError()
    smape.update(torch.tensor([[[0.0], [0.0], [3.0], [2.0]]]), torch.tensor([[[0.0], [5.0], [-3.0], [2.0]]]))
    assert smape.compute().item() == pytest.approx((0 + 200 + 200 + 0) / 4)


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_smape_does_not_depend_on_the_unit(unit):
    preds, target = (unit * values for values in forecasts())
    y, y_hat = target.numpy().astype(float), preds.numpy().astype(float)
    expected = np.mean(200 * np.abs(y - y_hat) / (np.abs(y) + np.abs(y_hat)))
    assert measure(SymmetricPercentageError(), preds, target) == pytest.approx(expected, rel=1e-5)
