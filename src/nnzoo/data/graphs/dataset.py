"""Nodes of one graph, fetched by whole batches."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import Data

from nnzoo.data.graphs.graph import Graph
from nnzoo.data.graphs.sampling import NeighborSampler, subgraph
from nnzoo.data.sampler import BatchIndex
from nnzoo.nets.sparse_features import sparse_where_worthwhile
from nnzoo.seeds import mix_seed


class NodeDataset(Dataset[Data]):
    """Some nodes of a graph as samples; a batch is a ``Data`` whose ``seeds`` are the numbers of its samples.

    Args:
        graph: With ``x``, ``edge_index`` and ``y`` of all nodes.
        nodes: Numbers of the nodes that are samples (M,).
        sampler: What draws a part of the graph around them; the whole graph is given if None.
    """

    def __init__(self, graph: Data, nodes: Tensor, sampler: NeighborSampler | None = None) -> None:
        self.graph, self.nodes, self.sampler = graph, nodes, sampler

    @property
    def labels(self) -> Tensor:
        """Targets of the samples (M,)."""
        return self.graph.y[self.nodes]

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitems__(self, batch: BatchIndex) -> Data:
        seeds = self.nodes[batch.samples]
        if self.sampler is None:
            return with_seeds(self.graph, seeds)
        # For the samples of this device alone, whose number is the first of its rows.
        unique, places = seeds.unique(return_inverse=True)
        nodes, edges = self.sampler(unique, mix_seed(batch.seed, batch.rows.start or 0))
        return with_seeds(subgraph(self.graph, nodes, edges), places)


def with_seeds(graph: Data, seeds: Tensor) -> Data:
    """The same graph, no tensor copied, with other samples."""
    chosen = graph.__copy__()
    chosen.seeds = seeds
    return chosen


def as_data(graph: Graph, targets: Tensor) -> Data:
    """A graph as batches have it."""
    named = {"edge_attr": graph.edge_attr, "edge_weight": graph.edge_weight}
    given = {name: value for name, value in named.items() if value is not None}
    return Data(x=sparse_where_worthwhile(graph.x), edge_index=graph.edge_index, y=targets, **given)


def few_labels(
    parts: Mapping[str, Tensor], labels: Tensor, num_classes: int, most: int, seed: int
) -> dict[str, Tensor]:
    """Parts of which training has at most so many samples of each class, drawn at random, and the test the others."""
    rows = parts["train"]
    order = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]
    train = torch.cat([order[labels[order] == number][:most] for number in range(num_classes)]).sort().values
    left = rows[~torch.isin(rows, train)]
    return {**parts, "train": train, "test": torch.cat([parts["test"], left]).sort().values}
