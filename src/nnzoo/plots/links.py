"""Scores of links."""

import torch
from matplotlib.figure import Figure
from torch import Tensor


def score_histogram(linked: Tensor, unlinked: Tensor) -> Figure:
    """How scores (log-odds) of held-out links and of pairs that are not linked are spread."""
    figure = Figure(figsize=(6.5, 4.5), dpi=120, layout="constrained")
    axis = figure.subplots()
    both = torch.cat([linked, unlinked])
    low, high = float(both.min()), float(both.max())
    edges = torch.linspace(low, high if high > low else low + 1, 41).tolist()
    for scores, name in ((unlinked, "not linked"), (linked, "linked")):
        axis.hist(scores.tolist(), bins=edges, alpha=0.6, label=name)
    axis.set(title="scores of held-out pairs", xlabel="log-odds of a link", ylabel="pairs")
    axis.legend()
    return figure
