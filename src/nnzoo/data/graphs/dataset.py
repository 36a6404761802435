"""Nodes of one graph, fetched by whole batches."""

from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import Data

from nnzoo.data.graphs.sampling import NeighborSampler, subgraph
from nnzoo.data.sampler import BatchIndex
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
