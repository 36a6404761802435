"""Metrics of classifiers and regressors that torchmetrics lacks."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import (
    BinaryAUROC,
    BinaryAveragePrecision,
    BinaryF1Score,
    BinaryPrecision,
    BinaryRecall,
    MulticlassConfusionMatrix,
)
from torchmetrics.regression import R2Score


class OfPositive(Metric):
    """A metric of one of two classes, the positive one, from probabilities (B, 2) and classes (B,).

    Args:
        positive: Number of the class.
        settings: What the metric takes.
    """

    def __init__(self, positive: int = 1, **settings: Any) -> None:
        super().__init__(**settings)
        self.positive = positive

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        super().update(preds[:, self.positive], (target == self.positive).long())  # type: ignore[safe-super]


class PositiveAUROC(OfPositive, BinaryAUROC):
    """Area under the ROC curve."""


class PositiveAveragePrecision(OfPositive, BinaryAveragePrecision):
    """Average precision."""


class PositiveF1(OfPositive, BinaryF1Score):
    """F1."""


class PositivePrecision(OfPositive, BinaryPrecision):
    """Precision."""


class PositiveRecall(OfPositive, BinaryRecall):
    """Recall."""


class MatthewsCorrelation(MulticlassConfusionMatrix):
    """Matthews' correlation coefficient of classes (Gorodkin 2004), from probabilities (B, K) and classes (B,).

    It is 0 where all truths or all predictions are of one class, as in scikit-learn; torchmetrics' own is then some
    number between -1 and 1 for two classes.
    """

    def compute(self) -> Tensor:
        """The coefficient, from -1 to 1."""
        counts = super().compute().double()
        true, predicted, total = counts.sum(dim=1), counts.sum(dim=0), counts.sum()
        covariance = counts.trace() * total - (true * predicted).sum()
        spread = (total**2 - true.square().sum()) * (total**2 - predicted.square().sum())
        return torch.where(spread > 0, covariance / spread.clamp(min=1).sqrt(), 0.0).float()


class StandardizedR2(R2Score):
    """R^2, which does not depend on units, of standardised numbers: torchmetrics' sums would lose those far from 0.

    Args:
        mean: Subtracted from predictions and targets.
        std: Their divisor.
    """

    def __init__(self, mean: float, std: float) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        super().update((preds - self.mean) / self.std, (target - self.mean) / self.std)
