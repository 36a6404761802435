"""The laws by their names, each in the units and the scale of its literature."""

import sys
import typing

import numpy as np
from numpy.typing import NDArray

from nnzoo.data.densities.law import Array, CurveLaw, GaussianMixtureLaw, Law, SquaresLaw
from nnzoo.data.sources import sources_in


class EightGaussians(GaussianMixtureLaw):
    """Of standard deviation 0.02 on a circle of radius 2, divided by 1.414 (Gulrajani et al. 2017)."""

    name = "eight_gaussians"
    std, scale = 0.02, 1.414
    classes: typing.ClassVar = [f"{45 * k}°" for k in range(8)]
    centers = 2 * np.stack([np.cos(np.pi * np.arange(8) / 4), np.sin(np.pi * np.arange(8) / 4)], axis=1)


class TwentyFiveGaussians(GaussianMixtureLaw):
    """Of standard deviation 0.05 on the grid -4, -2, 0, 2, 4, divided by 2.828 (Gulrajani et al. 2017)."""

    name = "twenty_five_gaussians"
    std, scale = 0.05, 2.828
    classes: typing.ClassVar = [f"({x}, {y})" for x in range(-4, 5, 2) for y in range(-4, 5, 2)]
    centers = np.array([(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)], dtype=float)


class SwissRoll(CurveLaw):
    """The first and third coordinate of scikit-learn's ``make_swiss_roll(noise=0.25)``, divided by 7.5 (Gulrajani)."""

    name = "swiss_roll"
    std, scale = 0.25, 7.5
    span, pieces = (1.5 * np.pi, 4.5 * np.pi), 48

    def curve(self, parameter: Array, labels: NDArray[np.int64]) -> Array:
        """A spiral."""
        return parameter[:, None] * np.stack([np.cos(parameter), np.sin(parameter)], axis=1)


class Moons(CurveLaw):
    """Those of scikit-learn's ``make_moons(noise=0.1)``, with their centre at 0, divided by 0.71.

    Angles are drawn, where ``make_moons`` takes evenly spaced ones: its points are not independent.
    """

    name = "moons"
    std, scale = 0.1, 0.71
    classes: typing.ClassVar = ["upper", "lower"]
    span, pieces = (0.0, np.pi), 8

    def curve(self, parameter: Array, labels: NDArray[np.int64]) -> Array:
        """Half circles: the lower one is the upper one turned by half a turn about the centre of both."""
        sign = np.where(labels == 0, 1.0, -1.0)
        return sign[:, None] * np.stack([np.cos(parameter) - 0.5, np.sin(parameter) - 0.25], axis=1)


class Checkerboard(SquaresLaw):
    """Eight of the squares of side 2 that -4 to 4 is divided into, divided by 2.309 (as in Grathwohl et al. 2019)."""

    name = "checkerboard"
    side, scale = 2.0, 2.309
    classes: typing.ClassVar = [f"{'abcd'[x]}{y + 1}" for x in range(4) for y in range(x % 2, 4, 2)]
    corners = np.array([(2 * x - 4, 2 * y - 4) for x in range(4) for y in range(x % 2, 4, 2)], dtype=float)


SOURCES = typing.cast(dict[str, type[Law]], sources_in(sys.modules[__name__]))
