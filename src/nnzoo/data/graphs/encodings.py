"""Where a node stands in its graph, as numbers: what messages alone cannot tell."""

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import AddLaplacianEigenvectorPE, AddRandomWalkPE
from torch_geometric.utils import coalesce, remove_self_loops, to_undirected

from nnzoo.data.graphs.graph_set import GraphSet

DENSE_BELOW = 2000
"""Nodes up to which all eigenvectors are computed: exactly, and always the same."""


def add_encodings(graphs: GraphSet, walk_steps: int, eigenvectors: int) -> None:
    """Adds ``walks`` (N, walk_steps) and ``eigenvectors`` (N, eigenvectors) to the nodes of graphs, where above 0.

    Weights of edges do not count, and several edges between two nodes count once.

    Args:
        graphs: To add them to.
        walk_steps: Chances to be back after 1, 2, ... steps of a random walk (arXiv:2110.07875).
        eigenvectors: Of the symmetric normalised Laplacian without the first one (arXiv:2003.00982), zeros where a
            graph has fewer; directions of edges do not count. Either sign is as good: here the sum of cubes is not
            negative, and a network turns them in training. So the order of the nodes does not matter where that sum is
            not 0 and the eigenvalue stands alone. In symmetric graphs it does: which end of a path has the positive
            sign is left to rounding, and of a ring's, star's or square grid's equal eigenvalues any basis is as good.
    """
    found: dict[str, list[Tensor]] = {"walks": [], "eigenvectors": []}
    for number in range(len(graphs)):
        graph = graphs.batch(torch.tensor([number]), torch.zeros(1))
        if walk_steps:
            found["walks"].append(walks(graph.edge_index, graph.num_nodes, walk_steps))
        if eigenvectors:
            found["eigenvectors"].append(laplacian(graph.edge_index, graph.num_nodes, eigenvectors))
    graphs.tensors |= {name: torch.cat(parts) for name, parts in found.items() if parts}


def walks(edge_index: Tensor, num_nodes: int, steps: int) -> Tensor:
    """Chances (N, steps) to be back after so many steps."""
    edges = coalesce(edge_index, num_nodes=num_nodes)  # else chances in PyG's transform do not add up to 1
    graph = AddRandomWalkPE(steps)(Data(edge_index=edges, num_nodes=num_nodes))
    return graph.random_walk_pe


def laplacian(edge_index: Tensor, num_nodes: int, count: int) -> Tensor:
    """Eigenvectors (N, count) of the Laplacian, from the second smallest eigenvalue on."""
    found = min(count, num_nodes - 1)  # PyG's transform fails on graphs of fewer nodes
    if not found:
        return torch.zeros(num_nodes, count)
    edges = to_undirected(remove_self_loops(edge_index)[0], num_nodes=num_nodes)
    start = np.random.default_rng(0).normal(size=num_nodes)  # SciPy would draw it from NumPy's global generator
    transform = AddLaplacianEigenvectorPE(found, is_undirected=True, v0=start)
    transform.SPARSE_THRESHOLD = DENSE_BELOW
    with torch.random.fork_rng(devices=[]):  # which the transform draws signs from
        graph = transform(Data(edge_index=edges, num_nodes=num_nodes))
    vectors = graph.laplacian_eigenvector_pe.float()
    cubes = vectors.pow(3).sum(0)
    vectors = vectors * torch.where(cubes < 0, -1.0, 1.0)
    return torch.nn.functional.pad(vectors, (0, count - found))
