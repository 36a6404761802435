"""Plots of forecasts, as matplotlib figures made without a display."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

COLORS = ("tab:blue", "tab:orange", "tab:green")


def forecasts(
    history: Tensor, target: Tensor, predicted: Mapping[str, Tensor], names: Sequence[str], panels: int = 6
) -> Figure:
    """Windows from all over the samples: the end of the history, the truth, and the forecasts.

    Args:
        history: The targets' past (B, H, C).
        target: What came (B, horizon, C).
        predicted: Forecasts (B, horizon, C) by name.
        names: Names of the C targets.
        panels: How many windows; with several targets, panel k shows target k modulo C.
    """
    shown = torch.linspace(0, len(target) - 1, min(panels, len(target))).round().long().tolist()
    past, horizon = min(history.shape[1], 2 * target.shape[1]), target.shape[1]
    figure = Figure(figsize=(11, 2.4 * ((len(shown) + 1) // 2) + 0.6), dpi=120, layout="constrained")
    axes = figure.subplots((len(shown) + 1) // 2, 2, squeeze=False).flatten()
    steps = np.arange(1, horizon + 1)
    for panel, (axis, window) in enumerate(zip(axes, shown, strict=False)):
        column = panel % target.shape[2]
        before = _array(history[window, -past:, column])
        axis.plot(np.arange(1 - past, 1), before, color="black", linewidth=1)
        axis.plot([0, *steps], [before[-1], *_array(target[window, :, column])], color="black", label="truth")
        for (name, values), color in zip(predicted.items(), COLORS, strict=False):
            axis.plot(steps, _array(values[window, :, column]), label=name, color=color, linewidth=1.4)
        axis.axvline(0.5, color="grey", linewidth=0.8, linestyle=":")
        axis.set(title=f"{names[column] if column < len(names) else 'target'}, window {window}", xlabel="steps ahead")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(predicted) + 1)
    figure.suptitle("forecasts of held-out windows")
    return figure


def error_per_step(target: Tensor, predicted: Mapping[str, Tensor]) -> Figure:
    """Mean squared error of standardised forecasts (B, horizon, C) at each step of the horizon."""
    figure = Figure(figsize=(6.5, 4), dpi=120, layout="constrained")
    axis = figure.subplots()
    steps = np.arange(1, target.shape[1] + 1)
    for (name, values), color in zip(predicted.items(), COLORS, strict=False):
        errors = _array((values - target).square().mean(dim=(0, 2)))
        axis.plot(steps, errors, label=name, color=color, marker="o" if len(steps) < 40 else None, markersize=3)
    axis.set(xlabel="steps ahead", ylabel="MSE, standardised", title=f"error at each step, {len(target):,} windows")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_ylim(bottom=0)
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
    return figure


def _array(values: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    return values.detach().float().cpu().numpy()
