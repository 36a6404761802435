import numpy as np
import pytest

from nnzoo.plots.curves import learning_curves
from support.drawn import colors_of, legend_colors, named_lines


def test_each_quantity_has_a_panel_and_each_stage_its_own_line():
    curves = {
        "loss": {"train": ([1, 2, 3], [0.9, 0.5, 0.4]), "val": ([1, 3], [0.8, 0.6])},
        "accuracy": {"val": ([1, 3], [0.2, 0.7])},
    }
    figure = learning_curves(curves)
    axes = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in axes] == ["loss", "accuracy"]
    for axis, stages in zip(axes, curves.values(), strict=True):
        assert axis.get_xlabel() == "epoch"
        lines = named_lines(axis)
        for stage, (epochs, values) in stages.items():
            np.testing.assert_array_equal(lines[stage], (epochs, values))
        shown, drawn = legend_colors(axis.get_legend()), colors_of(axis.lines)
        assert {stage: shown[stage] for stage in stages} == {stage: drawn[stage] for stage in stages}


def test_a_wild_start_does_not_hide_the_rest():
    epochs = list(range(1, 41))
    (axis,) = learning_curves({"loss": {"val": (epochs, [1e6, 1e5, 1e4, *np.linspace(3, 2, 37)])}}).axes
    assert axis.get_ylim() == pytest.approx((2 - 0.08, 3 + 0.08))
    (short,) = learning_curves({"loss": {"val": ([1, 2], [1e6, 1.0])}}).axes
    assert short.get_ylim()[1] > 1e6, "a few epochs are shown whole"


def test_epochs_are_whole_numbers():
    (axis,) = learning_curves({"loss": {"val": ([1, 2, 3, 4], [4.0, 3.0, 2.0, 1.0])}}).axes
    assert all(tick == round(tick) for tick in axis.get_xticks())


def test_values_that_are_not_finite_are_left_out_of_the_range():
    (axis,) = learning_curves({"loss": {"val": (list(range(30)), [np.nan, *range(28), np.inf])}}).axes
    assert np.isfinite(axis.get_ylim()).all()


def test_the_best_epoch_is_marked_in_every_panel():
    curves = {"loss": {"val": ([1, 2, 3], [0.8, 0.6, 0.7])}, "accuracy": {"val": ([1, 2, 3], [0.2, 0.6, 0.7])}}
    for axis in learning_curves(curves, best=2).axes[:2]:
        assert set(named_lines(axis)["best: epoch 2"][0]) == {2}
    assert not any("best" in name for name in named_lines(learning_curves(curves).axes[0]))
