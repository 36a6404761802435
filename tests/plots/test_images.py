import numpy as np
import torch

from nnzoo.plots.images import image_grid, image_rows, tile
from support.drawn import pixels


def grey(*levels):
    """Images of 2x3 pixels, each of one grey level."""
    return torch.tensor(levels).view(-1, 1, 1, 1).expand(-1, 1, 2, 3)


def middles(canvas, columns):
    """The grey level of each tile of 2x3 pixels with a seam of one."""
    levels = canvas[0::3, 1::4, 0]
    assert levels.shape[1] == columns
    return [[round(float(level), 3) for level in row] for row in levels]


def test_images_fill_row_after_row_with_a_white_seam():
    canvas = tile(grey(0.1, 0.2, 0.3, 0.4, 0.5), columns=3)
    assert canvas.shape == (2 + 1 + 2, 3 * 3 + 2, 3)
    assert middles(canvas, 3) == [[0.1, 0.2, 0.3], [0.4, 0.5, 1.0]]
    assert (canvas[2] == 1).all(), "the seam between the rows"
    assert (canvas[:, 3] == 1).all(), "the seam between the columns"


def test_colours_keep_their_channels_and_what_leaves_the_range_is_cut():
    image = torch.stack([torch.full((2, 3), level) for level in (-1.0, 0.5, 2.0)])[None]
    np.testing.assert_array_equal(tile(image, 1)[0, 0], [0, 0.5, 1])
    upright = torch.arange(6.0).view(1, 1, 2, 3) / 6
    np.testing.assert_allclose(tile(upright, 1)[..., 0], upright[0, 0], rtol=1e-6)


def test_a_grid_is_as_wide_as_high_unless_told():
    figure = image_grid(grey(*np.linspace(0, 0.8, 5).round(1)), "samples")
    (axis,) = figure.axes
    assert middles(pixels(axis), 3) == [[0.0, 0.2, 0.4], [0.6, 0.8, 1.0]]
    assert figure.get_suptitle() == "samples"
    assert middles(pixels(image_grid(grey(0.1, 0.2), "", columns=1).axes[0]), 1) == [[0.1], [0.2]]


def test_every_row_of_images_has_its_own_name():
    figure = image_rows({"original": grey(0.1, 0.2), "reconstruction": grey(0.3, 0.4)}, "both")
    shown = {axis.get_ylabel(): middles(pixels(axis), 2) for axis in figure.axes}
    assert shown == {"original": [[0.1, 0.2]], "reconstruction": [[0.3, 0.4]]}
