"""Errors of forecasts as torchmetrics objects: preds and target are (B, horizon, C) in the series' own units."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.regression import SymmetricMeanAbsolutePercentageError


class ScaledError(Metric):
    """Absolute or squared error in units of a scale for each target, the mean over windows and steps, then targets.

    With scale 1, MAE or (R)MSE in the series' units; with the training part's standard deviation, of the standardised
    series; with its seasonal-naive error, MASE: mean |y - y_hat| / mean |y_t - y_(t - season)|, the denominator from
    the training part (Hyndman & Koehler 2006).

    Args:
        scale: Divisor for each of the C targets.
        squared: Square the errors.
        root: Take the root of each target's mean.
    """

    full_state_update = False
    higher_is_better = False
    is_differentiable = True
    scale: Tensor
    total: Tensor
    count: Tensor

    def __init__(self, scale: Sequence[float], squared: bool = False, root: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.squared, self.root = squared, root
        self.register_buffer("scale", torch.tensor(list(scale), dtype=torch.float32), persistent=False)
        self.add_state("total", torch.zeros(len(scale)), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Adds a batch."""
        errors = (preds - target) / self.scale
        self.total += (errors.square() if self.squared else errors.abs()).sum(dim=(0, 1))
        self.count += preds.shape[0] * preds.shape[1]

    def compute(self) -> Tensor:
        """The mean so far."""
        means = self.total / self.count
        return (means.sqrt() if self.root else means).mean()


class SymmetricPercentageError(SymmetricMeanAbsolutePercentageError):
    """SMAPE in percent: the mean of 200 |y - y_hat| / (|y| + |y_hat|), from 0 to 200; 0 where both are 0."""

    def compute(self) -> Tensor:
        """The mean so far."""
        return 100 * super().compute()
