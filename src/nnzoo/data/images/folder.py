"""Folders of images: finding, checking and decoding them, with an optional HDF5 cache."""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

from nnzoo.data.base import cache_root
from nnzoo.errors import InputError
from nnzoo.files import replacing

Color = Literal["auto", "grey", "rgb"]
Fit = Literal["crop", "pad", "squash"]
RESIZE: dict[str, Callable[..., Image.Image]] = {
    "crop": ImageOps.fit,
    "pad": ImageOps.pad,
    "squash": Image.Image.resize,
}
EXTENSIONS = (*IMG_EXTENSIONS, ".gif")
PARTS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}


class ImageFolder:
    """The images under a folder, with the names of its subfolders as classes.

    Images directly in the folder have one common class. Where the folder holds ``train`` and ``test`` (or ``val``)
    folders, they are kept as official parts, and the classes are looked for inside them.

    Args:
        root: The folder.
        image_size: Side in pixels after resizing; None keeps the images as they are, which must then all have one size.
        color: ``grey``, ``rgb``, or ``auto``: rgb as soon as one image has colour.
        fit: How an image that is not square is resized: ``crop`` (the shorter side, then cut out the centre), ``pad``
            (the longer side, with black bars) or ``squash`` (both).
        labelled: Whether the names of subfolders say something; otherwise there are no classes, and labels are -1.

    Attributes:
        paths: The image files, sorted.
        parts: "train", "val" or "test" for each file, or "" where the folder brings no split.
        classes: Names of the classes; empty where there are none.
        labels: Class number of each file.
        shape: (C, H, W) after decoding.

    Raises:
        InputError: If the folder does not exist, holds no image, an unreadable one, or images of different sizes.
    """

    def __init__(
        self, root: Path, image_size: int | None, color: Color, fit: Fit = "crop", labelled: bool = True
    ) -> None:
        if not root.is_dir():
            option = "--data.root" if labelled else "--data.predict_root"
            raise InputError(f"There is no folder {root}: set {option} to the folder that holds your images.")
        self.root, self.image_size, self.fit = root, image_size, fit
        files = sorted(path for path in root.rglob("*") if path.suffix.lower() in EXTENSIONS)
        # Hidden files are leftovers of other programs (macOS writes ._photo.jpg beside photo.jpg).
        self.paths = [path for path in files if not any(p.startswith(".") for p in path.relative_to(root).parts)]
        if not self.paths:
            raise InputError(f"No images in {root}: looked for {', '.join(EXTENSIONS)} there and in its folders.")
        unlabelled = ([""] * len(self.paths), list[str](), torch.full((len(self.paths),), -1))
        self.parts, self.classes, self.labels = self._classify() if labelled else unlabelled
        self.shape = self._shape(color)

    def _classify(self) -> tuple[list[str], list[str], Tensor]:
        inside = [path.relative_to(self.root).parts for path in self.paths]
        part_of = {name: part for part, names in PARTS.items() for name in names}
        tops = {names[0].lower() for names in inside if len(names) > 1}
        evaluation = tops & set(part_of) - set(PARTS["train"])
        nested = all(len(names) > 2 for names in inside)
        has_parts = bool(tops & set(PARTS["train"])) and bool(evaluation or (len(tops) == 1 and nested))
        unknown = [names[0] for names in inside if names[0].lower() not in part_of]
        if has_parts and unknown:
            raise InputError(
                f"{self.root} holds {unknown[0]} beside folders for training and {', '.join(sorted(evaluation))}: move "
                "it out, or rename them if they are classes."
            )
        parts = [part_of[names[0].lower()] if has_parts else "" for names in inside]
        owners = [names[1:] if has_parts else names for names in inside]
        names = [owner[0] if len(owner) > 1 else "" for owner in owners]
        classes = sorted(set(names))
        if len(classes) > 1 and "" in classes:
            loose = self.paths[names.index("")]
            raise InputError(f"{loose} lies beside class folders: move it into one of them.")
        labels = torch.tensor([classes.index(name) for name in names])
        return parts, ([] if classes == [""] else classes), labels

    def _shape(self, color: Color) -> tuple[int, int, int]:
        modes, sizes = set(), {}
        for path in self.paths:  # headers only: cheap
            with _opened(path) as image:
                modes.add(image.mode)
                sizes[_upright_size(path, image)] = path
        channels = 1 if color == "grey" or (color == "auto" and modes <= GREY_MODES) else 3
        if self.image_size is not None:
            return channels, self.image_size, self.image_size
        if len(sizes) > 1:
            (first, a), (second, b) = list(sizes.items())[:2]
            raise InputError(
                f"The images differ in size ({a.name} is {first[0]}x{first[1]}, {b.name} {second[0]}x{second[1]} "
                "pixels): set --data.image_size, for example 32."
            )
        width, height = next(iter(sizes))
        return channels, height, width

    def decode(self, index: int) -> NDArray[np.uint8]:
        """The image of that number as (C, H, W) bytes."""
        channels, height, width = self.shape
        with _opened(self.paths[index]) as image:
            try:
                image = _to_mode(ImageOps.exif_transpose(image), "L" if channels == 1 else "RGB")
            except (OSError, ValueError, SyntaxError) as error:
                raise _unreadable(self.paths[index], error) from error
        if image.size != (width, height):
            if self.image_size is None:
                raise InputError(
                    f"{self.paths[index]} is {image.width}x{image.height}, not {width}x{height}: set --data.image_size."
                )
            image = RESIZE[self.fit](image, (width, height), Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)

    def decode_all(self) -> Iterator[NDArray[np.uint8]]:
        """All images in order, decoded on all cores."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            # In chunks, so that a large folder does not pile up in memory before it is taken.
            for start in range(0, len(self.paths), 1024):
                yield from pool.map(self.decode, range(start, min(start + 1024, len(self.paths))))

    def load(self) -> Tensor:
        """All images in memory, uint8 (N, C, H, W)."""
        images = np.empty((len(self.paths), *self.shape), np.uint8)
        for index, image in enumerate(self.decode_all()):
            images[index] = image
        return torch.from_numpy(images)

    def read(self, cache: str) -> Tensor | Path:
        """All images in memory, or with ``h5`` the path of their cache."""
        return self.cache(cache_root() / "folders") if cache == "h5" else self.load()

    def cache(self, folder: Path) -> Path:
        """Decodes all images once into an HDF5 file (float16, [0, 1]) and returns its path.

        The file's name contains a digest of every image's name, size and time of change, so a changed folder gets a new
        cache. It is written under a temporary name first.
        """
        stats = [
            (str(path.relative_to(self.root)), path.stat().st_size, path.stat().st_mtime_ns) for path in self.paths
        ]
        digest = hashlib.sha256(repr((stats, self.shape, self.fit)).encode()).hexdigest()[:16]
        target = folder / f"{self.root.resolve().name}-{digest}.h5"
        if target.is_file():
            return target
        with replacing(target) as temporary, h5py.File(temporary, "w") as file:
            shape = (len(self.paths), *self.shape)
            data = file.create_dataset("images", shape, "float16", chunks=(1, *self.shape), compression="lzf")
            for index, image in enumerate(self.decode_all()):
                data[index] = image.astype(np.float32) / 255
        return target


class CachedImages:
    """Images in an HDF5 cache, read batch by batch: for folders that do not fit in memory.

    Indexing gives the same bytes as decoding: float16 is exact to a quarter of a grey level of 255.
    """

    def __init__(self, path: Path, indices: Tensor) -> None:
        self.path, self.indices = path, indices
        self._images: h5py.Dataset | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, which: Tensor) -> Tensor:
        if self._images is None:  # opened on first use: an open file cannot be sent to a loader process
            self._images = h5py.File(self.path, "r")["images"]
        wanted, inverse = self.indices[which].unique(return_inverse=True)  # h5py wants them sorted, each once
        images = np.round(self._images[wanted.numpy()].astype(np.float32) * 255).astype(np.uint8)
        return torch.from_numpy(images)[inverse]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_images": None}


def _opened(path: Path) -> Image.Image:
    try:
        return Image.open(path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def _upright_size(path: Path, image: Image.Image) -> tuple[int, int]:
    """Width and height after turning the image as its EXIF note says, read without decoding it."""
    if image.format == "PNG" and "exif" not in image.info:
        return image.size  # Pillow would decode all of a PNG to look for a note at its end
    try:
        sideways = image.getexif().get(0x0112) in (5, 6, 7, 8)
        if sideways and image.format == "TIFF":
            raise ValueError("Pillow garbles a TIFF that lies on its side; save it upright")
    except (OSError, ValueError, SyntaxError) as error:
        raise _unreadable(path, error) from error
    return (image.height, image.width) if sideways else image.size


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"Cannot read the image {path} ({error}): repair, replace or remove it.")


def _to_mode(image: Image.Image, mode: str) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":  # 16 bits: PIL would cut off instead of scaling
        image = Image.fromarray((np.asarray(image).clip(0, 2**16 - 1).astype(np.uint32) >> 8).astype(np.uint8))
    elif image.mode == "F":
        values = np.asarray(image)
        if not np.isfinite(values).all():
            raise ValueError("it holds NaN or infinite values")
        if values.min() < 0 or values.max() > 1:
            raise ValueError(f"float images must lie in [0, 1], this one in [{values.min():.3g}, {values.max():.3g}]")
        image = Image.fromarray((values.clip(0, 1) * 255).round().astype(np.uint8))
    elif "transparency" in image.info or image.mode in ("LA", "PA", "RGBA"):
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert(mode)
