"""Plots as matplotlib figures, made without a display; callbacks save them, notebooks show them."""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Picture = Figure | Image.Image | Sequence[Image.Image]
"""What a file can be made of: a plot, pixels, or the frames of an animation."""

ENLARGED_SIDE = 512
"""Pixels that a side of an enlarged picture has at least."""


def image_rows(rows: Mapping[str, Tensor], title: str) -> Figure:
    """Rows of images, one below the other, each with its name: each (N, C, H, W) in [0, 1]."""
    canvases = [tile(images, columns=len(images)) for images in rows.values()]
    columns = len(next(iter(rows.values())))
    figure = Figure(figsize=(0.8 * columns + 1.2, 0.9 * len(rows) + 0.6), dpi=120, layout="constrained")
    axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axis, name, canvas in zip(axes, rows, canvases, strict=True):
        show(axis, canvas)
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
    figure.suptitle(title)
    return figure


def image_grid(images: Tensor, title: str, columns: int | None = None) -> Figure:
    """A grid of images (N, C, H, W) in [0, 1]."""
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    figure = Figure(figsize=(0.7 * columns + 0.2, 0.7 * rows + 0.6), dpi=120, layout="constrained")
    show(figure.subplots(), tile(images, columns))
    figure.suptitle(title)
    return figure


def tile(images: Tensor, columns: int) -> NDArray[np.float32]:
    """Images (N, C, H, W) side by side with a white seam, as one (H', W', 3) array."""
    pixels = images.detach().float().cpu().clamp(0, 1).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    count, height, width, _ = pixels.shape
    seam = max(1, height // 14)
    rows = math.ceil(count / columns)
    canvas = np.ones((rows * (height + seam) - seam, columns * (width + seam) - seam, 3), np.float32)
    for index, image in enumerate(pixels):
        top, left = (index // columns) * (height + seam), (index % columns) * (width + seam)
        canvas[top : top + height, left : left + width] = image
    return canvas


def picture(image: Tensor) -> Image.Image:
    """An image (C, H, W) in [0, 1] as pixels of 256 levels, grey or in colour."""
    pixels = (image.detach().float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def grid_picture(images: Tensor, columns: int) -> Image.Image:
    """Images (N, C, H, W) in [0, 1] side by side, as pixels."""
    return Image.fromarray((tile(images, columns) * 255).round().astype(np.uint8))


def enlarged(small: Image.Image) -> Image.Image:
    """A picture whose pixels are squares large enough to be seen."""
    factor = max(1, ENLARGED_SIDE // max(small.size))
    return small.resize((small.width * factor, small.height * factor), Image.Resampling.NEAREST)


def animation(frames: Iterable[Tensor], columns: int) -> list[Image.Image]:
    """The frames of an animation of grids: each (N, C, H, W) in [0, 1]."""
    return [enlarged(grid_picture(images, columns)) for images in frames]


def show(axis, canvas: NDArray[np.float32]) -> None:  # type: ignore[no-untyped-def]
    """Draws an array as pixels, without ticks or frame."""
    axis.imshow(canvas, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def short_names(names: Iterable[str], length: int = 16) -> list[str]:
    """Names that fit into a picture: the middle of long ones is left out, less of it where two would look the same.

    A dollar is a dollar, not the beginning of a formula.
    """
    names = list(names)
    while True:
        head = length // 2
        short = [f"{n[:head]}…{n[head + 1 - length :]}" if len(n) > length else n for n in names]
        if len(set(short)) == len(set(names)):
            return [name.replace("$", r"\$") for name in short]
        length += 4
