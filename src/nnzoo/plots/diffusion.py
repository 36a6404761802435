"""Plots of diffusion models."""

from collections.abc import Sequence

from matplotlib.figure import Figure


def loss_at_times(shares: Sequence[float], losses: Sequence[float]) -> Figure:
    """The loss against the share of the way from data to noise, with a logarithmic axis.

    Args:
        shares: From 0 (data) to 1 (noise).
        losses: Above 0.
    """
    figure = Figure(figsize=(5, 3.5), dpi=120, layout="constrained")
    axis = figure.subplots()
    axis.plot(shares, losses, marker="o", markersize=3)
    axis.set(xlabel="time: 0 data, 1 noise", ylabel="loss", title="loss at each time", yscale="log", xlim=(0, 1))
    axis.grid(alpha=0.3, which="both")
    if max(losses) < 10 * min(losses):  # plain numbers, where the powers of ten would be parts of one
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter("{x:g}")
    return figure
