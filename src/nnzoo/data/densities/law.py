"""What all laws in two dimensions have in common, and three kinds of them with exact densities."""

import math
from abc import abstractmethod
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.sources import Source
from nnzoo.data.splits import PARTS
from nnzoo.errors import InputError, check_sizes
from nnzoo.seeds import mix_seed

Array = NDArray[np.float64]
CHUNK = 1000
"""Points whose density is computed at once."""
NODES = 32
"""Of Gauss-Legendre quadrature, along each piece of a curve."""


class Points(NamedTuple):
    """Points drawn from a law.

    Attributes:
        points: (N, 2) float32.
        labels: Component of each (N,); 0 where the law has none.
    """

    points: Tensor
    labels: Tensor


class Modes(NamedTuple):
    """The modes of a mixture of equal round Gaussians.

    Attributes:
        centers: (K, 2) float64.
        std: The standard deviation of each along each axis.
    """

    centers: Tensor
    std: float


class Law(Source):
    """A law in two dimensions, from which points can be drawn without end.

    Components are equally probable. What a subclass defines is in the units of its literature; all that a law gives out
    is divided by its ``scale``, so that coordinates have a variance of about 1.
    """

    scale: ClassVar[float]
    """The divisor."""
    classes: ClassVar[list[str]] = []
    """Names of the components; empty if there is but one."""

    def load(self) -> dict[str, Points]:
        """The points of each part, each drawn by itself.

        Raises:
            InputError: If a part would be empty.
        """
        total = self.settings["num_samples"]
        check_sizes(num_samples=total)
        val, test = (max(1, round(total * self.settings[f"{part}_fraction"])) for part in PARTS[1:])
        sizes = {"train": total - val - test, "val": val, "test": test}
        if sizes["train"] < 1:
            raise InputError(f"{total} points leave none for training: raise --data.num_samples.")
        seeds = {part: mix_seed(self.settings["split_seed"], number) for number, part in enumerate(PARTS)}
        return {part: self.draw(size, seeds[part]) for part, size in sizes.items()}

    def draw(self, count: int, seed: int) -> Points:
        """Independent points.

        Args:
            count: How many.
            seed: The same seed, the same points.
        """
        rng = np.random.default_rng(seed)
        labels = rng.integers(max(1, len(self.classes)), size=count)
        points = self.place(labels, rng) / self.scale
        return Points(torch.from_numpy(points).float(), torch.from_numpy(labels))

    @abstractmethod
    def place(self, labels: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """A point (N, 2) of each of some components (N,), before it is scaled."""

    def log_density(self, points: Tensor) -> Tensor:
        """The logarithm of the density, in nats, at points (N, 2): (N,), computed in double precision on the CPU.

        It can be differentiated, as for the score of the law.
        """
        exact = points.to("cpu", torch.float64).split(CHUNK)
        return torch.cat([self.exact_log_density(chunk) for chunk in exact]).to(points)

    @abstractmethod
    def exact_log_density(self, points: Tensor) -> Tensor:
        """The logarithm of the density at scaled points (N, 2) of double precision."""

    def modes(self) -> Modes:
        """The modes, of a mixture of Gaussians.

        Raises:
            InputError: If the law is none.
        """
        raise InputError(
            f"The {self.name} has no modes to count: set --data.dataset eight_gaussians or twenty_five_gaussians."
        )


class NoisyLaw(Law):
    """Round Gaussian noise around centres or curves."""

    std: ClassVar[float]
    """The standard deviation of the noise, before scaling."""

    def place(self, labels: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Points without noise, and the noise."""
        return self.place_exactly(labels, rng) + self.std * rng.standard_normal((len(labels), 2))

    @abstractmethod
    def place_exactly(self, labels: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Points (N, 2) before noise and scale."""

    @abstractmethod
    def nodes(self) -> tuple[Array, Array]:
        """Points (K, 2) and weights (K,) that a mean over all points without noise is a weighted sum over."""

    @cached_property
    def _scaled_nodes(self) -> tuple[Tensor, Tensor]:
        places, weights = (torch.from_numpy(array) for array in self.nodes())
        return places / self.scale, (weights / weights.sum()).log()

    def exact_log_density(self, points: Tensor) -> Tensor:
        """Of a mixture with a Gaussian at every node."""
        (places, log_weights), variance = self._scaled_nodes, (self.std / self.scale) ** 2
        # Several times as fast as torch.distributions' mixture, and not by way of a matrix product, which rounds.
        squares = torch.cdist(points, places, compute_mode="donot_use_mm_for_euclid_dist").square()
        return (log_weights - squares / (2 * variance)).logsumexp(dim=1) - math.log(2 * math.pi * variance)


class GaussianMixtureLaw(NoisyLaw):
    """Equal round Gaussians, each of them a mode."""

    centers: ClassVar[Array]
    """(K, 2), before scaling."""

    def place_exactly(self, labels: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """The centres."""
        return self.centers[labels]

    def nodes(self) -> tuple[Array, Array]:
        """The centres."""
        return self.centers, np.ones(len(self.centers))

    def modes(self) -> Modes:
        """The Gaussians."""
        return Modes(torch.from_numpy(self.centers / self.scale), self.std / self.scale)


class CurveLaw(NoisyLaw):
    """Noise around one or several curves, along which a parameter is uniform."""

    span: ClassVar[tuple[float, float]]
    """From where to where the parameter goes."""
    pieces: ClassVar[int]
    """Parts of equal span that the quadrature cuts a curve into."""

    @abstractmethod
    def curve(self, parameter: Array, labels: NDArray[np.int64]) -> Array:
        """Points (N, 2) of some curves (N,) at parameters (N,)."""

    def place_exactly(self, labels: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Points of the curves."""
        return self.curve(rng.uniform(*self.span, len(labels)), labels)

    def nodes(self) -> tuple[Array, Array]:
        """Those of the quadrature, so close that the noise covers many of them."""
        edges = np.linspace(*self.span, self.pieces + 1)
        at, weights = np.polynomial.legendre.leggauss(NODES)
        parameter = (edges[:-1, None] + np.diff(edges)[:, None] * (at + 1) / 2).ravel()
        places = [self.curve(parameter, np.full(parameter.shape, k)) for k in range(max(1, len(self.classes)))]
        return np.concatenate(places), np.tile(weights, self.pieces * len(places))


class SquaresLaw(Law):
    """Uniform on squares of one size."""

    corners: ClassVar[Array]
    """Their lower left corners (K, 2), before scaling."""
    side: ClassVar[float]
    """Before scaling."""

    def place(self, labels: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Points of the squares."""
        return self.corners[labels] + self.side * rng.random((len(labels), 2))

    def exact_log_density(self, points: Tensor) -> Tensor:
        """-log of the area of all squares within them, else minus infinity."""
        side, corners = self.side / self.scale, torch.from_numpy(self.corners) / self.scale
        # By a hair more than the square, as single precision may round a point out of it.
        inside = (points[:, None] - corners - side / 2).abs().amax(dim=2) < side / 2 + 1e-6
        level = -math.log(len(corners) * side**2)
        return torch.where(inside.any(dim=1), level, -math.inf).to(points)
