"""Folders of small images, and what reads them."""

import numpy as np
import torch
from PIL import Image

from nnzoo.data.images.folder import ImageFolder
from nnzoo.data.images.module import ImageDataModule


def save(path, pixels=0, **options):
    """Saves an array (H, W[, C]), an image of PIL, or 6 x 4 pixels of one grey level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pixels, int):
        pixels = np.full((4, 6), pixels, np.uint8)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **options)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def noise_folder(root, count=40, shape=(8, 8, 3)):
    """A folder with random images in two classes; returns them in the order of their paths."""
    pixels = noise(count, *shape)
    for index in range(count):
        save(root / "ab"[index >= count // 2] / f"{index:03}.png", pixels[index])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def read(root, image_size=None, color="auto"):
    return ImageFolder(root, image_size, color)


def prepared(root, **arguments):
    module = ImageDataModule(dataset="folder", root=str(root), **{"batch_size": 4, **arguments})
    module.prepare_data()
    module.setup()
    return module
