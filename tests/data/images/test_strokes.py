"""Thickness and tilt of strokes, on bars whose answer is known and against moments found otherwise."""

import numpy as np
import pytest
import torch

from nnzoo.data.images.strokes import slant, stroke_weight


def bar(width, brightness=1.0, height=40):
    """An upright bar in the middle."""
    image = torch.zeros(1, 1, 48, 48)
    image[..., 4 : 4 + height, 20 : 20 + width] = brightness
    return image


def slanted(shear, width=4):
    """A bar whose rows move to the right by ``shear`` pixels for each row upwards."""
    image = torch.zeros(1, 1, 41, 61)
    for y in range(41):
        left = 28 + round(shear * (20 - y))
        image[0, 0, y, left : left + width] = 1
    return image


@pytest.mark.parametrize("width", [1, 2, 4, 6])
def test_the_weight_of_a_bar_is_its_width(width):
    """Area over half the length of the edge: w L / (L + w) with ends."""
    expected = width * 40 / (40 + width)
    assert float(stroke_weight(bar(width))) == pytest.approx(expected, rel=0.05)


def test_a_faint_line_is_thinner_than_a_pixel():
    assert float(stroke_weight(bar(1, 0.5))) == pytest.approx(0.5 * float(stroke_weight(bar(1))), rel=1e-5)


@pytest.mark.parametrize("shear", [-1.0, -0.5, 0.0, 0.25, 1.0])
def test_the_slant_of_a_bar_is_its_shear_to_the_right_upwards(shear):
    assert float(slant(slanted(shear))) == pytest.approx(shear, abs=0.03)


def test_the_slant_is_that_of_numpys_covariance():
    """Of pixels counted as often as they are bright, an image in colour by its mean."""
    images = torch.randint(0, 5, (6, 3, 7, 9), generator=torch.Generator().manual_seed(0))
    for image, found in zip(images, slant(images / 4), strict=True):
        counts = image.sum(0).numpy()
        y, x = np.mgrid[:7, :9]
        moments = np.cov(np.stack([y.ravel(), x.ravel()]), fweights=counts.ravel())
        assert float(found) == pytest.approx(-moments[0, 1] / moments[0, 0], abs=1e-5)


def test_mirroring_turns_the_slant_around_and_keeps_the_weight():
    images = torch.rand(5, 1, 8, 8)
    torch.testing.assert_close(slant(images.flip(-1)), -slant(images), rtol=1e-4, atol=1e-5)
    assert float(stroke_weight(bar(3).flip(-1))) == pytest.approx(float(stroke_weight(bar(3))), rel=1e-2)


def test_nothing_has_neither_weight_nor_slant():
    blank, line = torch.zeros(2, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    line[..., 3, :] = 1
    assert torch.equal(slant(blank), torch.zeros(2))
    assert torch.equal(stroke_weight(blank), torch.zeros(2))
    assert float(slant(line)) == 0
