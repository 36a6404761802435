import numpy as np
import torch

from nnzoo import Forecaster
from support.drawn import named_lines

MEAN, STD = [2.0, -1.0, 50.0], [3.0, 0.5, 10.0]
SEASON, HISTORY, HORIZON = 4, 12, 3


def small():
    settings = {"history": HISTORY, "horizon": HORIZON, "season": SEASON, "hidden_size": 8}
    columns = {"columns": ["rain", "wind", "units"], "target_columns": [2, 0]}
    return Forecaster(column_mean=MEAN, column_std=STD, **settings, **columns).eval()


def drawn(module):
    history = torch.randn(5, HISTORY, 3) * torch.tensor(STD) + torch.tensor(MEAN)
    target = torch.randn(5, HORIZON, 2) * torch.tensor([10.0, 3.0]) + torch.tensor([50.0, 2.0])
    with torch.no_grad():
        return history, target, module.figures((history, torch.ones(5, 2), target), {}), module(history)


def season_before(history):
    """What the targets were a season before each step to forecast."""
    return history[:, HISTORY - SEASON : HISTORY - SEASON + HORIZON][:, :, [2, 0]]


def test_forecasts_truth_and_the_season_before_are_drawn_in_the_series_units():
    history, target, figures, forecast = drawn(small())
    axes = [axis for axis in figures["forecasts"].axes if axis.get_visible()]
    for panel, axis in enumerate(axes):
        lines = named_lines(axis)
        assert list(lines) == ["truth", "Forecaster", "seasonal naive"]
        column = panel % 2
        assert ("units", "rain")[column] in axis.get_title()
        np.testing.assert_allclose(lines["truth"][1][1:], target[panel, :, column])
        np.testing.assert_allclose(lines["Forecaster"][1], forecast[panel, :, column], rtol=1e-5)
        np.testing.assert_allclose(lines["seasonal naive"][1], season_before(history)[panel, :, column], rtol=1e-5)
        past = axis.lines[0].get_ydata()
        np.testing.assert_allclose(past, history[panel, -len(past) :, [2, 0][column]], rtol=1e-5)


def test_the_error_at_each_step_is_that_of_the_standardised_series():
    history, target, figures, forecast = drawn(small())
    (axis,) = figures["error_per_step"].axes
    for name, predicted in (("Forecaster", forecast), ("seasonal naive", season_before(history))):
        errors = (((predicted - target) / torch.tensor([10.0, 3.0])).numpy() ** 2).mean(axis=(0, 2))
        np.testing.assert_allclose(named_lines(axis)[name][1], errors, rtol=1e-4)
