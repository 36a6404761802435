import numpy as np
import pytest
import torch
from torch import nn

from nnzoo import InputError
from nnzoo.nets.forecaster import (
    LinearMap,
    RecurrentMap,
    WindowForecaster,
    seasonal_naive_forecast,
    window_level_and_spread,
)

NORMS = ("none", "last", "mean_std")


def histories(batch=5, steps=12, columns=3):
    """Windows of different levels and spreads."""
    spread = torch.rand(batch, 1, columns, dtype=torch.float64) * 4 + 0.5
    return torch.randn(batch, steps, columns, dtype=torch.float64) * spread + 10 * torch.randn(batch, 1, columns)


class Echo(nn.Module):
    """Forecasts the normalised last steps themselves, of the first columns."""

    def __init__(self, horizon, columns):
        super().__init__()
        self.horizon, self.columns = horizon, columns

    def forward(self, history):
        return history[:, -self.horizon :, self.columns]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("independent", [False, True])
def test_the_normalisation_is_undone_exactly(norm, independent):
    history, targets = histories(), [2, 0]
    net = WindowForecaster(Echo(4, [0] if independent else targets), targets, norm, independent)
    torch.testing.assert_close(net(history), history[:, -4:, targets], rtol=1e-12, atol=1e-12)


def test_normalised_windows_have_mean_0_and_standard_deviation_1_or_end_in_0():
    history = histories()
    mean, std = window_level_and_spread(history, "mean_std")
    np.testing.assert_allclose(mean, history.numpy().mean(axis=1, keepdims=True))
    np.testing.assert_allclose(std, np.sqrt(history.numpy().var(axis=1, keepdims=True) + 1e-5))
    level, spread = window_level_and_spread(history, "last")
    assert torch.equal(level, history[:, -1:])
    assert (spread == 1).all()
    level, spread = window_level_and_spread(history, "none")
    assert (level == 0).all()
    assert (spread == 1).all()


@pytest.mark.parametrize("season", [1, 5, 6, 12])
def test_a_seasonal_level_is_the_last_seasons_and_within_it_the_last_value(season):
    history = histories()
    level, spread = window_level_and_spread(history, "seasonal", season)
    for step in range(12):
        earlier = step < 12 - season
        expected = history[:, 12 - season + (step - 12) % season] if earlier else history[:, -1]
        assert torch.equal(level[:, step], expected), step
    assert (spread == 1).all()
    if season == 1:
        last, _ = window_level_and_spread(history, "last")
        assert torch.equal(level, last.expand_as(history))


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize(("net", "season"), [("linear", 5), ("recurrent", 4), ("recurrent", 12), ("recurrent", 1)])
def test_an_untrained_seasonal_network_gives_the_seasonal_naive_forecast(net, season, independent):
    history, targets = histories(), [2, 0]
    sizes = (12, 1, 7, 1) if independent else (12, 3, 7, 2)
    body = LinearMap(*sizes) if net == "linear" else RecurrentMap(*sizes, hidden_size=8)
    forecast = WindowForecaster(body, targets, "seasonal", independent, season).double()(history)
    assert torch.equal(forecast, seasonal_naive_forecast(history[:, :, targets], 7, season))
    forecast.square().sum().backward()
    assert any(parameter.grad.any() for parameter in body.parameters()), "it learns from there"


@pytest.mark.parametrize("season", [4, 12])
def test_a_seasonal_network_sees_every_step_but_the_level(season):
    """Also with a history of one season, whose difference to itself would say nothing."""
    history, net = histories(), WindowForecaster(LinearMap(12, 3, 4, 3), [0, 1, 2], "seasonal", False, season).double()
    nn.init.normal_(net.body.linear.weight)
    correction = net(history) - seasonal_naive_forecast(history, 4, season)
    for step in range(11):
        other = history.clone()
        other[:, step] += 1
        assert not torch.allclose(net(other) - seasonal_naive_forecast(other, 4, season), correction), step


@pytest.mark.parametrize(("norm", "scale"), [("last", 1.0), ("mean_std", 3.0), ("seasonal", 1.0)])
def test_a_normalised_forecast_moves_with_the_level_and_scale_of_its_window(norm, scale):
    history = histories()
    net = WindowForecaster(RecurrentMap(12, 3, 4, 3, hidden_size=8), [0, 1, 2], norm, False, 4).double()
    nn.init.normal_(net.body.head.weight)
    torch.testing.assert_close(net(scale * history + 100), scale * net(history) + 100, rtol=1e-4, atol=1e-3)


def test_a_constant_window_gives_a_finite_forecast_and_gradient():
    net = WindowForecaster(LinearMap(12, 1, 4, 1), [0], "mean_std", False)
    net(torch.full((2, 12, 1), 7.0)).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in net.parameters())


def test_the_linear_map_weighs_every_value_of_the_history():
    net, history = LinearMap(12, 3, 4, 2).double(), histories()
    weights = net.linear.weight.detach().numpy().reshape(4, 2, 12, 3)
    expected = np.einsum("bid,tcid->btc", history.numpy(), weights) + net.linear.bias.detach().numpy().reshape(4, 2)
    np.testing.assert_allclose(net(history).detach(), expected)


def test_linear_independent_with_the_last_value_subtracted_is_nlinear():
    body, history = LinearMap(12, 1, 4, 1).double(), histories()
    forecast = WindowForecaster(body, [0, 1, 2], "last", independent=True)(history)
    for column in range(3):
        last = history[:, -1:, column]
        expected = nn.functional.linear(history[:, :, column] - last, body.linear.weight, body.linear.bias) + last
        torch.testing.assert_close(forecast[:, :, column], expected)


def test_the_recurrence_steps_over_patches():
    net, history = RecurrentMap(12, 3, 4, 2, hidden_size=8, patch_length=4, cell="lstm").double(), histories()
    patches = torch.stack([history[:, start : start + 4].reshape(5, 12) for start in (0, 4, 8)], dim=1)
    _, (h, _) = net.encoder.rnn(patches)
    torch.testing.assert_close(net(history), net.head(h[-1]).view(5, 4, 2))


def test_independent_columns_do_not_see_each_other():
    history = histories()
    net = WindowForecaster(RecurrentMap(12, 1, 4, 1, hidden_size=8), [0, 2], "last", independent=True).double()
    other = history.clone()
    other[:, :, 1:] = torch.randn(5, 12, 2)
    torch.testing.assert_close(net(other)[:, :, 0], net(history)[:, :, 0])
    assert not torch.allclose(net(other)[:, :, 1], net(history)[:, :, 1])
    alone = WindowForecaster(net.body, [0], "last", independent=True)(history[:, :, 2:])
    torch.testing.assert_close(net(history)[:, :, 1:], alone)


@pytest.mark.parametrize("season", [1, 5, 12])
def test_the_seasonal_naive_forecast_repeats_the_last_season(season):
    history = histories()
    forecast = seasonal_naive_forecast(history, 8, season)
    for step in range(8):
        assert torch.equal(forecast[:, step], history[:, 12 - season + step % season])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"patch_length": 5}, "not a whole number of patches of 5"),
        ({"patch_length": 0}, "patch_length must be positive"),
        ({"dropout": 1.0}, "dropout is a share"),
        ({"hidden_size": 0}, "hidden_size must be positive"),
        ({"num_layers": 0}, "num_layers must be positive"),
    ],
)
def test_settings_out_of_range(settings, says):
    with pytest.raises(InputError, match=says):
        RecurrentMap(12, 3, 4, 2, **settings)
