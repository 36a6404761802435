"""How many modes of a mixture of Gaussians samples reach, and how many samples lie in one."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from nnzoo.errors import InputError

NEAR = 3.0
"""A sample of high quality is at most so many standard deviations from its nearest mode."""


class ModeCounts(Metric):
    """Counts samples (N, D) of high quality by their nearest modes (Srivastava et al. 2017, arXiv:1705.07761).

    A sample that is not a number is of low quality.

    Args:
        centers: The modes (K, D).
        std: Their standard deviation along each axis.

    Raises:
        InputError: If there are no modes.
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False
    counts: Tensor
    total: Tensor

    def __init__(self, centers: Sequence[Sequence[float]] | Tensor, std: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.centers, self.std = torch.as_tensor(centers, dtype=torch.float64).tolist(), std
        if not self.centers or not std > 0:
            raise InputError(
                "There are no modes to count: take data whose law is a mixture of Gaussians, such as --data.dataset "
                "eight_gaussians."
            )
        self.add_state("counts", torch.zeros(len(self.centers), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, samples: Tensor) -> None:
        """Adds samples."""
        samples = samples.detach().float()
        # Not by way of a matrix product, whose rounding is as large as a narrow mode.
        away = torch.cdist(samples, samples.new_tensor(self.centers), compute_mode="donot_use_mm_for_euclid_dist")
        distance, nearest = away.min(dim=1)
        self.counts += nearest[distance <= NEAR * self.std].bincount(minlength=len(self.centers))
        self.total += len(samples)


class ModesFound(ModeCounts):
    """The number of modes that are the nearest of at least one sample of high quality.

    It grows with the number of samples: Srivastava et al. take 2,500.
    """

    def compute(self) -> Tensor:
        """The number so far."""
        return (self.counts > 0).sum().float()


class HighQuality(ModeCounts):
    """The share of samples of high quality, 1 - exp(-9/2) = 0.9889 of the points of well separated modes in 2-D."""

    def compute(self) -> Tensor:
        """The share so far."""
        return self.counts.sum() / self.total


def mode_metrics(centers: Sequence[Sequence[float]] | Tensor, std: float) -> MetricCollection:
    """``modes_found`` and ``high_quality`` of samples (N, D) beside modes (K, D) of a standard deviation."""
    return MetricCollection({"modes_found": ModesFound(centers, std), "high_quality": HighQuality(centers, std)})
