"""Sampled neighbourhoods: a part of a large graph around the nodes of a batch."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data

from nnzoo.nets.sparse_features import sparse_rows, sparse_where_worthwhile


class NeighborSampler:
    """Draws neighbours (Hamilton et al. 2017, arXiv:1706.02216) with torch alone.

    PyG's own loader needs compiled extras, and draws differently on other numbers of devices.

    Args:
        edge_index: Edges (2, E), ordered by target.
        num_nodes: Number of nodes.
        num_neighbors: How many neighbours to draw of each node, for each round of messages; all if it has no more.
    """

    def __init__(self, edge_index: Tensor, num_nodes: int, num_neighbors: Sequence[int]) -> None:
        self.sources, self.num_nodes, self.num_neighbors = edge_index[0], num_nodes, list(num_neighbors)
        degrees = torch.bincount(edge_index[1], minlength=num_nodes)
        self.degrees, self.starts = degrees, degrees.cumsum(0) - degrees

    def edges_into(self, nodes: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """Numbers of at most ``count`` edges into each of some nodes, drawn without replacement."""
        degrees = self.degrees[nodes]
        owner = torch.arange(len(nodes)).repeat_interleave(degrees)
        first = degrees.cumsum(0) - degrees
        offset = torch.arange(len(owner)) - first[owner]
        # A random order within each node: the edges whose rank in it is below count are drawn.
        keys = torch.rand(len(owner), generator=generator, dtype=torch.float64)
        order = (owner + keys).argsort()
        drawn = order[offset < count]  # owners lie in their places, so that the offset is the rank
        return (self.starts[nodes[owner[drawn]]] + offset[drawn]).sort().values

    def __call__(self, seeds: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """The nodes around ``seeds`` (M,), these first, and the numbers of the edges between them that were drawn."""
        generator = torch.Generator().manual_seed(seed)
        known = torch.zeros(self.num_nodes, dtype=torch.bool)
        known[seeds] = True
        nodes, frontier, edges = [seeds], seeds, []
        for count in self.num_neighbors:
            drawn = self.edges_into(frontier, count, generator)
            edges.append(drawn)
            reached = self.sources[drawn].unique()
            frontier = reached[~known[reached]]
            known[frontier] = True
            nodes.append(frontier)
        return torch.cat(nodes), torch.cat(edges)


def subgraph(graph: Data, nodes: Tensor, edges: Tensor) -> Data:
    """A part of a graph: some of its nodes, which get new numbers in their order, and some of the edges among them."""
    places = torch.full((graph.num_nodes or 0,), -1)
    places[nodes] = torch.arange(len(nodes))
    sparse = graph.x.layout == torch.sparse_csr
    taken = {"x": sparse_where_worthwhile(sparse_rows(graph.x, nodes)) if sparse else graph.x[nodes]}
    for name in ("edge_attr", "edge_weight"):
        if name in graph:
            taken[name] = graph[name][edges]
    return Data(edge_index=places[graph.edge_index[:, edges]], y=graph.y[nodes], **taken)
