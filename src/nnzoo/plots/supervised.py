"""Predictions beside the truth."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from nnzoo.plots.images import short_names


def confusion_matrix(counts: Tensor, classes: Sequence[str]) -> Figure:
    """Counts (K, K), true classes in rows; shaded by the share of the true class."""
    numbers = counts.cpu().numpy()
    shares = numbers / np.maximum(1, numbers.sum(axis=1, keepdims=True))
    size = len(numbers)
    names = short_names(classes) if len(classes) == size else [str(k) for k in range(size)]
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


def predictions(predicted: Tensor, target: Tensor, name: str = "") -> Figure:
    """Predicted against true values (B,) of a target of that name, with the line on which both agree."""
    x, y = (tensor.detach().cpu().double().numpy().ravel() for tensor in (target, predicted))
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    figure = Figure(figsize=(5, 4.6), dpi=120, layout="constrained")
    axis = figure.subplots()
    axis.plot([low, high], [low, high], color="grey", linewidth=1, label="prediction = truth")
    axis.scatter(x, y, s=max(5, min(30, 6000 / len(x))), alpha=0.6, linewidths=0)
    axis.locator_params(nbins=5)  # so many long numbers fit side by side
    axis.ticklabel_format(scilimits=(-3, 7))
    (name,) = short_names([name], 28)
    axis.set(xlabel=f"true {name}".strip(), ylabel=f"predicted {name}".strip(), title="held-out samples")
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
    return figure


def label_shares(predicted: Tensor, labels: Tensor, classes: Sequence[str]) -> Figure:
    """How often each of K labels is true, predicted, and both, in samples (N, K) of zeros and ones."""
    counts = {"true": labels.bool(), "predicted": predicted.bool(), "both": labels.bool() & predicted.bool()}
    size = labels.shape[1]
    names = short_names(classes) if len(classes) == size else [str(k) for k in range(size)]
    figure = Figure(figsize=(6, max(2.4, 0.42 * size + 1.2)), dpi=120, layout="constrained")
    axis = figure.subplots()
    for number, (name, which) in enumerate(counts.items()):
        axis.barh(np.arange(size) + 0.27 * (number - 1), which.sum(dim=0).cpu().numpy(), height=0.25, label=name)
    axis.set_yticks(range(size), names)
    axis.invert_yaxis()
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel="held-out samples", title="labels")
    axis.legend(fontsize="small")
    return figure
