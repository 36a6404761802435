import numpy as np
import pytest
import torch

from nnzoo.plots.classified_images import heat_maps, kernels, labelled_images, worst_mistakes
from support.drawn import pixels

IMAGES = torch.rand(5, 1, 4, 6)


def shown(axis):
    """The grey levels that an axis shows."""
    return pixels(axis)[..., 0]


def test_each_image_stands_below_its_label():
    figure = labelled_images(IMAGES, list("abcde"), "five")
    axes = [axis for axis in figure.axes if axis.get_visible()]
    assert [axis.get_title() for axis in axes] == list("abcde")
    for axis, image in zip(axes, IMAGES, strict=True):
        np.testing.assert_allclose(shown(axis), image[0])
    assert figure.get_suptitle() == "five"


def test_a_mistake_names_the_true_class_first_each_with_its_own_probability():
    probabilities = torch.tensor([[0.1, 0.7, 0.2], [0.55, 0.05, 0.4]])
    figure = worst_mistakes(IMAGES[:2], torch.tensor([0, 2]), probabilities, ["ant", "bee", "cat"])
    titles = [axis.get_title() for axis in figure.axes if axis.get_visible()]
    assert titles == ["ant (10 %)\n→ bee (70 %)", "cat (40 %)\n→ ant (55 %)"]


def test_kernels_share_one_scale_in_which_grey_is_zero():
    weights = torch.zeros(4, 3, 2, 2)
    weights[0, 0, 0, 0], weights[1, 2, 1, 1] = 2.0, -1.0
    (axis,) = kernels(weights).axes
    canvas = pixels(axis)
    assert canvas[0, 0] == pytest.approx([1, 0.5, 0.5]), "the largest weight is full red"
    assert canvas[1, 4] == pytest.approx([0.5, 0.5, 0.25]), "half as large and negative"
    assert canvas[0, 1] == pytest.approx([0.5] * 3)
    grey = pixels(kernels(weights[:, :2]).axes[0])
    assert grey.shape[0] == 3 * 2 + 2, "two channels of four kernels, eight tiles in rows of three"


def test_heat_lies_over_its_own_image_scaled_to_its_own_maximum():
    heat = torch.rand(3, 4, 6) * torch.tensor([1.0, 10.0, 0.0]).view(3, 1, 1)
    figure = heat_maps(IMAGES[:3], heat, ["a", "b", "c"])
    above, below = figure.axes[:3], figure.axes[3:]
    assert [axis.get_title() for axis in above] == ["a", "b", "c"]
    for number in range(3):
        np.testing.assert_allclose(shown(above[number]), IMAGES[number, 0])
        np.testing.assert_allclose(shown(below[number]), IMAGES[number, 0])
        expected = heat[number] / heat[number].max().clamp(min=1e-12)
        np.testing.assert_allclose(pixels(below[number], 1), expected, rtol=1e-6)
        assert below[number].images[1].get_clim() == (0, 1)
