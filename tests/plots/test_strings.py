import numpy as np
import torch

from nnzoo.plots.strings import END, attention_maps, string_table
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


def test_wrong_outputs_are_red_and_dollars_are_dollars():
    figure = string_table(["ab", "$x$"], ["ba", "x$"], ["ba", "xx"])
    assert texts(figure.texts) == ["source", "target", "output", "ab", "ba", "ba", "$x$", "x$", "xx"]
    assert [text.get_text() for text in figure.texts if text.get_color() == "tab:red"] == ["xx"]
    x, y = (np.array([text.get_position()[i] for text in figure.texts]).reshape(3, 3) for i in (0, 1))
    assert (np.diff(x, axis=1) > 0).all(), "columns from left to right"
    assert (np.diff(y, axis=0) < 0).all(), "rows from top to bottom"
