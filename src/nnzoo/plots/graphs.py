"""Graphs with what is known and predicted of their nodes."""

from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.plots.images import short_names

MOST = 300
"""Nodes of a picture: more cannot be told apart."""


def around(start: int, edge_index: Tensor, num_nodes: int, most: int = MOST) -> Tensor:
    """Numbers of at most ``most`` nodes: those nearest to one in number of edges, in order of that."""
    graph = nx.Graph()
    graph.add_nodes_from(range(num_nodes))
    graph.add_edges_from(edge_index.T.tolist())
    reached = [start, *(node for _, node in nx.bfs_edges(graph, start))]
    return torch.tensor(reached[:most])


def classified_graph(
    nodes: Tensor, edge_index: Tensor, labels: Tensor, wrong: Tensor, classes: Sequence[str], title: str
) -> Figure:
    """Some nodes of a graph and the edges between them, placed by springs, coloured by class, mistakes in a ring.

    Args:
        nodes: Numbers of the nodes that are shown (M,).
        edge_index: All edges (2, E).
        labels: True class of each of all nodes (N,); -1 where it is not known, which is grey.
        wrong: Which of all nodes are classified wrongly (N,).
        classes: Names of the classes.
        title: Of the picture.
    """
    places = torch.full((len(labels),), -1)
    places[nodes] = torch.arange(len(nodes))
    edges = places[edge_index]
    edges = edges[:, (edges >= 0).all(0)]
    graph = nx.Graph()
    graph.add_nodes_from(range(len(nodes)))
    graph.add_edges_from(edges.T.tolist())
    layout = nx.spring_layout(graph, seed=0)
    points = np.array([layout[number] for number in range(len(nodes))])
    figure = Figure(figsize=(7.5, 6), dpi=120, layout="constrained")
    axis = figure.subplots()
    lines = [(points[a], points[b]) for a, b in graph.edges]
    axis.add_collection(LineCollection(lines, colors="0.8", linewidths=0.6, zorder=1))
    colors = colormaps["tab10" if len(classes) <= 10 else "turbo"]
    shown, names = labels[nodes].numpy(), short_names(classes)
    for number in np.unique(shown):
        chosen = points[shown == number]
        share = number if len(classes) <= 10 else number / max(1, len(classes) - 1)
        color, name = ("0.6", "not known") if number < 0 else (colors(share), names[number])
        axis.scatter(chosen[:, 0], chosen[:, 1], s=28, color=[color], label=name, linewidths=0, zorder=2)
    missed = points[wrong[nodes].numpy()]
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": "black", "linewidths": 1.2}
    axis.scatter(missed[:, 0], missed[:, 1], s=70, label="mistake", zorder=3, **ring)
    axis.set(title=title, xticks=[], yticks=[])
    axis.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
