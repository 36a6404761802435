"""Plots of sequence models."""

import math
from collections.abc import Mapping, Sequence

from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from nnzoo.plots.images import short_names


def gradient_norms(norms: Mapping[str, Tensor]) -> Figure:
    """Norms (T,) of d loss / d state over the steps, a line for each network; a trained one ("this run") is thick."""
    figure = Figure(figsize=(7, 4.2), dpi=120, layout="constrained")
    axis = figure.subplots()
    for number, (name, values) in enumerate(norms.items()):
        steps = range(1, len(values) + 1)
        trained = "this run" in name
        axis.plot(
            steps,
            values.detach().cpu().masked_fill(values.cpu() == 0, math.nan).numpy(),  # 0 has no place on a log scale
            label=name,
            color="black" if trained else colormaps["tab10"](number),
            linewidth=2.2 if trained else 1.4,
            marker="o" if len(values) < 30 else None,
            markersize=3,
        )
    axis.set_yscale("log")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set(xlabel="step", ylabel="mean norm of d loss / d state", title="how much gradient reaches each step")
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
    return figure


def tags(
    inputs: Tensor,
    target: Tensor,
    probabilities: Tensor,
    features: Sequence[str] = (),
    classes: Sequence[str] = (),
    scale: str = "",
) -> Figure:
    """One sequence: what went in (T, D), what was right and what was predicted (T, K), time from left to right.

    Up to 12 features and classes are named. All inputs share one colour bar, which says by ``scale`` what they are.
    """
    panels = {
        "input": (inputs, None, features),
        "truth": (target, (0, 1), classes),
        "prediction": (probabilities, (0, 1), classes),
    }
    steps = len(inputs)
    figure = Figure(figsize=(max(5, min(12, 0.12 * steps + 3)), 6.5), dpi=120, layout="constrained")
    for axis, (name, (values, limits, rows)) in zip(figure.subplots(3, 1, sharex=True), panels.items(), strict=True):
        pixels = values.detach().float().cpu().T.numpy()
        extent = (0.5, steps + 0.5, -0.5, len(pixels) - 0.5)
        image = axis.imshow(
            pixels, aspect="auto", interpolation="nearest", origin="lower", cmap="Greys", clim=limits, extent=extent
        )
        figure.colorbar(image, ax=axis, shrink=0.8, label={"input": scale, "prediction": "probability"}.get(name, ""))
        axis.set_ylabel(name)
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        if 0 < len(rows) <= 12:
            axis.set_yticks(range(len(rows)), labels=short_names(rows, 20))
    axis.set_xlabel("step")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
