"""Captions of digits, written from what is measured of an image: what it shows, how thick it is, how far it leans."""

from collections.abc import Iterator, Sequence
from itertools import product

import torch
from torch import Tensor

from nnzoo.data.images.strokes import slant, stroke_weight

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WEIGHTS: tuple[tuple[str, ...], ...] = ((), ("thin", "light"), ("bold", "thick"))
"""Words for the state of a stroke's weight; none for 0, of which nothing is said."""
TILTS: tuple[tuple[str, ...], ...] = (
    (),
    ("tilted to the left", "leaning left"),
    ("tilted to the right", "leaning right"),
)
"""Words for the state of the tilt; none for 0, of which nothing is said."""
THIN, BOLD = 1, 2
LEFT, RIGHT = 1, 2
QUANTILES = 0.3, 0.7
"""Of the training images of the same digit: below the first one is thin or tilted to the left, above the second bold or
tilted to the right."""
DRAWS = 3
"""Uniform numbers that the caption of an image takes."""
EXAMPLES = (
    *("a zero", "a one", "a two", "a bold two", "a thin two", "a three", "a four", "a four tilted to the left"),
    *("a four tilted to the right", "a five", "a six", "a seven", "a bold seven tilted to the left"),
    *("a thin seven tilted to the right", "an eight", "a nine"),
)
"""What a model draws if nothing is asked of it."""


class DigitStates:
    """What can be said of digits: thin or bold, and tilted to a side, beside the training images of the same digit.

    Args:
        images: Those of the training part (N, 1, H, W) in [0, 1].
        labels: Their digits (N,).
    """

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        weights, slants = (measure(images) for measure in (stroke_weight, slant))
        self.weights = torch.stack([quantiles(weights[labels == digit]) for digit in range(10)])
        self.slants = torch.stack([quantiles(slants[labels == digit]) for digit in range(10)])

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """States of the weight, of :data:`WEIGHTS`, and of the tilt, of :data:`TILTS`: both (B,)."""
        weight, lean = stroke_weight(images), slant(images)
        thin, bold = self.weights[labels].T
        left, right = self.slants[labels].T
        weights = THIN * (weight < thin) + BOLD * (weight > bold)
        tilts = LEFT * (lean < left) + RIGHT * (lean > right)
        return weights, tilts

    def groups(self, images: Tensor, labels: Tensor, rows: Tensor, uniform: Tensor) -> Tensor:
        """Which captions of :func:`digit_captions` an image may have (B,): each state is told half of the time.

        Args:
            images: (B, 1, H, W) in [0, 1].
            labels: Their digits (B,).
            rows: Not used.
            uniform: Numbers (B, DRAWS) drawn uniformly from [0, 1).
        """
        weights, tilts = self(images, labels)
        told = uniform[:, :2] < 0.5
        return group_of(labels, weights * told[:, 0], tilts * told[:, 1])


def quantiles(values: Tensor) -> Tensor:
    """The :data:`QUANTILES` of values (N,); of none, nothing is below the first or above the second."""
    if not len(values):
        return torch.tensor([-torch.inf, torch.inf])
    return values.quantile(torch.tensor(QUANTILES, dtype=values.dtype))


def group_of(digit: Tensor, weight: Tensor, tilt: Tensor) -> Tensor:
    """The number of the captions, as :func:`digit_captions` lists them, that say so much of a digit."""
    return (digit * len(WEIGHTS) + weight) * len(TILTS) + tilt


def digit_captions() -> list[list[str]]:
    """All captions of each digit, weight and tilt, in this order; of the state 0 nothing is said."""
    states = product(range(10), range(len(WEIGHTS)), range(len(TILTS)))
    return [list(dict.fromkeys(_captions(*state))) for state in states]


def _captions(digit: int, weight: int, tilt: int) -> Iterator[str]:
    nouns, heavies, leanings = (NAMES[digit], str(digit)), WEIGHTS[weight] or ("",), TILTS[tilt] or ("",)
    for noun, heavy, leaning in product(nouns, heavies, leanings):
        yield article(phrase([f"{heavy} {noun}", leaning]))
        yield phrase([noun, heavy, leaning])


def phrase(parts: Sequence[str]) -> str:
    """Those parts that are not empty, with commas between them."""
    return ", ".join(" ".join(part.split()) for part in parts if part)


def article(words: str) -> str:
    """A phrase with "a" or "an" before it."""
    return f"an {words}" if words.startswith(("eight", "8")) else f"a {words}"
