"""Metrics of drawn samples beside real ones, both given by their features."""

from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.utilities import dim_zero_cat

from nnzoo.errors import InputError

CHUNK = 1000
"""Samples whose distances to all others are held at once."""


class AsTheyAre(nn.Identity):
    """In the place of a network from images to features: features already, of that number."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features  # or torchmetrics would draw an image to find it out


class FrechetDistance(FrechetInceptionDistance):
    """Frechet distance of Gaussians fitted to real and to drawn features (Heusel et al. 2017, arXiv:1706.08500).

    Torchmetrics' own in float64, of features (N, F) instead of images. It is biased upwards, the more the fewer samples
    there are: compare values of the same number of samples only.

    Args:
        num_features: F.
        settings: What torchmetrics' metrics take.
    """

    def __init__(self, num_features: int, **settings: Any) -> None:
        super().__init__(AsTheyAre(num_features), **settings)
        self.num_features = num_features

    def update(self, features: Tensor, real: bool) -> None:
        """Adds features (B, F) of real or of drawn samples."""
        super().update(features.double(), real)  # the result has their type

    def compute(self) -> Tensor:
        """The distance.

        Raises:
            InputError: If there are no more samples than features: their covariance would be singular.
        """
        fewest = int(min(self.real_features_num_samples, self.fake_features_num_samples))
        if fewest <= self.num_features:
            raise InputError(
                f"A Frechet distance by {self.num_features} features needs more samples than that, got {fewest}."
            )
        return super().compute()


class ManifoldPrecisionRecall(Metric):
    """Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991).

    The manifold of a set is the union of balls around its features, each as large as the distance to the feature's
    k-th nearest neighbour in the set. Precision is the share of drawn samples on the manifold of the real ones, recall
    the share of real samples on that of the drawn ones: what a model that repeats a few good samples lacks.

    Args:
        k: Number of the neighbour.
        settings: What torchmetrics' metrics take.
    """

    full_state_update = False
    real: list[Tensor]
    drawn: list[Tensor]

    def __init__(self, k: int = 3, **settings: Any) -> None:
        super().__init__(**settings)
        self.k = k
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("drawn", [], dist_reduce_fx="cat")

    def update(self, features: Tensor, real: bool) -> None:
        """Adds features (B, F) of real or of drawn samples."""
        (self.real if real else self.drawn).append(features.double())

    def compute(self) -> dict[str, Tensor]:
        """``precision`` and ``recall``.

        Raises:
            InputError: If a set has no k-th neighbours.
        """
        real, drawn = dim_zero_cat(self.real), dim_zero_cat(self.drawn)
        fewest = min(len(real), len(drawn))
        if fewest <= self.k:
            raise InputError(f"Manifolds by the neighbour number {self.k} need more samples than that, got {fewest}.")
        return {"precision": share_within(drawn, real, self.k), "recall": share_within(real, drawn, self.k)}


def share_within(points: Tensor, centres: Tensor, k: int) -> Tensor:
    """Share of points (N, F) in a ball around one of the centres (M, F), as far as its k-th nearest other centre."""
    # Without a centre's distance to itself, the smallest, its k-th neighbour is the (k + 1)-th of all.
    radii = torch.cat([distances(part, centres).kthvalue(k + 1, dim=1).values for part in centres.split(CHUNK)])
    within = torch.cat([(distances(part, centres) <= radii).any(dim=1) for part in points.split(CHUNK)])
    return within.double().mean()


def distances(first: Tensor, second: Tensor) -> Tensor:
    """Euclidean distances (N, M), computed directly: by way of products, equal points are not at distance 0."""
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def sample_metrics(num_features: int) -> MetricCollection:
    """``frechet``, ``precision`` and ``recall`` of features (B, F), updated with ``real`` True and False."""
    return MetricCollection(
        {"frechet": FrechetDistance(num_features), "manifold": ManifoldPrecisionRecall()}, compute_groups=False
    )
