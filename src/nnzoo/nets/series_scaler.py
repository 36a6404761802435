"""Standardising the windows of several series, each by the scale of its own series."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from nnzoo.nets.precision import at_least_float32


class WindowScale(NamedTuple):
    """Mean and standard deviation that each window's columns are standardised by, each (B, 1, D)."""

    mean: Tensor
    std: Tensor

    def standardized(self, values: Tensor) -> Tensor:
        """Values (B, T, D) with mean 0 and standard deviation 1."""
        return (values - self.mean) / self.std

    def original(self, values: Tensor) -> Tensor:
        """Standardised values (B, T, D) in the series' units."""
        return values * self.std + self.mean

    def of(self, columns: Sequence[int]) -> "WindowScale":
        """The scale of some columns."""
        return WindowScale(self.mean[:, :, columns], self.std[:, :, columns])


class SeriesScaler(nn.Module):
    """Looks up the scale of each window's series; a series that is not known has that of the window's own history.

    Means are kept in two float32 numbers, so that they can be taken from values far from 0 without loss on devices that
    have no float64.

    Args:
        mean: Mean of each series and column (S, D), or (D,) of one series.
        std: Its standard deviation, likewise.
    """

    mean: Tensor
    rest: Tensor
    std: Tensor

    def __init__(self, mean: ArrayLike, std: ArrayLike) -> None:
        super().__init__()
        exact = np.atleast_2d(np.asarray(mean, dtype=np.float64))
        rounded = exact.astype(np.float32)
        spread = np.atleast_2d(np.asarray(std, dtype=np.float32))
        # Not in the state: they are hyperparameters of the module, whose number of series changes with the data.
        for name, values in (("mean", rounded), ("rest", (exact - rounded).astype(np.float32)), ("std", spread)):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)

    def forward(
        self,
        history: Tensor,
        series: Tensor | None = None,
        offset: Tensor | None = None,
        columns: Sequence[int] | None = None,
    ) -> WindowScale:
        """The scale of windows with these histories (B, H, D).

        Args:
            history: In the series' units, less the offset.
            series: Number of each window's series (B,), -1 where it is not known; the first one by default.
            offset: What was taken from the values (B, D); 0 by default.
            columns: Which of the columns the histories and the offset have; all by default.
        """
        chosen = slice(None) if columns is None else list(columns)
        history = at_least_float32(history)
        if series is None:
            series = torch.zeros(len(history), dtype=torch.long, device=history.device)
        table = (values[:, chosen][series.clamp(min=0)] for values in (self.mean, self.rest, self.std))
        mean, rest, std = (values.to(history.dtype) for values in table)
        mean = (mean if offset is None else mean - offset) + rest
        known = (series >= 0)[:, None]
        if history.device.type == "cpu" and known.all():  # elsewhere a look would wait for the device
            return WindowScale(mean[:, None], std[:, None])
        variance, own_mean = torch.var_mean(history.detach(), dim=1, correction=0)
        own_std = variance.sqrt().where(variance > 0, 1.0)
        return WindowScale(mean.where(known, own_mean)[:, None], std.where(known, own_std)[:, None])


def with_offset(values: Tensor, offset: Tensor) -> Tensor:
    """Values (B, T, D) with an offset (B, D) added again: float64 numbers in memory, unless it is all 0."""
    return values.cpu().double() + offset.cpu().double()[:, None] if offset.any() else values
