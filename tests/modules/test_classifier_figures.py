import lightning as L
import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import MLPClassifier, MLPRegressor
from support.drawn import pixels, points, texts
from support.quiet import QUIET

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def test_the_confusion_matrix_is_that_of_the_whole_test_with_the_true_classes_in_rows():
    module = MLPClassifier(num_numeric=4, num_classes=3, hidden=[8]).eval()
    for count in (30, 90):  # a second test counts anew
        numbers, labels = torch.randn(count, 4), torch.randint(3, (count,))
        loader = DataLoader(TensorDataset(numbers, labels), batch_size=40)
        L.Trainer(**QUIET).test(module, loader, verbose=False)
    predicted = module(numbers).argmax(dim=1)
    axis = module.figures(None, {"classes": ["a", "b", "c"]})["confusion_matrix"].axes[0]
    np.testing.assert_allclose(pixels(axis), confusion_matrix(labels, predicted, normalize="true"), rtol=1e-6)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")
    assert texts(axis.get_yticklabels()) == ["a", "b", "c"]


def test_before_a_test_there_is_no_confusion_matrix():
    assert MLPClassifier(num_numeric=4, num_classes=3).figures(None, {}) == {}


def test_predictions_and_truth_are_drawn_in_the_targets_units():
    module = MLPRegressor(num_numeric=4, target_mean=100.0, target_std=5.0).eval()
    numbers, target = torch.randn(20, 4), 100 + 5 * torch.randn(20)
    with torch.no_grad():
        (axis,) = module.figures((numbers, target), {"target_name": "price"})["predictions"].axes
        np.testing.assert_allclose(points(axis), torch.stack([target, module(numbers)], dim=1), rtol=1e-6)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("true price", "predicted price")
