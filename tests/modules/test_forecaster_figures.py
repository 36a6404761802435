"""Pictures of forecasts name the series and have dates on the axis: every line against the user's file."""

import matplotlib.dates as mdates
import numpy as np
import pandas as pd
import pytest
import torch

from nnzoo.data.facts import Facts
from support.drawn import named_lines
from support.forecaster import HORIZON, H, walk

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def drawn(module, data):
    with torch.no_grad():
        figure = module.figures(data.choose("test", 50), Facts(data))["forecasts"]
    figure.draw_without_rendering()
    return [axis for axis in figure.axes if axis.get_visible()]


def test_windows_are_named_by_series_and_column_and_stand_at_their_dates(trained_forecaster):
    tables = {"north": walk(), "south": walk(seed=1)}
    tables["north"]["units"] += 1e9
    module, data, _ = trained_forecaster(pd.concat([t.assign(shop=n) for n, t in tables.items()]), group="shop")
    axes, seen = drawn(module, data), set()
    for panel, axis in enumerate(axes):
        column, series = axis.get_title().split(", ")
        assert column == ("units", "income")[panel % 2]
        seen.add(series)
        values = tables[series].set_index("date")[column]
        past, truth = axis.lines[0], named_lines(axis)["truth"]
        for dates, drawn_values in (past.get_data(), truth):
            expected = values[pd.DatetimeIndex(dates).strftime("%Y-%m-%d")]
            np.testing.assert_allclose(drawn_values, expected, rtol=1e-5, atol=1e-3)
        dates = pd.DatetimeIndex(np.append(past.get_xdata(), truth[0][1:]))
        assert len(dates) == 3 * HORIZON
        assert (np.diff(dates) == np.timedelta64(1, "D")).all()
        forecast = named_lines(axis)["seasonal naive"]
        assert list(forecast[0]) == list(truth[0][1:])
        origin = list(values.index).index(dates[2 * HORIZON].strftime("%Y-%m-%d"))
        season = values.iloc[origin - 7 : origin - 7 + HORIZON]
        np.testing.assert_allclose(forecast[1], season, rtol=1e-5, atol=1e-3)
        ticks = [tick for tick in axis.get_xticks() if np.diff(np.sign(axis.get_xlim() - tick)) != 0]
        assert len(ticks) >= 2
        low, high = mdates.date2num(dates[[0, -1]])
        assert all(low - 7 <= tick <= high + 7 for tick in ticks)
        assert axis.xaxis.get_major_formatter().get_offset().startswith("202"), "the year beside the days"
    assert seen == {"north", "south"}


def test_numbers_count_on_the_axis_and_steps_where_there_are_no_times(trained_forecaster):
    numbered = walk(columns=1).drop(columns="date").assign(t=np.arange(1000, 1400))
    module, data, _ = trained_forecaster(numbered, time="t")
    for axis in drawn(module, data):
        assert axis.get_title() == "units"
        steps, values = axis.lines[0].get_data()
        np.testing.assert_allclose(values, numbered.set_index("t")["units"][steps], rtol=1e-5)
    module, data, _ = trained_forecaster(numbered, time=None, drop="t")
    for axis in drawn(module, data):
        assert axis.get_xlabel() == "steps ahead"
        assert list(axis.lines[0].get_xdata()) == list(range(1 - min(H, 2 * HORIZON), 1))


def test_the_networks_own_line_and_errors_are_those_of_its_forecasts(trained_forecaster):
    module, data, _ = trained_forecaster(walk())
    batch = data.choose("test", 50)
    with torch.no_grad():
        figures, forecast = module.figures(batch, Facts(data)), module(*batch[:-1])
        target = batch[-1] + batch[2][:, None, module.hparams["target_columns"]]
    axes = [axis for axis in figures["forecasts"].axes if axis.get_visible()]
    windows = torch.linspace(0, len(forecast) - 1, len(axes)).round().long().tolist()
    for panel, (axis, window) in enumerate(zip(axes, windows, strict=True)):
        lines = named_lines(axis)
        assert list(lines) == ["truth", "Forecaster", "seasonal naive"]
        np.testing.assert_allclose(lines["Forecaster"][1], forecast[window, :, panel % 2], rtol=1e-4)
    (axis,) = figures["error_per_step"].axes
    std = np.array(data.column_std)
    errors = (((forecast - target).numpy() / std) ** 2).mean(axis=(0, 2))
    np.testing.assert_allclose(named_lines(axis)["Forecaster"][1], errors, rtol=1e-3)
