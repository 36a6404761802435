"""Learning curves."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def learning_curves(curves: Mapping[str, Series], best: int | None = None) -> Figure:
    """One panel per quantity, one line per stage.

    Args:
        curves: Quantity to stage to (epochs, values), for example ``{"loss": {"train": ([1, 2], [0.7, 0.6])}}``.
        best: Epoch of the best checkpoint, which is marked.
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
        if best is not None:
            axis.axvline(best, color="grey", linestyle=":", label=f"best: epoch {best}")
        axis.set(xlabel="epoch", title=quantity)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
        axis.legend(fontsize="small")
    for axis in axes[len(curves) :]:
        axis.set_visible(False)
    return figure


def rate_curve(rates: Sequence[float], losses: Sequence[float], found: float | None) -> Figure:
    """The loss over the learning rates of a range test, with the one that was found.

    Args:
        rates: Learning rates.
        losses: The smoothed loss at each.
        found: The rate to mark; None if none was found.
    """
    figure = Figure(figsize=(5, 3.5), dpi=120, layout="constrained")
    axis = figure.subplots()
    axis.plot(rates, losses)
    if found is not None:
        axis.axvline(found, color="C1", linestyle="--", label=f"{found:.3g}")
        axis.legend(fontsize="small")
    axis.set(xscale="log", xlabel="learning rate", ylabel="loss (smoothed)", title="range test of the learning rate")
    axis.grid(alpha=0.3)
    return figure
