"""Graphs side by side, with what is known and predicted of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.plots.graph_colors import springs
from nnzoo.plots.images import short_names

SHOWN, MOST_NODES = 12, 200
"""Graphs of a picture, and nodes of a graph: more cannot be told apart."""


def graph_grid(
    batch: Any, titles: Sequence[str], wrong: Sequence[bool], title: str, names: Sequence[str] = ()
) -> Figure:
    """The first graphs of a batch, at their positions or placed by springs.

    Nodes are coloured by the feature that varies most in the batch; where graphs are larger than 200 nodes, the first
    ones are shown.

    Args:
        batch: PyG's batch; ``pos`` says where nodes lie, if it is there: its first two columns.
        titles: Of each graph.
        wrong: Whether a graph's title is red.
        title: Of the picture.
        names: Of the features, if they have any.
    """
    count = min(SHOWN, batch.num_graphs)
    columns = min(4, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(2.4 * columns, 2.5 * rows + 0.5), dpi=120, layout="constrained")
    chosen, feature = varying_feature(batch.x)
    named = short_names([names[chosen]], 24)[0] if len(names) > chosen else f"feature {chosen}"
    figure.suptitle(f"{title}; bright: much of {named}")
    low, high = float(feature.min()), float(feature.max())
    for number, axis in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axis.set(xticks=[], yticks=[])
        if number >= count:
            axis.set_axis_off()
            continue
        start, end = int(batch.ptr[number]), min(int(batch.ptr[number + 1]), int(batch.ptr[number]) + MOST_NODES)
        inside = ((batch.edge_index >= start) & (batch.edge_index < end)).all(dim=0)
        edges = batch.edge_index[:, inside].cpu() - start
        pos = batch.get("pos")
        points = springs(edges, end - start) if pos is None else flat(pos[start:end].cpu())
        lines = [(points[a], points[b]) for a, b in {tuple(sorted(pair)) for pair in edges.T.tolist()}]
        axis.add_collection(LineCollection(lines, colors="0.75", linewidths=0.7, zorder=1))
        axis.scatter(points[:, 0], points[:, 1], c=feature[start:end], vmin=low, vmax=high, s=22, cmap="viridis",
                     edgecolors="0.4", linewidths=0.3, zorder=2)  # fmt: skip
        axis.set_title(titles[number], fontsize="small", color="tab:red" if wrong[number] else "black")
        axis.margins(0.1)
    return figure


def varying_feature(x: Tensor) -> tuple[int, Tensor]:
    """Number of the feature that varies most, and its values (N,)."""
    number = int(x.float().var(dim=0, correction=0).argmax())
    return number, x[:, number].cpu().float()


def flat(pos: Tensor) -> "np.ndarray[Any, Any]":
    """The first two coordinates (N, 2), zeros where there is one only."""
    return torch.nn.functional.pad(pos, (0, max(0, 2 - pos.shape[1])))[:, :2].numpy()
