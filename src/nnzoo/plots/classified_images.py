"""Plots of image classifiers."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.plots.images import image_grid, short_names, show, tile


def worst_mistakes(images: Tensor, labels: Tensor, probabilities: Tensor, classes: Sequence[str]) -> Figure:
    """Images (N, C, H, W), worst first, each with its true and its predicted class and the probability of both.

    Args:
        images: Images that were classified wrongly.
        labels: True classes (N,).
        probabilities: Of all classes (N, K).
        classes: Names.
    """
    labelled = [
        "\n→ ".join(f"{class_name(k, classes)} ({100 * row[k]:.0f} %)" for k in (true, int(row.argmax())))
        for true, row in zip(labels.tolist(), probabilities, strict=True)
    ]
    return labelled_images(images, labelled, "worst mistakes: true → predicted class")


def labelled_images(images: Tensor, labels: Sequence[str], title: str) -> Figure:
    """A grid of images (N, C, H, W) in [0, 1], each below its label."""
    columns = max(1, math.ceil(math.sqrt(1.5 * len(images))))
    rows = max(1, math.ceil(len(images) / columns))
    figure = Figure(figsize=(max(4, 1.25 * columns), 1.65 * rows + 0.5), dpi=120, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for axis, image, label in zip(axes, images, labels, strict=False):
        show(axis, tile(image[None], columns=1))
        axis.set_title(label, fontsize=7)
    for axis in axes[len(images) :]:
        axis.set_visible(False)
    figure.suptitle(title)
    return figure


def kernels(weights: Tensor) -> Figure:
    """The kernels of a first layer (F, C, h, w): as colours if C is 3, else each channel by itself.

    Grey is 0, and all share one scale.
    """
    shown = weights if weights.shape[1] == 3 else weights.flatten(0, 1)[:, None]
    scaled = 0.5 + 0.5 * shown / shown.abs().max().clamp(min=1e-12)
    return image_grid(scaled[:144], "kernels of the first layer: grey is 0")


def heat_maps(images: Tensor, heat: Tensor, labels: Sequence[str]) -> Figure:
    """Images (N, C, H, W), and below each the same under its heat map (N, H, W), scaled to its own maximum."""
    figure = Figure(figsize=(max(4, 1.1 * len(images)), 3), dpi=120, layout="constrained")
    axes = figure.subplots(2, len(images), squeeze=False)
    for column, (image, warmth, label) in enumerate(zip(images, heat, labels, strict=True)):
        show(axes[0, column], tile(image[None], columns=1))
        show(axes[1, column], tile(image[None].mean(dim=1, keepdim=True), columns=1))
        scaled = (warmth / warmth.max().clamp(min=1e-12)).float().cpu().numpy()
        axes[1, column].imshow(scaled, cmap="inferno", alpha=0.6, vmin=0, vmax=1)
        axes[0, column].set_title(label, fontsize=7)
    figure.suptitle("Grad-CAM: what speaks for the predicted class")
    return figure


def class_name(number: int, classes: Sequence[str]) -> str:
    """The name of a class, or its number if it has none."""
    return short_names(classes, 12)[number] if number < len(classes) else str(number)
