"""Several series in one file: where each is cut, its own scale, and those that are too short."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from nnzoo.data.splits import PARTS
from support.series import HORIZON, H, sales, whole


def test_several_series_are_cut_at_the_same_time_and_no_window_crosses_them(data_of):
    late = sales(60, seed=1)
    late["date"] = sales()["date"][40:].to_numpy()
    table = pd.concat([sales().assign(shop="early"), late.assign(shop="late")])
    data = data_of(table, group="shop", inputs="target")
    shops = [sales()["units"].to_numpy(np.float32), late["units"].to_numpy(np.float32)]
    for part, (start, end) in zip(PARTS, [(0, 70), (70, 85), (85, 100)], strict=True):
        expected = []
        for values, first in zip(shops, (0, 40), strict=True):
            for origin in range(H, len(values) - HORIZON + 1):
                if start <= first + origin and first + origin + HORIZON <= end:
                    expected.append((values[origin - H : origin], values[origin : origin + HORIZON]))
        history, target = whole(data, part)
        np.testing.assert_array_equal(history[:, :, 0], np.stack([window for window, _ in expected]))
        np.testing.assert_array_equal(target[:, :, 0], np.stack([window for _, window in expected]))
    training = [shops[0][:70].astype(float), shops[1][:30].astype(float)]
    for mean, std, y in zip(data.column_mean, data.column_std, training, strict=True):
        assert (mean[0], std[0]) == pytest.approx((y.mean(), y.std()), rel=1e-6)
    for scale, y in zip(data.naive_error[:, 0].tolist(), training, strict=True):
        assert scale == pytest.approx(np.abs(y[7:] - y[:-7]).mean(), rel=1e-5)


def test_every_window_comes_with_the_scale_of_its_own_series(data_of):
    shops = [sales(100, seed).assign(shop=seed) for seed in range(3)]
    for seed, shop in enumerate(shops):
        shop["units"] *= 10.0**seed
    data = data_of(pd.concat(shops), group="shop", targets="all")
    assert (data.naive_error[1:, 0] / data.naive_error[:-1, 0] > 3).all()
    for part in PARTS:
        dataset = data.parts[part]
        history, place, _, naive_error, _ = dataset.batch(torch.arange(len(dataset)))
        shop = (history[:, :, 0].mean(dim=1) / 50).log10().round().long()
        assert shop.unique().tolist() == [0, 1, 2]
        assert torch.equal(naive_error, data.naive_error[shop])
        assert torch.equal(place[:, 0], shop)


def test_a_series_without_a_scale_has_0(data_of):
    """One repeats exactly, one up to rounding, one has a training part of one season."""
    new = sales(37, seed=3).assign(date=sales()["date"][63:].to_numpy())
    exact = sales().assign(units=np.arange(100) % 7)
    rounded = sales().assign(units=50 + np.sin(2 * np.pi * np.arange(100) / 7))
    table = pd.concat(
        [sales().assign(shop="a"), exact.assign(shop="b"), rounded.assign(shop="c"), new.assign(shop="d")]
    )
    naive_error = data_of(table, group="shop", targets="all").naive_error
    assert (naive_error[:, 0] > 0).tolist() == [True, False, False, False]
    assert (naive_error[:, 1] > 0).tolist() == [True, True, True, False]
    assert naive_error.isfinite().all()


def test_a_part_in_which_no_series_has_a_scale_is_told_once(data_of):
    exact = sales().assign(units=np.arange(100) % 7)
    with pytest.warns(UserWarning, match="MASE") as caught:
        data_of(exact)
    said = [str(warning.message) for warning in caught if "MASE" in str(warning.message)]
    assert len(said) == 1
    assert said[0].startswith("MASE is left out (val and test)")


def test_series_that_end_early_are_named(data_of):
    table = pd.concat([
        sales().assign(shop="whole"),
        sales(60).assign(shop="first"),
        sales(80).assign(shop="second"),
        sales(87).assign(shop="third"),  # two rows of the test part, which are no horizon
        sales(5).assign(shop="tiny"),
    ])  # fmt: skip
    with pytest.warns(UserWarning, match="series") as caught:
        data_of(table, group="shop")
    said = [str(warning.message) for warning in caught]
    assert said == [
        f"1 of 5 series are too short for a window of {H} + {HORIZON} steps and not used: tiny.",
        "1 of 5 series end before the validation part, or leave no window in it, and are not validated on: first.",
        "3 of 5 series end before the test part, or leave no window in it, and are not tested: first, second, third.",
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data_of(pd.concat([sales().assign(shop="a"), sales().assign(shop="b")]), group="shop")


def test_of_many_series_the_first_five_are_named(data_of):
    many = [sales(40).assign(shop=f"s{number}") for number in range(8)]
    with pytest.warns(UserWarning, match=r"8 of 9 series .* are not tested: s0, s1, s2, s3, s4 and 3 more\."):
        data_of(pd.concat([sales().assign(shop="whole"), *many]), group="shop")
