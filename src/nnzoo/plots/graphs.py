"""Graphs with what is known and predicted of their nodes."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import networkx as nx
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.plots.graph_colors import class_color, class_names, springs

MOST = 300
"""Nodes of a picture: more cannot be told apart."""


def around(start: int, edge_index: Tensor, num_nodes: int, most: int = MOST) -> Tensor:
    """Numbers of at most ``most`` nodes: those nearest to one in number of edges, in order of that."""
    graph = nx.Graph()
    graph.add_nodes_from(range(num_nodes))
    graph.add_edges_from(edge_index.T.tolist())
    reached = [start, *(node for _, node in nx.bfs_edges(graph, start))]
    return torch.tensor(reached[:most])


def drawn_graph(
    nodes: Tensor, edge_index: Tensor, labels: Tensor, classes: Sequence[str], title: str
) -> tuple[Figure, Axes, "np.ndarray[Any, Any]"]:
    """Some nodes of a graph and the edges between them, placed by springs, coloured by class.

    Args:
        nodes: Numbers of the nodes that are shown (M,).
        edge_index: All edges (2, E).
        labels: Class of each of all nodes (N,); -1 where it is not known, which is grey.
        classes: Names of the classes.
        title: Of the picture.

    Returns:
        The figure, its axis, and the places (M, 2) of the nodes.
    """
    edges = numbers_among(nodes, edge_index, len(labels))
    points = springs(edges, len(nodes))
    figure = Figure(figsize=(7.5, 6), dpi=120, layout="constrained")
    axis = figure.subplots()
    lines = [(points[a], points[b]) for a, b in {tuple(sorted(pair)) for pair in edges.T.tolist()}]
    axis.add_collection(LineCollection(lines, colors="0.8", linewidths=0.6, zorder=1))
    shown = labels[nodes].numpy()
    for number, name in class_names(np.unique(shown).tolist(), classes).items():
        chosen, color = points[shown == number], class_color(number, classes)
        axis.scatter(chosen[:, 0], chosen[:, 1], s=28, color=[color], label=name, linewidths=0, zorder=2)
    axis.set(title=title, xticks=[], yticks=[])
    return figure, axis, points


def numbers_among(nodes: Tensor, edge_index: Tensor, num_nodes: int) -> Tensor:
    """The edges (2, E') between some nodes (M,), by their places among these."""
    places = torch.full((num_nodes,), -1)
    places[nodes] = torch.arange(len(nodes))
    edges = places[edge_index]
    return edges[:, (edges >= 0).all(0)]


def classified_graph(
    nodes: Tensor, edge_index: Tensor, labels: Tensor, wrong: Tensor, classes: Sequence[str], title: str
) -> Figure:
    """Some nodes of a graph in their true classes, mistakes in a ring; arguments as for :func:`drawn_graph`.

    Args:
        nodes: Numbers of the nodes that are shown (M,).
        edge_index: All edges (2, E).
        labels: True class of each of all nodes (N,).
        wrong: Which of all nodes are classified wrongly (N,).
        classes: Names of the classes.
        title: Of the picture.
    """
    figure, axis, points = drawn_graph(nodes, edge_index, labels, classes, title)
    missed = points[wrong[nodes].numpy()]
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": "black", "linewidths": 1.2}
    axis.scatter(missed[:, 0], missed[:, 1], s=70, label="mistake", zorder=3, **ring)
    axis.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def linked_graph(
    edge_index: Tensor, predicted: Tensor, hidden: Tensor, labels: Tensor, classes: Sequence[str], most: int = 80
) -> Figure:
    """The ends of the strongest predicted links and nodes beside them, and which of those links are hidden ones.

    Args:
        edge_index: Edges that the model knows (2, E).
        predicted: Pairs that it takes for links (2, K), the strongest first.
        hidden: Links that it does not know (2, P).
        labels: Class of each node (N,); -1 where it is not known.
        classes: Names of the classes.
        most: The most nodes that are shown.
    """
    count = len(labels)
    graph = nx.Graph(edge_index.T.tolist())
    graph.add_nodes_from(range(count))
    ends = list(dict.fromkeys(predicted.T.flatten().tolist() or [0]))[: most // 2]
    beside = zip_longest(*(graph.neighbors(end) for end in ends))  # in turn, so that a hub's do not take all places
    reached = dict.fromkeys([*ends, *(node for some in beside for node in some if node is not None)])
    nodes = torch.tensor(list(reached)[:most])
    shown = numbers_among(nodes, predicted, count)
    title = (
        f"{len(nodes):,} of {count:,} nodes; among them {shown.shape[1]} of the {predicted.shape[1]} strongest links"
    )
    both = torch.cat([edge_index, predicted], dim=1)  # so that the ends of predicted ones lie close too
    figure, axis, points = drawn_graph(nodes, both, labels, classes, title)
    known = {frozenset(pair) for pair in numbers_among(nodes, hidden, count).T.tolist()}
    for right, color, name in ((True, "tab:green", "hidden link found"), (False, "tab:red", "not in the graph")):
        pairs = [pair for pair in shown.T.tolist() if (frozenset(pair) in known) == right]
        lines = [(points[a], points[b]) for a, b in pairs]
        axis.add_collection(LineCollection(lines, colors=color, linewidths=1.2, zorder=3, label=name))
    axis.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
