"""Plots of forecasts, as matplotlib figures made without a display."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from nnzoo.plots.images import short_names

COLORS = ("tab:blue", "tab:orange", "tab:green")


class Place(NamedTuple):
    """Where a window lies.

    Attributes:
        series: Name of its series; empty if there is only one.
        times: Dates or numbers of all its steps; None if they are not known.
    """

    series: str = ""
    times: Any = None


def forecasts(
    history: Tensor,
    target: Tensor,
    predicted: Mapping[str, Tensor],
    names: Sequence[str],
    place: Callable[[int], Place] = lambda window: Place(),
    panels: int = 6,
) -> Figure:
    """Windows from all over the samples: the end of the history, the truth, and the forecasts.

    Args:
        history: The targets' past (B, H, C).
        target: What came (B, horizon, C).
        predicted: Forecasts (B, horizon, C) by name.
        names: Names of the C targets.
        place: Gives the series and times of a window; without times, the axis counts steps ahead.
        panels: How many windows; with several targets, panel k shows target k modulo C.
    """
    shown = torch.linspace(0, len(target) - 1, min(panels, len(target))).round().long().tolist()
    past, horizon = min(history.shape[1], 2 * target.shape[1]), target.shape[1]
    figure = Figure(figsize=(11, 2.4 * ((len(shown) + 1) // 2) + 0.6), dpi=120, layout="constrained")
    axes = figure.subplots((len(shown) + 1) // 2, 2, squeeze=False).flatten()
    for panel, (axis, window) in enumerate(zip(axes, shown, strict=False)):
        column, (series, times) = panel % target.shape[2], place(window)
        steps = np.arange(1 - past, horizon + 1) if times is None else np.asarray(times)[-past - horizon :]
        before = _array(history[window, -past:, column])
        axis.plot(steps[:past], before, color="black", linewidth=1)
        truth = np.append(before[-1], _array(target[window, :, column]))
        axis.plot(steps[past - 1 :], truth, color="black", label="truth")
        for (name, values), color in zip(predicted.items(), COLORS, strict=False):
            forecast = _array(values[window, :, column])
            style = "-" if name == next(iter(predicted)) else "--"  # so that both are seen where they are the same
            axis.plot(steps[past:], forecast, style, label=name, color=color, linewidth=1.4)
        axis.axvline(steps[past - 1] + (steps[past] - steps[past - 1]) / 2, color="grey", linewidth=0.8, linestyle=":")
        shown_names = [names[column] if column < len(names) else "target", series]
        axis.set_title(", ".join(short_names(filter(None, shown_names), 28)))
        if np.issubdtype(steps.dtype, np.datetime64):
            locator = AutoDateLocator(minticks=3, maxticks=7)  # its 5 finds no interval for three years
            axis.xaxis.set_major_locator(locator)
            axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        else:
            axis.set_xlabel("steps ahead" if times is None else "")
            axis.xaxis.set_major_locator(MaxNLocator(integer=np.issubdtype(steps.dtype, np.integer)))
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


def _array(values: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    return values.detach().cpu().double().numpy()
