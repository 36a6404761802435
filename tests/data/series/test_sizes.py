"""History and horizon: seasons of the series, or what fits into its parts."""

import re

import numpy as np
import pandas as pd
import pytest

from nnzoo import InputError
from nnzoo.data.splits import PARTS
from support.series import sales


def rows_of(count, freq):
    """A series with dates of a frequency, without a season that helps."""
    dates = pd.date_range("1500-01-01", periods=count, freq=freq, unit="s").astype(str)
    return pd.DataFrame({"date": dates, "units": np.random.default_rng(0).normal(50, 10, count)})


@pytest.mark.parametrize(
    ("count", "freq", "sizes"),
    [
        (14_400, "h", (168, 24)),
        (800, "D", (49, 7)),
        (2000, "MS", (84, 12)),
        (500, "QS", (28, 4)),
        (3000, "W", (364, 52)),
        (144, "MS", (48, 12)),
        (60, "MS", (12, 6)),  # validation and test part have 9 rows
        (260, "W", (52, 26)),
        (30, "MS", (12, 2)),
        (20, "D", (7, 2)),
        (4, "D", (1, 1)),
        (3000, "s", (84, 12)),  # not a day of seconds
    ],
)
def test_history_and_horizon_are_seasons_or_what_fits(data_of, count, freq, sizes):
    data = data_of(rows_of(count, freq), history=None, horizon=None)
    assert (data.history, data.horizon) == sizes
    assert all(len(data.parts[part]) for part in PARTS)


def test_one_size_that_is_given_leaves_room_for_the_other(data_of):
    table = rows_of(60, "MS")
    given = data_of(table, history=None, horizon=9)
    assert (given.history, given.horizon) == (12, 9)
    given = data_of(table, history=38, horizon=None)
    assert (given.history, given.horizon) == (38, 4), "the training part has 42 rows"
    assert data_of(sales(200), history=None, horizon=None, season=5).history == 35


def test_few_long_series_do_not_set_the_sizes_of_many_short_ones(data_of):
    long, short = rows_of(100, "MS"), [rows_of(100, "MS")[40:].assign(shop=shop) for shop in range(5)]
    data = data_of(pd.concat([*short, long.assign(shop=9)]), group="shop", history=None, horizon=None)
    assert (data.history, data.horizon) == (12, 10), "their training part has 30 rows, the long one's 70"
    assert all(len(data.parts[part].series.unique()) == 6 for part in PARTS)


@pytest.mark.parametrize(("history", "horizon"), [(168, 24), (41, 2), (8, 10), (500, 1)])
def test_the_largest_sizes_that_are_named_fit_and_larger_ones_do_not(data_of, history, horizon):
    table = rows_of(60, "MS")
    with pytest.raises(InputError) as error:
        data_of(table, history=history, horizon=horizon)
    named = dict(re.findall(r"--data\.(\w+) to (\d+) or less", str(error.value)))
    most, longest = int(named.get("horizon", horizon)), int(named["history"])
    assert most <= horizon
    assert all(len(data_of(table, history=longest, horizon=most).parts[part]) for part in PARTS)
    with pytest.raises(InputError):
        data_of(table, history=longest + 1, horizon=most)
    if most < horizon:
        with pytest.raises(InputError):
            data_of(table, history=1, horizon=most + 1)
