import io
import warnings

import numpy as np
import pytest
import torch

from nnzoo.plots.series import Place, error_per_step, forecasts
from support.drawn import colors_of, legend_colors, named_lines, texts

HISTORY, TARGET = torch.randn(5, 9, 2), torch.randn(5, 3, 2)
PREDICTED = {"Forecaster": torch.randn(5, 3, 2), "seasonal naive": torch.randn(5, 3, 2)}


def test_every_line_is_what_the_legend_calls_it():
    figure = forecasts(HISTORY, TARGET, PREDICTED, ["units", "price"], panels=3)
    axes = [axis for axis in figure.axes if axis.get_visible()]
    assert len(axes) == 3
    for panel, (axis, window) in enumerate(zip(axes, (0, 2, 4), strict=True)):
        column = panel % 2
        lines = named_lines(axis)
        assert list(lines) == ["truth", "Forecaster", "seasonal naive"]
        for name, values in PREDICTED.items():
            np.testing.assert_allclose(lines[name][1], values[window, :, column])
        joined = [HISTORY[window, -1, column], *TARGET[window, :, column]]
        np.testing.assert_allclose(lines["truth"][1], joined)
        past = axis.lines[0]
        np.testing.assert_allclose(past.get_ydata(), HISTORY[window, -6:, column])
        assert list(lines["Forecaster"][0]) == list(lines["truth"][0][1:]), "forecast and truth at the same times"
        assert past.get_xdata()[-1] == lines["truth"][0][0]
        assert ("units", "price")[column] in axis.get_title()
    (legend,) = figure.legends
    assert texts(legend.get_texts()) == list(lines)
    named = [line for line in axes[0].lines if not line.get_label().startswith("_")]
    assert legend_colors(legend) == colors_of(named)
    assert len(set(legend_colors(legend).values())) == 3
    styles = {line.get_label(): line.get_linestyle() for line in named}
    assert styles == {"truth": "-", "Forecaster": "-", "seasonal naive": "--"}, "both are seen where they are the same"


@pytest.mark.parametrize("step", ["M", "D", "h", "m"])
@pytest.mark.parametrize("horizon", [1, 7, 12, 24, 45, 60])
def test_matplotlib_finds_ticks_for_windows_of_any_length(step, horizon):
    times = (np.datetime64("2020-01", step) + np.arange(3 * horizon)).astype("datetime64[ns]")
    values = torch.randn(1, 3 * horizon, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = forecasts(
            values[:, : 2 * horizon], values[:, -horizon:], {"Forecaster": values[:, -horizon:]}, ["units"],
            lambda window: ("", times),
        )  # fmt: skip
        ticks = figure.axes[0].get_xticks()
    assert 2 <= len(ticks) <= 8


def test_names_of_users_are_no_formulas_and_long_ones_are_shortened():
    figure = forecasts(HISTORY, TARGET, PREDICTED, ["$a^b^c$", "x" * 200], lambda window: Place("B$", None), panels=2)
    figure.savefig(io.BytesIO())  # of a formula, that would be an error
    titles = [axis.get_title() for axis in figure.axes if axis.get_visible()]
    assert titles[0] == r"\$a^b^c\$, B\$"
    assert len(titles[1]) < 40


def test_fewer_windows_than_panels_and_a_short_history_are_drawn():
    figure = forecasts(HISTORY[:1, :2], TARGET[:1], PREDICTED, [])
    (axis,) = (axis for axis in figure.axes if axis.get_visible())
    np.testing.assert_allclose(axis.lines[0].get_ydata(), HISTORY[0, :2, 0])


def test_the_error_of_a_step_is_the_mean_of_its_squares():
    (axis,) = error_per_step(TARGET, PREDICTED).axes
    lines = named_lines(axis)
    assert list(lines) == list(PREDICTED)
    for name, (steps, errors) in lines.items():
        assert list(steps) == [1, 2, 3]
        expected = ((PREDICTED[name] - TARGET).numpy() ** 2).mean(axis=(0, 2))
        np.testing.assert_allclose(errors, expected, rtol=1e-5)
    assert axis.get_ylim()[0] == 0
    assert "MSE" in axis.get_ylabel()
    assert texts(axis.get_legend().get_texts()) == list(PREDICTED)
