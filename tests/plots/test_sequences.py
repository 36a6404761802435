import numpy as np
import torch

from nnzoo.plots.sequences import gradient_norms, tags
from support.drawn import colors_of, legend_colors, named_lines, pixels, texts


def test_the_gradient_of_each_network_is_its_own_line_and_the_trained_one_is_black():
    norms = {"rnn, untrained": torch.tensor([1e-6, 1e-3, 1.0]), "lstm, this run": torch.tensor([0.0, 0.2, 1.0])}
    (axis,) = gradient_norms(norms).axes
    lines = named_lines(axis)
    assert list(lines) == list(norms)
    np.testing.assert_allclose(lines["rnn, untrained"], [[1, 2, 3], [1e-6, 1e-3, 1.0]])
    np.testing.assert_allclose(lines["lstm, this run"][1], [np.nan, 0.2, 1.0], err_msg="0 has no logarithm")
    assert axis.get_yscale() == "log"
    assert "gradient" in axis.get_title()
    assert axis.get_xlabel() == "step"
    colors = colors_of(axis.lines)
    assert legend_colors(axis.get_legend()) == colors
    assert [name for name, color in colors.items() if color == (0, 0, 0)] == ["lstm, this run"]


def test_input_truth_and_prediction_stand_below_each_other_with_time_from_left_to_right():
    inputs, target, probabilities = torch.randn(7, 2), torch.eye(3)[torch.arange(7) % 3], torch.rand(7, 3)
    figure = tags(inputs, target, probabilities, ["speed", "height"], ["walk", "run", "rest"])
    panels = {axis.get_ylabel(): axis for axis in figure.axes if axis.images and axis.get_ylabel()}
    assert list(panels) == ["input", "truth", "prediction"]
    for axis, values in zip(panels.values(), (inputs, target, probabilities), strict=True):
        np.testing.assert_allclose(pixels(axis), values.T)
        left, right, bottom, top = axis.images[0].get_extent()
        assert (left, right) == (0.5, 7.5), "the first step is 1"
        assert bottom < top, "the first row is at the bottom"
    assert texts(panels["input"].get_yticklabels()) == ["speed", "height"]
    assert texts(panels["prediction"].get_yticklabels()) == ["walk", "run", "rest"]
    assert panels["truth"].images[0].get_clim() == panels["prediction"].images[0].get_clim() == (0, 1)
    assert panels["prediction"].get_xlabel() == "step"
