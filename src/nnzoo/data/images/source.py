"""What all sets of images have in common."""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from nnzoo.data.sources import Source


class Images(NamedTuple):
    """Images of one size.

    Attributes:
        pixels: Grey levels (N, C, H, W) as bytes, or the HDF5 file that holds them.
        labels: Class of each image (N,).
        official: The part that the data set gives each image; "train" where it gives none.
    """

    pixels: Tensor | Path
    labels: Tensor
    official: list[str]


class ImageSource(Source):
    """A set of images, and what is known of it without loading it.

    The datamodule brings pixels in memory to the colour and size that are asked for.
    """

    levels: ClassVar[int] = 256
    """Number of grey levels of the pixels."""

    @property
    def grey_range(self) -> tuple[float, float] | None:
        """The values that become black and white in images of 16 or 32 bits; None where there are none."""
        return None

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images that are loaded."""

    @property
    @abstractmethod
    def classes(self) -> list[str]:
        """Names of the classes; empty if there are none."""

    @abstractmethod
    def load(self) -> Images:
        """All images with their labels."""

    def names(self, rows: list[int]) -> dict[str, list[Any]]:
        """The column of a table of predictions that says which images these are."""
        return {"image": rows}
