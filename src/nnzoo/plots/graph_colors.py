"""Where the nodes of a graph are drawn, in what colours, and edges in those of their weights."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from torch import Tensor

from nnzoo.plots.images import short_names

UNKNOWN = (0.6, 0.6, 0.6, 1.0)
WEIGHTS = "YlOrRd"
"""Colours of weights, from little to much."""


class NodeColors(NamedTuple):
    """Colours of nodes by what is known of them.

    Attributes:
        colors: Of each node (N, 4).
        order: Numbers of the nodes by class or value (N,).
        names: Colours by the names of the classes, in that order; empty of numbers.
        scale: What colours of numbers mean; None of classes.
    """

    colors: Any
    order: Any
    names: dict[str, Any]
    scale: ScalarMappable | None = None


def class_color(number: int, classes: Sequence[str]) -> Any:
    """Colour of a class by its number; grey below 0."""
    if number < 0:
        return UNKNOWN
    if len(classes) <= 10:
        return colormaps["tab10"](number)
    return colormaps["turbo"](number / (len(classes) - 1))


def class_names(numbers: Sequence[int], classes: Sequence[str]) -> dict[int, str]:
    """Names of classes as a legend has them; of -1, what is not known."""
    names = short_names(classes)
    unknown = "not known" if classes else "node"
    return {n: unknown if n < 0 else names[n] if n < len(names) else str(n) for n in numbers}


def node_colors(values: Tensor, classes: Sequence[str]) -> NodeColors:
    """Colours by class (N,), -1 where it is not known, or by a number (N,), NaN where it is not."""
    known = values.detach().cpu().numpy()
    if not values.is_floating_point():
        found = class_names(np.unique(known).tolist(), classes)
        colors = {number: class_color(number, classes) for number in found}
        names = {name: colors[number] for number, name in found.items()}
        return NodeColors(np.array([colors[n] for n in known.tolist()]), known.argsort(kind="stable"), names)
    finite = known[np.isfinite(known)]
    scale = ScalarMappable(Normalize(finite.min(), finite.max()) if len(finite) else None, "viridis")
    shades = np.where(np.isfinite(known)[:, None], scale.to_rgba(np.nan_to_num(known)), np.array(UNKNOWN))
    return NodeColors(shades, known.argsort(kind="stable"), {}, scale)


def springs(edges: Tensor, num_nodes: int) -> Any:
    """Places (N, 2) of nodes by springs, always the same; parts that nothing links lie beside each other."""
    graph = nx.Graph()
    graph.add_nodes_from(range(num_nodes))
    graph.add_edges_from(edges.T.tolist())
    parts = [min(part) for part in nx.connected_components(graph)]
    if len(parts) > 1:  # or they push each other out of the picture
        graph.add_weighted_edges_from((num_nodes, node, 1.0) for node in parts)
    layout = nx.spring_layout(graph, seed=0)
    return np.array([layout[node] for node in range(num_nodes)])


def weighted_edges(axis: Axes, points: Any, edges: Tensor, weights: Tensor) -> ScalarMappable:
    """Edges in two halves: the half at a node has the colour of the edge into it; without one it is grey.

    Args:
        axis: Where they are drawn.
        points: Places of the nodes (N, 2).
        edges: Source and target (2, E); self-loops are rings around their nodes.
        weights: Of the edges (E,), at least 0.

    Returns:
        What the colours mean, with a colour bar.
    """
    scale = ScalarMappable(Normalize(0, max(float(weights.max()) if len(weights) else 1.0, 1e-9)), WEIGHTS)
    pairs, values = edges.T.tolist(), weights.tolist()
    order = np.argsort(values, kind="stable")  # heavy ones on top
    lines = [(points[a], points[b]) for a, b in {tuple(sorted(pair)) for pair in pairs if pair[0] != pair[1]}]
    axis.add_collection(LineCollection(lines, colors="0.88", linewidths=0.8, zorder=1))
    chosen = [i for i in order if pairs[i][0] != pairs[i][1]]
    halves = [((points[pairs[i][0]] + points[pairs[i][1]]) / 2, points[pairs[i][1]]) for i in chosen]
    shares = np.array([values[i] for i in chosen]) / scale.norm.vmax
    colors = scale.to_rgba(np.array([values[i] for i in chosen]))
    axis.add_collection(LineCollection(halves, colors=colors, linewidths=0.7 + 2.3 * shares, zorder=2))
    loops = [i for i in order if pairs[i][0] == pairs[i][1]]
    if loops:
        places = np.array([points[pairs[i][0]] for i in loops])
        rings = scale.to_rgba(np.array([values[i] for i in loops]))
        axis.scatter(places[:, 0], places[:, 1], s=110, c=rings, linewidths=0, zorder=3)
    return scale
