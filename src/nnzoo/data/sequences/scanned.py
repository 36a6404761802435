"""Images as sequences: row by row, or pixel by pixel."""

import typing
from functools import cached_property

import torch
from torch import Tensor

from nnzoo.data.images.dataset import ImageDataset
from nnzoo.data.images.module import ImageDataModule
from nnzoo.data.sequences.dataset import SequenceDataset
from nnzoo.data.sequences.source import SPLIT, SequenceSource
from nnzoo.data.splits import PARTS


class ScannedImages(SequenceSource):
    """Images of one channel as sequences, with the parts of :class:`nnzoo.data.images.module.ImageDataModule`."""

    task = "classification"

    @cached_property
    def images(self) -> ImageDataModule:
        """The images."""
        shared = {name: self.settings[name] for name in ("root", *SPLIT) if name in self.uses}
        return ImageDataModule(**{"dataset": self.name, **shared})

    @property
    def num_inputs(self) -> int:
        """Pixels per step."""
        return self.images.in_shape[2] if self.settings["scan"] == "rows" else 1

    @property
    def classes(self) -> list[str]:
        """Those of the images."""
        return self.images.classes

    def fetch(self) -> None:
        """Downloads the images if they are missing."""
        self.images.prepare_data()

    def load(self) -> dict[str, SequenceDataset]:
        """The images' rows or pixels, one after the other."""
        self.images.setup()
        parts = {}
        for part in PARTS:
            images = typing.cast(ImageDataset, self.images.parts[part])
            sequences = typing.cast(Tensor, images.images).squeeze(1)
            if self.settings["scan"] != "rows":
                sequences = sequences.flatten(1).unsqueeze(2)
            if self.settings["scan"] == "permuted":
                generator = torch.Generator().manual_seed(self.settings["split_seed"])
                sequences = sequences[:, torch.randperm(sequences.shape[1], generator=generator)]
            parts[part] = SequenceDataset.equally_long(sequences, images.labels, 1 / (images.levels - 1))
        return parts
