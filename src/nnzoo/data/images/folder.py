"""Folders of images: finding, checking and decoding them, with an optional HDF5 cache."""

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import h5py
import numpy as np
import PIL
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from nnzoo.data.base import cache_root
from nnzoo.data.images.cache import facts_in, write_facts, write_images
from nnzoo.data.images.decoding import (
    GREY_MODES,
    RESIZE,
    Color,
    Fit,
    Header,
    Range,
    attempt,
    extent,
    in_threads,
    is_deep,
    read_header,
    read_image,
    to_bytes,
)
from nnzoo.data.images.files import EXTENSIONS, classified, counted, find_images, listed, shown
from nnzoo.errors import InputError
from nnzoo.files import replacing


class ImageFolder:
    """The images under a folder, with the names of its subfolders as classes.

    Images directly in the folder have one common class. Where the folder holds ``train`` and ``test`` (or ``val``)
    folders, they are kept as official parts, and the classes are looked for inside them. Links are followed.

    Images of 16 or 32 bits share one scale, ``grey_range``: what is lowest in the folder (outside official validation
    and test parts) becomes black, what is highest white.

    Args:
        root: The folder.
        image_size: Side in pixels after resizing; None keeps the images as they are, which must then all have one size.
        color: ``grey``, ``rgb``, or ``auto``: rgb as soon as one image has colour.
        fit: How an image that is not square is resized: ``crop`` (the shorter side, then cut out the centre), ``pad``
            (the longer side, with black bars) or ``squash`` (both).
        labelled: Whether the names of subfolders say something; otherwise there are no classes, and labels are -1.
        grey_range: The values of images of 16 or 32 bits that become black and white, if not the lowest and highest.
        skip_broken: Leave images out that cannot be read, which are otherwise refused, all at once.

    Attributes:
        paths: The image files, sorted; without those that are broken once all have been decoded.
        parts: "train", "val" or "test" for each file, or "" where the folder brings no split.
        classes: Names of the classes; empty where there are none.
        labels: Class number of each file.
        shape: (C, H, W) after decoding.

    Raises:
        InputError: If the folder does not exist, holds no image, unreadable ones, or images of different sizes.
    """

    def __init__(
        self,
        root: Path,
        image_size: int | None,
        color: Color,
        fit: Fit = "crop",
        labelled: bool = True,
        grey_range: Range | None = None,
        skip_broken: bool = False,
    ) -> None:
        if not root.is_dir():
            option = "--data.root" if labelled else "--data.predict_root"
            raise InputError(f"There is no folder {root}: set {option} to the folder that holds your images.")
        self.root, self.image_size, self.fit, self.skip_broken = root, image_size, fit, skip_broken
        self._given_range = grey_range
        self._found, left_out = find_images(root)
        self.paths = list(self._found)
        if not self.paths:
            there = f"; there are {counted(left_out, root)}" if left_out else ""
            raise InputError(
                f"No images in {root}: looked for {', '.join(EXTENSIONS)} there and in its folders{there}."
            )
        if left_out:
            rank_zero_warn(f"Left out of {root}: {counted(left_out, root)}.")
        unlabelled = ([""] * len(self.paths), list[str](), torch.full((len(self.paths),), -1))
        self.parts, self.classes, self.labels = classified(root, self.paths) if labelled else unlabelled
        self._warn_of_repeated(labelled)
        self._headers = self._read_headers()
        self.shape = self._shape(color)
        self._key = self._digest()

    def _warn_of_repeated(self, labelled: bool) -> None:
        first: dict[str, Path] = {}
        again = [(path, first[file.real]) for path, file in self._found.items()
                 if first.setdefault(file.real, path) != path]  # fmt: skip
        if again and labelled:
            path, other = again[0]
            rank_zero_warn(
                f"Links lead to {len(again)} images in {self.root} more than once, such as {shown(path, self.root)}, "
                f"which is {shown(other, self.root)}: in the training and the test part they make results too good."
            )

    def _read_headers(self) -> dict[Path, Header]:
        tried = {path: attempt(read_header, path) for path in self.paths}  # cheap: nothing is decoded
        broken = {path: header for path, header in tried.items() if isinstance(header, Exception)}
        if broken and not self.skip_broken:  # so that one message names all
            whole = [path for path in self.paths if path not in broken]
            decoded = zip(whole, in_threads(lambda path: read_image(path).close(), whole), strict=True)
            broken |= {path: error for path, error in decoded if error is not None}
        self._leave_out(broken)
        headers = {path: header for path, header in tried.items() if isinstance(header, Header)}
        for fault, paths in (
            ("a damaged EXIF note and are used as they are stored", [p for p, h in headers.items() if h.damaged_exif]),
            ("colours of 16 bits, of which the upper 8 are used", [p for p, h in headers.items() if h.cut]),
        ):
            if paths:
                rank_zero_warn(f"{len(paths)} images in {self.root} have {fault}: {listed(paths, self.root)}.")
        return headers

    def _leave_out(self, broken: dict[Path, Exception]) -> None:
        """Raises InputError that names images which cannot be read; with ``skip_broken``, goes on without them."""
        if not broken:
            return
        names = [
            f"{shown(path, self.root)} ({str(error) or type(error).__name__})" for path, error in sorted(broken.items())
        ]
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        said = f"{len(names)} of {len(self.paths)} images in {self.root} cannot be read: {', '.join(names[:5])}{more}"
        if not self.skip_broken or len(broken) == len(self.paths):
            hint = ", or go on without them by --data.skip_broken true" if not self.skip_broken else ""
            raise InputError(f"{said}: repair, replace or remove them{hint}.")
        rank_zero_warn(f"{said}: going on without them.")
        kept = [index for index, path in enumerate(self.paths) if path not in broken]
        self.paths, self.parts = [self.paths[index] for index in kept], [self.parts[index] for index in kept]
        self.labels = self.labels[kept]

    def _shape(self, color: Color) -> tuple[int, int, int]:
        modes = {header.mode for header in self._headers.values()}
        sizes = {header.size: path for path, header in self._headers.items()}
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

    @cached_property
    def grey_range(self) -> Range | None:
        """The values of images of 16 or 32 bits that become black and white; None if there are no such images."""
        modes = {path: self._headers[path].mode for path in self.paths if is_deep(self._headers[path].mode)}
        if not modes:
            return None
        if "F" in modes.values() and set(modes.values()) != {"F"}:
            raise InputError(
                f"{self.root} holds images of floats beside images of whole numbers of 16 or 32 bits, which have no "
                "common scale: convert them to one kind."
            )
        found = self._given_range or self._extent(list(modes))
        rank_zero_info(
            f"{len(modes)} of {len(self.paths)} images in {self.root} have 16 or 32 bits: {found[0]:g} becomes black, "
            f"{found[1]:g} white (--data.grey_range sets other values)."
        )
        return found

    def _extent(self, deep: list[Path]) -> Range:
        part_of = dict(zip(self.paths, self.parts, strict=True))
        chosen = [path for path in deep if part_of[path] in ("", "train")] or deep
        extents = [both for both in in_threads(extent, chosen) if not isinstance(both, Exception)]
        return min((low for low, _ in extents), default=0.0), max((high for _, high in extents), default=1.0)

    def decode(self, index: int) -> NDArray[np.uint8]:
        """The image of that number as (C, H, W) bytes."""
        return self._decoded(self.paths[index])

    def _decoded(self, path: Path) -> NDArray[np.uint8]:
        channels, height, width = self.shape
        image = to_bytes(read_image(path), channels, self.grey_range)
        if image.size != (width, height):
            if self.image_size is None:
                raise ValueError(f"it is {image.width}x{image.height}, not {width}x{height}: set --data.image_size")
            image = RESIZE[self.fit](image, (width, height), Image.Resampling.BILINEAR)
        return np.asarray(image).reshape(height, width, channels).transpose(2, 0, 1)

    def decode_all(self) -> Iterator[NDArray[np.uint8]]:
        """All images in order, decoded on all cores; at the end those that could not be are refused or left out."""
        broken, _ = {}, self.grey_range  # found out before threads ask for it
        for path, image in zip(self.paths, in_threads(self._decoded, self.paths), strict=True):
            if isinstance(image, Exception):
                broken[path] = image
            else:
                yield image
        self._leave_out(broken)

    def load(self) -> Tensor:
        """All images in memory, uint8 (N, C, H, W)."""
        images, count = np.empty((len(self.paths), *self.shape), np.uint8), 0
        for count, image in enumerate(self.decode_all(), start=1):
            images[count - 1] = image
        return torch.from_numpy(images[:count])

    def read(self, cache: str) -> Tensor | Path:
        """All images in memory, or with ``h5`` the path of their cache."""
        return self.cache(cache_root() / "folders") if cache == "h5" else self.load()

    def cache(self, folder: Path) -> Path:
        """Decodes all images once into an HDF5 file (float16, [0, 1]) and returns its path.

        A folder that has changed, other options and another Pillow get another file; a damaged file is made again.
        """
        target = folder / f"{self.root.resolve().name}-{self._key}.h5"
        if target == self._cached:
            return target
        facts = facts_in(target, self.shape) if target.exists() else None
        if facts is None:
            if target.exists():
                rank_zero_warn(f"The cache {target} is damaged: decoding the images again.")
            before = self.paths
            with replacing(target) as temporary, h5py.File(temporary, "w") as file:
                write_images(file, self.decode_all(), len(before), self.shape)
                broken = [str(path.relative_to(self.root)) for path in before if path not in set(self.paths)]
                write_facts(file, {"count": len(self.paths), "grey_range": self.grey_range, "broken": broken})
        else:
            self._given_range = self._given_range or (tuple(facts["grey_range"]) if facts["grey_range"] else None)
            known = ValueError("it could not be decoded when the cache was made")
            self._leave_out({self.root / name: known for name in facts["broken"]})
        self._cached = target
        return target

    _cached: Path | None = None

    def _digest(self) -> str:
        """Of all that can change the content of a cache."""
        files = [(str(path.relative_to(self.root)), *file) for path, file in self._found.items()]
        options = (self.shape, self.fit, self._given_range, self.skip_broken, PIL.__version__)
        return hashlib.sha256(
            repr((str(self.root.resolve()), files, options)).encode("utf-8", "backslashreplace")
        ).hexdigest()[:16]
