"""A graph as numbers: its matrices, distances and central nodes."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from nnzoo.plots.graph_colors import NodeColors, node_colors, springs

MOST = 80
"""Nodes whose matrices are shown: the rows of more cannot be told apart."""


class Descriptors(NamedTuple):
    """A graph as numbers; directions of edges do not count.

    Attributes:
        adjacency: A (N, N), the weights of the edges, or 1.
        degrees: D = diag(A 1) (N, N).
        laplacian: L = D - A (N, N).
        distances: Fewest edges from one node to another (N, N); infinite where there is no way.
        proximity: 1 / (1 + distance) (N, N).
        betweenness: Share of the shortest ways between two others that go through a node (N,), Brandes 2001.
    """

    adjacency: Any
    degrees: Any
    laplacian: Any
    distances: Any
    proximity: Any
    betweenness: Any


def undirected(edge_index: Tensor, num_nodes: int, weight: Tensor | None = None) -> nx.Graph:
    """The nodes and edges; of edges between the same two nodes the heaviest."""
    graph = nx.Graph()
    graph.add_nodes_from(range(num_nodes))
    values = [1.0] * edge_index.shape[1] if weight is None else weight.tolist()
    for (a, b), value in zip(edge_index.T.tolist(), values, strict=True):
        graph.add_edge(a, b, weight=max(value, graph.get_edge_data(a, b, {"weight": value})["weight"]))
    return graph


def descriptors(edge_index: Tensor, num_nodes: int, weight: Tensor | None = None) -> Descriptors:
    """What the figure shows, of edges (2, E) between nodes 0 .. N - 1, with weights (E,) if there are any."""
    graph = undirected(edge_index, num_nodes, weight)
    order = range(num_nodes)
    adjacency = nx.to_numpy_array(graph, nodelist=order)
    distances = np.full((num_nodes, num_nodes), np.inf)
    for start, ends in nx.all_pairs_shortest_path_length(graph):
        distances[start, list(ends)] = list(ends.values())
    between = nx.betweenness_centrality(graph)
    return Descriptors(
        adjacency,
        np.diag(adjacency.sum(axis=1)),
        nx.laplacian_matrix(graph, nodelist=order).toarray(),
        distances,
        1 / (1 + distances),
        np.array([between[node] for node in order]),
    )


def descriptor_figure(
    edge_index: Tensor,
    values: Tensor,
    classes: Sequence[str],
    title: str,
    points: Any = None,
    weight: Tensor | None = None,
    value_name: str = "",
) -> Figure:
    """A graph beside its adjacency, degree and Laplacian matrices, proximity and betweenness.

    Rows of matrices are sorted by class, so that classes are blocks, which bars at the edges have the colours of.

    Args:
        edge_index: Source and target (2, E), between nodes 0 .. N - 1.
        values: Class of each node (N,), -1 where it is not known, or a number (N,).
        classes: Names of the classes.
        title: Of the picture.
        points: Places of the nodes (N, 2); by springs if None.
        weight: Of the edges (E,).
        value_name: What numbers of nodes are.
    """
    count = len(values)
    found, colors = descriptors(edge_index, count, weight), node_colors(values, classes)
    order = colors.order if colors.names else np.arange(count) if points is not None else colors.order
    figure = Figure(figsize=(13, 8), dpi=110)
    figure.set_layout_engine("constrained", w_pad=0.15)  # for the bars of classes at the matrices
    figure.suptitle(title)
    (graph_axis, *matrices), (laplacian, proximity, bars) = figure.subplots(2, 3)
    draw_graph(graph_axis, edge_index, colors, found.betweenness, points)
    if colors.scale is not None:
        figure.colorbar(colors.scale, ax=graph_axis, label=value_name, shrink=0.8)
    high, entries = float(found.degrees.max()), " (weights)" if weight is not None else ""
    shown = (
        (matrices[0], found.adjacency, f"adjacency matrix A{entries}", {"cmap": "Greys", "vmin": 0}),
        (matrices[1], found.degrees, "degree matrix D", {"cmap": "Reds", "vmin": 0, "vmax": max(high, 1e-9)}),
        (laplacian, found.laplacian, "Laplacian L = D − A", {"cmap": "RdBu_r", "norm": diverging(found.laplacian)}),  # noqa: RUF001
        (proximity, found.proximity, "proximity 1 / (1 + edges between)", {"cmap": "viridis", "vmin": 0, "vmax": 1}),
    )
    for axis, matrix, name, look in shown:
        image = axis.imshow(matrix[order][:, order], interpolation="nearest", **look)
        if matrix is not found.adjacency or weight is not None:  # 0 and 1 need no scale
            bar = figure.colorbar(image, ax=axis, shrink=0.8)
            if axis is laplacian:  # both sides of 0 have scales of their own
                bar.set_ticks(sorted({image.norm.vmin, 0.0, image.norm.vmax}))
        axis.set_title(name, pad=18)
        axis.set(xticks=[], yticks=[])
        class_bars(axis, colors, order)
    bars.bar(range(count), found.betweenness[order], width=1.0, color=colors.colors[order])
    bars.set(
        title="betweenness centrality", xlabel="nodes, in the matrices' order", xlim=(-0.5, count - 0.5), xticks=[]
    )
    return figure


def diverging(matrix: Any) -> TwoSlopeNorm:
    """White at 0, whatever lies on both sides."""
    return TwoSlopeNorm(0, min(float(matrix.min()), -1e-9), max(float(matrix.max()), 1e-9))


def draw_graph(axis: Axes, edge_index: Tensor, colors: NodeColors, betweenness: Any, points: Any) -> None:
    """Nodes in their colours, larger the more ways go through them."""
    graph = undirected(edge_index, len(betweenness))
    if points is None:
        points = springs(edge_index, len(betweenness))
    lines = [(points[a], points[b]) for a, b in graph.edges]
    axis.add_collection(LineCollection(lines, colors="0.8", linewidths=0.6, zorder=1))
    sizes = 20 + 160 * betweenness / max(float(betweenness.max()), 1e-9)
    axis.scatter(points[:, 0], points[:, 1], s=sizes, c=colors.colors, edgecolors="white", linewidths=0.4, zorder=2)
    for name, color in colors.names.items():
        axis.scatter([], [], s=30, color=[color], label=name)
    axis.set(title="the graph; size: betweenness", xticks=[], yticks=[])
    axis.margins(0.08)
    if len(colors.names) > 1 and len(colors.names) <= 20:
        axis.legend(fontsize="small", loc="upper right", bbox_to_anchor=(-0.02, 1.0))


def class_bars(axis: Axes, colors: NodeColors, order: Any) -> None:
    """The colours of rows and columns beside a matrix, where they have any."""
    if len(colors.names) < 2 and colors.scale is None:
        return
    count, width = len(order), 0.03 * len(order)
    beside = -0.5 - 1.4 * width
    for turned in (False, True):
        corners = [(beside, place - 0.5) for place in range(count)]
        bars = [Rectangle(corner[::-1], 1, width) if turned else Rectangle(corner, width, 1) for corner in corners]
        look: dict[str, Any] = {"facecolors": colors.colors[order], "linewidths": 0, "clip_on": False}
        axis.add_collection(PatchCollection(bars, **look), autolim=False)
