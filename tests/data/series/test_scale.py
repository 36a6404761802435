import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from nnzoo.data.series.scale import column_scales, naive_errors, offsets_of


def test_each_series_has_scikit_learns_scale_and_a_still_one_the_median_of_the_others():
    rng = np.random.default_rng(0)
    parts = [size * rng.normal(5, 1, (50, 2)) for size in (1.0, 10.0, 1000.0)]
    mean, std = column_scales(parts)
    for number, rows in enumerate(parts):
        scaler = StandardScaler().fit(rows)
        np.testing.assert_allclose(mean[number], scaler.mean_)
        np.testing.assert_allclose(std[number], scaler.scale_)
    for still in (0.0, 7.0, np.full(50, 0.1).cumsum() * 1e-17 + 3):
        rows = parts[0].copy()
        rows[:, 1] = still
        _, others = column_scales([*parts, rows])
        np.testing.assert_allclose(others[3], [std[0, 0], np.median(std[:, 1])])


@pytest.mark.parametrize("level", [1e6, 1e9, -3e9 - 0.3, 1e12])
def test_an_offset_leaves_float32_what_moves(level):
    """Also where the level itself is no float32 number."""
    values = level + np.random.default_rng(0).normal(0, 100, (500, 1))
    offset = offsets_of(values.mean(axis=0), values.std(axis=0))
    assert (offset.astype(np.float32) == offset).all()
    kept = (values - offset).astype(np.float32)
    np.testing.assert_allclose(kept.astype(float) + offset, values, rtol=0, atol=0.01)
    assert offsets_of(np.array([50.0]), np.array([1.0])) == 0


def test_the_scale_of_mase_of_values_far_from_0_is_theirs():
    rows = np.random.default_rng(0).normal(0, 1, (90, 1)).cumsum(axis=0)
    np.testing.assert_allclose(naive_errors([rows + 1e9], 7), naive_errors([rows], 7), rtol=1e-5)
    assert naive_errors([rows], 7)[0, 0] == pytest.approx(np.abs(rows[7:] - rows[:-7]).mean())
