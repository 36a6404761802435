import itertools

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix as counted

from nnzoo.plots.supervised import confusion_matrix, predictions
from support.drawn import named_lines, pixels, points, texts

TRUE = [0, 0, 0, 0, 1, 1, 2]
PREDICTED = [0, 1, 1, 2, 1, 0, 2]
COUNTS = counted(TRUE, PREDICTED)


def test_true_classes_stand_in_rows_and_predicted_ones_in_columns():
    axis, bar = confusion_matrix(torch.from_numpy(COUNTS), ["ant", "bee", "cat"]).axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")
    assert texts(axis.get_xticklabels()) == texts(axis.get_yticklabels()) == ["ant", "bee", "cat"]
    np.testing.assert_allclose(pixels(axis), counted(TRUE, PREDICTED, normalize="true"))
    written = {(round(y), round(x)): int(text.get_text()) for text in axis.texts for x, y in [text.get_position()]}
    assert written == {(row, column): COUNTS[row, column] for row, column in np.argwhere(COUNTS)}
    assert axis.get_ylim()[0] > axis.get_ylim()[1], "the first class is on top"
    assert bar.get_ylabel() == "share of the true class"
    assert axis.images[0].get_clim() == (0, 1)


def test_numbers_on_dark_cells_are_white():
    axis = confusion_matrix(torch.tensor([[9, 1], [4, 6]]), []).axes[0]
    colors = {text.get_text(): text.get_color() for text in axis.texts}
    assert colors == {"9": "white", "1": "black", "4": "black", "6": "white"}
    assert texts(axis.get_xticklabels()) == ["0", "1"], "classes without names have their numbers"


def test_a_class_without_samples_and_many_classes_are_drawn():
    axis = confusion_matrix(torch.tensor([[0, 0], [1, 2]]), ["a", "b"]).axes[0]
    np.testing.assert_allclose(pixels(axis), [[0, 0], [1 / 3, 2 / 3]])
    many = confusion_matrix(torch.eye(31, dtype=torch.long), []).axes[0]
    assert not many.texts


@pytest.mark.parametrize(
    ("name", "labels"), [("", ("true", "predicted")), ("price", ("true price", "predicted price"))]
)
def test_the_truth_lies_across_and_predictions_upwards(name, labels):
    predicted, target = torch.tensor([1.0, 5.0, 2.0]), torch.tensor([1.5, 4.0, 3.0])
    (axis,) = predictions(predicted, target, name).axes
    assert (axis.get_xlabel(), axis.get_ylabel()) == labels
    np.testing.assert_allclose(points(axis), torch.stack([target, predicted], dim=1))
    ((x, y),) = named_lines(axis).values()
    assert list(x) == list(y) == pytest.approx([1, 5]), "on it both agree"


@pytest.mark.parametrize(("scale", "offset"), [(1e-4, 3e-4), (1e6, 3e6), (1.0, 1234567.0), (1e9, 2e9)])
def test_long_numbers_and_a_long_name_fit_side_by_side(scale, offset):
    target = torch.linspace(-2, 2, 50, dtype=torch.float64) * scale + offset
    figure = predictions(target, target, "income of a household in thousands of euros (2024)")
    figure.draw_without_rendering()
    (axis,) = figure.axes
    boxes = [label.get_window_extent() for label in axis.get_xticklabels() if label.get_text()]
    shown = [box for box in boxes if axis.bbox.x0 <= (box.x0 + box.x1) / 2 <= axis.bbox.x1]
    assert len(shown) >= 2
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(shown))
    label, times = axis.xaxis.label.get_window_extent(), axis.xaxis.get_offset_text()
    assert not times.get_text() or label.x1 < times.get_window_extent().x0
    assert figure.bbox.x0 <= label.x0
    assert axis.yaxis.label.get_window_extent().y1 <= figure.bbox.y1


def test_dollars_in_a_name_are_no_formula():
    target = torch.tensor([1.0, 2.0])
    figure = predictions(target, target, "$ per $ of {_$")
    figure.draw_without_rendering()
    assert figure.axes[0].get_xlabel() == r"true \$ per \$ of {_\$"
