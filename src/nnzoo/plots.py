"""Plots as matplotlib figures, made without a display; callbacks save them, notebooks show them."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]


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


def show(axis, canvas: NDArray[np.float32]) -> None:  # type: ignore[no-untyped-def]
    """Draws an array as pixels, without ticks or frame."""
    axis.imshow(canvas, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)


def latent_space(codes: Tensor, labels: Tensor, classes: Sequence[str], title: str) -> Figure:
    """Codes (N, L) as points coloured by class; more than two dimensions are projected on their principal axes."""
    points = codes.detach().float().cpu().numpy()
    names = ["latent 1", "latent 2"]
    if points.shape[1] == 1:
        points, names = np.concatenate([points, np.zeros_like(points)], axis=1), ["latent 1", ""]
    elif points.shape[1] > 2:
        pca = PCA(2).fit(points)
        points = pca.transform(points)
        names = [
            f"principal component {i + 1} ({100 * share:.0f} %)"
            for i, share in enumerate(pca.explained_variance_ratio_)
        ]
    figure = Figure(figsize=(6.5, 5.5), dpi=120, layout="constrained")
    axis = figure.subplots()
    colors = colormaps["tab10" if len(classes) <= 10 else "turbo"]
    numbers = labels.cpu().numpy()
    for number in np.unique(numbers):
        chosen = numbers == number
        color = colors(number if len(classes) <= 10 else number / max(1, len(classes) - 1))
        name = classes[number][:16] if number < len(classes) else None
        axis.scatter(
            points[chosen, 0],
            points[chosen, 1],
            s=max(9, min(40, 6000 / len(points))),
            alpha=0.75,
            color=color,
            label=name,
            linewidths=0,
        )
    axis.set(xlabel=names[0], ylabel=names[1], title=title)
    if 0 < len(classes) <= 20:
        axis.legend(markerscale=2, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), title="class")
    return figure


def learning_curves(curves: Mapping[str, Series]) -> Figure:
    """One panel per quantity, one line per stage.

    Args:
        curves: Quantity to stage to (epochs, values), for example ``{"loss": {"train": ([1, 2], [0.7, 0.6])}}``.
    """
    columns = min(3, len(curves))
    rows = math.ceil(len(curves) / columns)
    figure = Figure(figsize=(4 * columns, 3 * rows), dpi=120, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, (quantity, stages) in zip(axes, curves.items(), strict=False):
        for stage, (epochs, values) in stages.items():
            axis.plot(epochs, values, label=stage, marker="o" if len(values) < 12 else None, markersize=3)
        # The first epochs of a loss would squeeze the rest into a line.
        later = np.concatenate([values[1 + len(values) // 20 :] for _, values in stages.values()])
        later = later[np.isfinite(later)]
        low, high = (later.min(), later.max()) if len(later) > 20 else (0.0, 0.0)
        if high > low:
            margin = 0.08 * (high - low)
            axis.set_ylim(low - margin, high + margin)
        axis.set(xlabel="epoch", title=quantity)
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    for axis in axes[len(curves) :]:
        axis.set_visible(False)
    return figure


def confusion_matrix(counts: Tensor, classes: Sequence[str]) -> Figure:
    """Counts (K, K), true classes in rows; shaded by the share of the true class."""
    numbers = counts.cpu().numpy()
    shares = numbers / np.maximum(1, numbers.sum(axis=1, keepdims=True))
    size = len(numbers)
    names = [name[:16] for name in classes] if len(classes) == size else [str(k) for k in range(size)]
    side = max(3.5, min(14, 0.45 * size + 2))
    figure = Figure(figsize=(side + 0.6, side), dpi=120, layout="constrained")
    axis = figure.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axis, label="share of the true class", shrink=0.8)
    if size <= 30:
        axis.set_xticks(range(size), names, rotation=90 if max(map(len, names)) > 2 else 0)
        axis.set_yticks(range(size), names)
        for row, column in np.argwhere(numbers):
            color = "white" if shares[row, column] > 0.5 else "black"
            axis.text(column, row, str(numbers[row, column]), ha="center", va="center", color=color, fontsize="small")
    axis.set(xlabel="predicted", ylabel="true", title="confusion matrix")
    return figure


def predictions(predicted: Tensor, target: Tensor) -> Figure:
    """Predicted against true values (B,), with the line on which both agree."""
    x, y = (tensor.detach().float().cpu().numpy().ravel() for tensor in (target, predicted))
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    figure = Figure(figsize=(5, 4.6), dpi=120, layout="constrained")
    axis = figure.subplots()
    axis.plot([low, high], [low, high], color="grey", linewidth=1, label="prediction = truth")
    axis.scatter(x, y, s=max(5, min(30, 6000 / len(x))), alpha=0.6, linewidths=0)
    axis.set(xlabel="true", ylabel="predicted", title="held-out samples")
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
    return figure
