"""Single image files, read with Pillow: turned upright, blended over white, brought to 8 bits."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from nnzoo.errors import InputError

T = TypeVar("T")
Color = Literal["auto", "grey", "rgb"]
Fit = Literal["crop", "pad", "squash"]
Range = tuple[float, float]
RESIZE: dict[str, Callable[..., Image.Image]] = {
    "crop": ImageOps.fit,
    "pad": ImageOps.pad,
    "squash": Image.Image.resize,
}
GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What EXIF's orientations ask for."""
SIDEWAYS = (5, 6, 7, 8)


class Header(NamedTuple):
    """What is known of an image before it is decoded.

    Attributes:
        mode: Pillow's name of its kind of pixels.
        size: Width and height, upright.
        cut: Whether its colours have 16 bits, of which Pillow reads the upper 8.
        damaged_exif: Whether the note that says how to turn it cannot be read.
    """

    mode: str
    size: tuple[int, int]
    cut: bool
    damaged_exif: bool


def read_header(path: Path) -> Header:
    """Reads an image's header; raises whatever Pillow raises of a damaged one."""
    with Image.open(path) as image:
        # Pillow would decode all of a PNG to look for a note at its end.
        late = image.format == "PNG" and "exif" not in image.info
        orientation = 1 if late else _orientation(image)
        if orientation in SIDEWAYS and image.format == "TIFF":
            raise ValueError("Pillow garbles a TIFF that lies on its side; save it upright")
        size = (image.height, image.width) if orientation in SIDEWAYS else image.size
        cut = not is_deep(image.mode) and ";16" in str(image.tile)
        return Header(image.mode, size, cut, orientation is None)


def _orientation(image: Image.Image) -> int | None:
    """EXIF's orientation; None if the note is damaged, of which Pillow raises anything from struct.error on."""
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:
        return None


def is_deep(mode: str) -> bool:
    """Whether pixels of that mode have more than 8 bits, and so need a range that becomes black to white."""
    return mode.startswith("I") or mode == "F"


def read_image(path: Path) -> Image.Image:
    """An image in memory, turned upright; raises whatever Pillow raises of a damaged one.

    One whose EXIF note is damaged stays as it is stored.
    """
    with Image.open(path) as image:
        image.load()
        # Pillow turns TIFFs itself.
        turn = None if image.format == "TIFF" else TURNS.get(_orientation(image) or 1)
        upright = image.copy() if turn is None else image.transpose(turn)
        upright.info = dict(image.info)
    if upright.mode == "F" and not np.isfinite(np.asarray(upright)).all():
        raise ValueError("it holds NaN or infinite values")
    return upright


def extent(path: Path) -> Range:
    """Lowest and highest pixel of an image of more than 8 bits."""
    values = np.asarray(read_image(path))
    return float(values.min()), float(values.max())


def to_bytes(image: Image.Image, channels: int, grey_range: Range | None) -> Image.Image:
    """An image in 8 bits: grey or RGB, over white where it is transparent.

    Args:
        image: The image.
        channels: 1 or 3.
        grey_range: The values that become 0 and 255 where the image has more bits; values beyond are cut off.
    """
    if is_deep(image.mode):
        image = Image.fromarray(_scaled(np.asarray(image).astype(np.float64), grey_range))
    elif "transparency" in image.info or image.mode in ("LA", "PA", "RGBA"):
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("L" if channels == 1 else "RGB")


def _scaled(values: NDArray[np.float64], grey_range: Range | None) -> NDArray[np.uint8]:
    low, high = grey_range or (values.min(), values.max())
    return np.round((values - low).clip(0, high - low) * (255 / max(high - low, 1e-300))).astype(np.uint8)


def attempt(function: Callable[[Path], T], path: Path) -> T | Exception:
    """What a function returns of a file, or the error: of a damaged one Pillow raises anything, TypeError included."""
    try:
        return function(path)
    except (MemoryError, InputError):
        raise
    except Exception as error:
        return error


def in_threads(function: Callable[[Path], T], paths: list[Path]) -> Iterator[T | Exception]:
    """:func:`attempt` on all cores, in order."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # In chunks, so that a large folder does not pile up in memory before it is taken.
        for start in range(0, len(paths), 1024):
            yield from pool.map(lambda path: attempt(function, path), paths[start : start + 1024])
