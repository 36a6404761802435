"""Metrics of classifiers that torchmetrics lacks or has otherwise."""

import pytest
import torch
from sklearn.metrics import matthews_corrcoef

from nnzoo.metrics.supervised import MatthewsCorrelation


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_matthews_correlation_is_scikit_learns_over_all_batches(classes):
    metric = MatthewsCorrelation(classes)
    labels = torch.randint(classes, (200,))
    scores = torch.rand(200, classes) + torch.nn.functional.one_hot(labels, classes) * 0.4
    for part in range(0, 200, 30):
        metric.update(scores[part : part + 30], labels[part : part + 30])
    assert float(metric.compute()) == pytest.approx(matthews_corrcoef(labels, scores.argmax(dim=1)), abs=1e-6)


@pytest.mark.parametrize(("labels", "predicted"), [
    ([0, 1, 1, 0, 1], [0, 0, 0, 0, 0]), ([1, 1, 1], [0, 1, 0]), ([1, 1], [1, 1]), ([0, 1, 2, 2], [2, 2, 2, 2]),
])  # fmt: skip
def test_matthews_correlation_is_0_where_there_is_one_class_only(labels, predicted):
    metric = MatthewsCorrelation(3 if 2 in labels else 2)
    metric.update(torch.tensor(predicted), torch.tensor(labels))
    assert float(metric.compute()) == matthews_corrcoef(labels, predicted) == 0


def test_matthews_correlation_of_many_samples_does_not_overflow():
    metric = MatthewsCorrelation(2)
    metric.confmat += torch.tensor([[400_000, 100_000], [50_000, 450_000]])
    a, b, c, d = 450_000, 400_000, 100_000, 50_000
    expected = (a * b - c * d) / ((a + c) * (a + d) * (b + c) * (b + d)) ** 0.5
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-6)
