"""Metrics of classifiers and regressors that torchmetrics lacks."""

from torch import Tensor
from torchmetrics.classification import BinaryAUROC, BinaryAveragePrecision
from torchmetrics.regression import R2Score


class PositiveAUROC(BinaryAUROC):
    """Area under the ROC curve of the second of two classes, from probabilities (B, 2)."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        super().update(preds[:, 1], target)


class PositiveAveragePrecision(BinaryAveragePrecision):
    """Average precision of the second of two classes, from probabilities (B, 2)."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        super().update(preds[:, 1], target)


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
