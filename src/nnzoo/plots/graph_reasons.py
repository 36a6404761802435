"""What a graph network looks at: the attention that it gives, and the edges and features that a prediction rests on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.plots.graph_colors import NodeColors, node_colors, springs, weighted_edges
from nnzoo.plots.graphs import numbers_among
from nnzoo.plots.images import short_names

HALVES = "half of an edge at a node: what comes in there"


def draw_nodes(axis: Axes, points: Any, colors: NodeColors, center: int | None, size: float = 45) -> None:
    """Nodes in their colours, the one that it is about as a star, and a legend of classes."""
    plain = np.arange(len(points)) != (-1 if center is None else center)
    look: dict[str, Any] = {"edgecolors": "0.3", "linewidths": 0.4, "zorder": 4}
    axis.scatter(points[plain, 0], points[plain, 1], s=size, c=colors.colors[plain], **look)
    if center is not None:
        star = {**look, "edgecolors": "black", "linewidths": 1.0, "zorder": 5}
        x, y = points[center]
        axis.scatter([x], [y], s=230, c=[colors.colors[center]], marker="*", label="the node", **star)
    for name, color in colors.names.items():
        if len(colors.names) > 1:
            axis.scatter([], [], s=30, color=[color], label=name)
    axis.set(xticks=[], yticks=[])
    axis.margins(0.08)


def attention_graph(
    nodes: Tensor,
    edges: Tensor,
    weights: Tensor,
    values: Tensor,
    classes: Sequence[str],
    title: str,
    value_name: str = "",
) -> Figure:
    """The attention among some nodes of a graph, the first of which is a star.

    Args:
        nodes: Numbers of the nodes that are shown (M,).
        edges: Source and target of all edges (2, E), self-loops too.
        weights: Attention of the target (E,).
        values: Class or number of each of all nodes (N,).
        classes: Names of the classes.
        title: Of the picture.
        value_name: What numbers of nodes are.
    """
    inside = torch.isin(edges, nodes).all(dim=0)
    shown = numbers_among(nodes, edges, len(values))
    points, colors = springs(shown, len(nodes)), node_colors(values[nodes], classes)
    figure = Figure(figsize=(8.5, 6.2), dpi=120, layout="constrained")
    axis = figure.subplots()
    scale = weighted_edges(axis, points, shown, weights[inside])
    draw_nodes(axis, points, colors, 0)
    axis.set(title=title, xlabel=f"{HALVES}; ring: attention to itself")
    if colors.scale is not None:
        figure.colorbar(colors.scale, ax=axis, label=value_name, shrink=0.7, location="left")
    else:
        axis.legend(fontsize="small", loc="upper right", bbox_to_anchor=(-0.01, 1))
    figure.colorbar(scale, ax=axis, label="attention", shrink=0.7)
    return figure


def attention_grid(graphs: Sequence[tuple[Tensor, Tensor, Tensor, Any]], titles: Sequence[str], title: str) -> Figure:
    """The attention in some graphs.

    Args:
        graphs: Of each the edges (2, E), their weights (E,), a number of each node (N,) and their places, or None.
        titles: Of each graph.
        title: Of the picture.
    """
    figure = Figure(figsize=(4.4 * len(graphs) + 0.6, 5.2), dpi=120, layout="constrained")
    figure.suptitle(title)
    for axis, (edges, weights, values, points), name in zip(
        figure.subplots(1, len(graphs), squeeze=False)[0], graphs, titles, strict=True
    ):
        places = springs(edges, len(values)) if points is None else points
        scale = weighted_edges(axis, places, edges, weights)
        draw_nodes(axis, places, node_colors(values, ()), None, size=30)
        axis.set_title(name, fontsize="small")
        axis.set_xlabel(HALVES, fontsize="small")
        figure.colorbar(scale, ax=axis, label="attention", shrink=0.7, location="bottom")
    return figure


def explanation_figure(
    edges: Tensor,
    importance: Tensor,
    features: Tensor,
    names: Sequence[str],
    values: Tensor,
    classes: Sequence[str],
    title: str,
    center: int | None = None,
    points: Any = None,
    most: int = 40,
    most_features: int = 12,
    value_name: str = "",
) -> Figure:
    """The edges that a prediction rests on, and the features.

    Args:
        edges: Source and target (2, E).
        importance: Of the edges (E,), in [0, 1].
        features: Importance of the features (F,), in [0, 1].
        names: Of the features; their numbers if there are none.
        values: Class or number of each node (N,).
        classes: Names of the classes.
        title: Of the picture.
        center: The node that is explained: only it and the ends of the most important edges are shown.
        points: Places of the nodes (N, 2); by springs if None.
        most: Edges that are shown of a node's.
        most_features: Features that are shown.
        value_name: What numbers of nodes are.
    """
    if center is not None:
        best = importance.argsort(descending=True, stable=True)[:most]
        best = best[importance[best] > 0]
        ends = edges[:, best].flatten().unique()
        nodes = torch.cat([torch.tensor([center]), ends[ends != center]])
        edges, importance = numbers_among(nodes, edges[:, best], len(values)), importance[best]
        values, points, center = values[nodes], None, 0
    points = springs(edges, len(values)) if points is None else points
    colors = node_colors(values, classes)
    figure = Figure(figsize=(12, 6), dpi=110, layout="constrained")
    figure.suptitle(title)
    axis, bars = figure.subplots(1, 2, width_ratios=[1.7, 1])
    scale = weighted_edges(axis, points, edges, importance)
    draw_nodes(axis, points, colors, center)
    axis.set(xlabel=HALVES)
    if colors.scale is not None:
        figure.colorbar(colors.scale, ax=axis, label=value_name, shrink=0.7, location="left")
    elif axis.get_legend_handles_labels()[1]:
        axis.legend(fontsize="small", loc="upper right", bbox_to_anchor=(-0.01, 1))
    figure.colorbar(scale, ax=axis, label="importance of the edge", shrink=0.7)
    top = features.argsort(descending=True, stable=True)[:most_features]
    shown = short_names([names[i] if len(names) == len(features) else f"feature {i}" for i in top.tolist()], 28)
    bars.barh(range(len(top)), features[top].tolist(), color="tab:blue")
    bars.set_yticks(range(len(top)), shown)
    bars.invert_yaxis()
    bars.set(title=f"the most important of {len(features):,} features", xlabel="importance", xlim=(0, 1))
    bars.grid(alpha=0.3, axis="x")
    return figure
