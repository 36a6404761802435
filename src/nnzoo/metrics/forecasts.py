"""Errors of forecasts as torchmetrics objects: preds and target are (B, horizon, C) in the series' own units.

An offset may have been taken from both, so that numbers far from 0 keep their digits.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class ScaledError(Metric):
    """Absolute or squared error in units of a scale, the mean over windows and steps, then targets.

    Without a scale, MAE or (R)MSE in the series' units; with the training part's standard deviation, of the
    standardised series; with the seasonal-naive error of each window's own series, MASE: the mean of
    |y - y_hat| / mean |y_t - y_(t - season)|, the denominator from the training part (Hyndman & Koehler 2006).

    A scale of 0 counts as not defined: that window's target is left out. NaN if none is left.

    Args:
        num_targets: C.
        scale: Name under which :meth:`update` gets the scale; none if empty.
        squared: Square the errors.
        root: Take the root of each target's mean.
    """

    full_state_update = False
    higher_is_better = False
    is_differentiable = True
    total: Tensor
    count: Tensor

    def __init__(
        self, num_targets: int, scale: str = "", squared: bool = False, root: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.scale, self.squared, self.root = scale, squared, root
        self.add_state("total", torch.zeros(num_targets), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(num_targets, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor, **scales: Tensor) -> None:
        """Adds a batch; scales are (C,) or, one for each window, (B, C)."""
        errors = preds - target
        if self.scale:
            scale = scales[self.scale].expand(len(preds), -1)[:, None]
            errors = torch.where(scale > 0, errors / scale, 0.0)
            self.count += (scale > 0).sum(dim=(0, 1)) * preds.shape[1]
        else:
            self.count += preds.shape[0] * preds.shape[1]
        self.total += (errors.square() if self.squared else errors.abs()).sum(dim=(0, 1))

    def compute(self) -> Tensor:
        """The mean so far."""
        means = (self.total / self.count)[self.count > 0]
        return (means.sqrt() if self.root else means).mean()


class SymmetricPercentageError(Metric):
    """SMAPE in percent: the mean of 200 |y - y_hat| / (|y| + |y_hat|), from 0 to 200; 0 where both are 0.

    torchmetrics' own keeps the denominator above 1.17e-6, which is wrong for series of tiny numbers.
    """

    full_state_update = False
    higher_is_better = False
    is_differentiable = True
    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor, offset: Tensor | None = None) -> None:
        """Adds a batch, from whose values an offset (B, C) may have been taken."""
        level = 0.0 if offset is None else offset[:, None]
        sizes = (preds + level).abs() + (target + level).abs()
        self.total += 2 * ((preds - target).abs() / sizes.where(sizes > 0, 1.0)).sum()
        self.count += target.numel()

    def compute(self) -> Tensor:
        """The mean so far."""
        return 100 * (self.total / self.count)
