import numpy as np
import torch

from nnzoo.plots.strings import END, attention_maps
from support.drawn import pixels, texts


def test_outputs_are_rows_and_sources_are_columns():
    weights = torch.rand(6, 5)
    figure = attention_maps([("abc", "xyzw", weights), ("ab", "x", weights[:2])])
    first, second = figure.axes[:2]
    assert texts(first.get_xticklabels()) == ["a", "b", "c"]
    assert texts(first.get_yticklabels()) == ["x", "y", "z", "w", END]
    np.testing.assert_allclose(pixels(first), weights[:5, :3])
    np.testing.assert_allclose(pixels(second), weights[:2, :2])
    assert first.images[0].get_clim() == (0, 1)


def test_an_output_that_was_cut_has_no_end():
    axis = attention_maps([("ab", "xyz", torch.rand(3, 2))]).axes[0]
    assert texts(axis.get_yticklabels()) == ["x", "y", "z"]
