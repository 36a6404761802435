"""Images in an HDF5 file, for folders that do not fit in memory."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.errors import InputError

BLOCK = 64
"""Images that are checked at once."""


def write_images(file: h5py.File, images: Iterable[NDArray[np.uint8]], most: int, shape: tuple[int, int, int]) -> None:
    """Writes at most so many images (C, H, W) as float16 in [0, 1], each with a checksum."""
    chunks = {"chunks": (1, *shape), "compression": "lzf", "fletcher32": True}
    data, count = file.create_dataset("images", (most, *shape), "float16", maxshape=(most, *shape), **chunks), 0
    for count, image in enumerate(images, start=1):
        data[count - 1] = image.astype(np.float32) / 255
    data.resize(count, axis=0)


def write_facts(file: h5py.File, facts: dict[str, Any]) -> None:
    """Writes what was found out while the images were decoded."""
    file["facts"] = json.dumps(facts)


def facts_in(path: Path, shape: tuple[int, int, int]) -> dict[str, Any] | None:
    """The facts in a cache of images of that shape, all of which are read; None if it is damaged."""
    try:
        with h5py.File(path, "r") as file:
            images, facts = file["images"], json.loads(file["facts"][()])
            if images.shape != (facts["count"], *shape) or images.dtype != np.float16:
                return None
            blocks = (images[start : start + BLOCK] for start in range(0, len(images), BLOCK))
            return facts if all(((block >= 0) & (block <= 1)).all() for block in blocks) else None
    except (OSError, KeyError, ValueError, TypeError, RuntimeError):  # h5py's words for files that are cut or scrambled
        return None


class CachedImages:
    """Images in an HDF5 cache, read batch by batch.

    Indexing gives the same bytes as decoding: float16 is exact to a quarter of a grey level of 255.
    """

    def __init__(self, path: Path, indices: Tensor) -> None:
        self.path, self.indices = path, indices
        self._images: h5py.Dataset | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, which: Tensor) -> Tensor:
        wanted, inverse = self.indices[which].unique(return_inverse=True)  # h5py wants them sorted, each once
        try:
            if self._images is None:  # opened on first use: an open file cannot be sent to a loader process
                self._images = h5py.File(self.path, "r")["images"]
            levels = self._images[wanted.numpy()].astype(np.float32) * 255
        except OSError as error:
            raise InputError(
                f"Cannot read the cache {self.path} ({error}): delete it, and it is made again."
            ) from error
        return torch.from_numpy(np.round(levels).astype(np.uint8))[inverse]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_images": None}
