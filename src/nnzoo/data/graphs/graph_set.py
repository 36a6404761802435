"""Many graphs in memory, fetched by whole batches."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import Batch, Data

from nnzoo.data.graphs.graph import target_order
from nnzoo.data.sampler import BatchIndex
from nnzoo.errors import InputError

OF_NODES = ("x", "pos", "walks", "eigenvectors")
OF_EDGES = ("edge_attr", "edge_weight")
EMPTY = Batch()
"""What batches are copies of: a call of ``Batch`` makes a class anew, which takes as long as to fill it."""


class GraphSet:
    """Graphs one after the other: the nodes of the first, of the second, and so on; edges likewise, by target.

    Args:
        sizes: Nodes of each graph (G,).
        edge_index: Source and target of each edge (2, E), by the numbers of nodes in the whole set.
        tensors: Of nodes ``x`` (N, F), ``pos``, ``walks``, ``eigenvectors``; of edges ``edge_attr``, ``edge_weight``.

    Raises:
        InputError: If a graph has no nodes, or an edge does not lie within one graph.
    """

    def __init__(self, sizes: Tensor, edge_index: Tensor, tensors: Mapping[str, Tensor]) -> None:
        nodes = int(sizes.sum())
        if (sizes == 0).any():
            raise InputError(f"Graph {int((sizes == 0).nonzero()[0])} has no nodes: leave it out.")
        if edge_index.numel() and not 0 <= int(edge_index.min()) <= int(edge_index.max()) < nodes:
            raise InputError(f"Edges end at nodes {int(edge_index.min())} to {int(edge_index.max())} of {nodes}.")
        self.sizes, self.starts = sizes, sizes.cumsum(0) - sizes
        graph = torch.arange(len(sizes)).repeat_interleave(sizes)
        source, target = graph[edge_index]
        if (source != target).any():
            first = int((source != target).nonzero()[0])
            raise InputError(f"An edge goes from graph {int(source[first])} to graph {int(target[first])}.")
        order = target_order(edge_index, nodes)
        self.edge_index = edge_index[:, order]
        self.counts = torch.bincount(target, minlength=len(sizes))
        self.edge_starts = self.counts.cumsum(0) - self.counts
        self.tensors = {name: values[order] if name in OF_EDGES else values for name, values in tensors.items()}

    @classmethod
    def of_batch(cls, batch: Data) -> "GraphSet":
        """The graphs of a batch."""
        named = {name: batch[name] for name in (*OF_NODES, *OF_EDGES) if batch.get(name) is not None}
        return cls(batch.ptr.diff().cpu(), batch.edge_index.cpu(), {key: value.cpu() for key, value in named.items()})

    @classmethod
    def of_list(cls, graphs: Sequence[Data]) -> "GraphSet":
        """Graphs as PyG has them one by one, all with the same tensors."""
        return cls.of_batch(Batch.from_data_list(list(graphs), exclude_keys=["y"]))

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def edge_attr(self) -> Tensor | None:
        """Features of the edges (E, D)."""
        return self.tensors.get("edge_attr")

    @property
    def edge_weight(self) -> Tensor | None:
        """Weights of the edges (E,)."""
        return self.tensors.get("edge_weight")

    def batch(self, graphs: Tensor, targets: Tensor) -> Batch:
        """Some graphs, by their numbers (B,) and in that order, as PyG's own collater makes one of them."""
        sizes, counts = self.sizes[graphs], self.counts[graphs]
        nodes, edges = ranges(self.starts[graphs], sizes), ranges(self.edge_starts[graphs], counts)
        ptr = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)])
        moved = (ptr[:-1] - self.starts[graphs]).repeat_interleave(counts)
        taken = {name: values[edges if name in OF_EDGES else nodes] for name, values in self.tensors.items()}
        numbers = torch.arange(len(graphs)).repeat_interleave(sizes)
        ordered = {"edge_index": self.edge_index[:, edges] + moved, "y": targets, "batch": numbers, "ptr": ptr}
        return EMPTY.__copy__().update({**ordered, **taken})


def ranges(starts: Tensor, counts: Tensor) -> Tensor:
    """starts[0], starts[0] + 1, ... for counts[0] numbers, then those of the next."""
    return torch.arange(int(counts.sum())) + (starts - counts.cumsum(0) + counts).repeat_interleave(counts)


class GraphSetDataset(Dataset[Batch]):
    """Some graphs of a set as samples; a batch is PyG's.

    Args:
        graphs: All graphs.
        samples: Numbers of those that are samples (M,).
        targets: Of all graphs (G,).
    """

    def __init__(self, graphs: GraphSet, samples: Tensor, targets: Tensor) -> None:
        self.graphs, self.samples, self.targets = graphs, samples, targets

    @property
    def labels(self) -> Tensor:
        """Targets of the samples (M,)."""
        return self.targets[self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitems__(self, batch: BatchIndex) -> Batch:
        chosen = self.samples[batch.samples]
        return self.graphs.batch(chosen, self.targets[chosen])
