"""One graph whose nodes are the samples, and the order in which its edges stand."""

import hashlib
from dataclasses import dataclass, field

import pandas as pd
import torch
from torch import Tensor

from nnzoo.data.tables.target import Task


@dataclass
class Graph:
    """Nodes and edges, as a source gives them.

    Attributes:
        x: Features of the nodes (N, F), dense; where they have none, a column for each (N, N) as a CSR tensor, see
            :func:`nnzoo.nets.sparse_features.identity`.
        edge_index: Source and target of each edge (2, E), both directions of an undirected one.
        target: What is known of each node: classes by their names or numbers; missing where nothing is.
        official: The part that the data set gives each node; "train" where it gives none, "" of nodes in no part.
        edge_attr: Features of the edges (E, D).
        edge_weight: Weights of the edges (E,).
        written: The nodes as they stand in their file, or their numbers.
        task: What the target is for, where its kind of numbers says so.
    """

    x: Tensor
    edge_index: Tensor
    target: "pd.Series"
    official: list[str]
    edge_attr: Tensor | None = None
    edge_weight: Tensor | None = None
    written: pd.DataFrame = field(default_factory=pd.DataFrame)
    task: Task | None = None

    def __post_init__(self) -> None:
        order = target_order(self.edge_index, len(self.x))
        self.edge_index = self.edge_index[:, order].contiguous()
        self.edge_attr = None if self.edge_attr is None else self.edge_attr[order]
        self.edge_weight = None if self.edge_weight is None else self.edge_weight[order]
        if not len(self.written):
            self.written = pd.DataFrame({"node": range(len(self.x))})

    @property
    def num_nodes(self) -> int:
        """Number of nodes, N."""
        return len(self.x)

    @property
    def featureless(self) -> bool:
        """Whether each node has a column of its own in place of features."""
        return self.x.layout == torch.sparse_csr

    @property
    def ids(self) -> list[str]:
        """The id of each node, as its file has it."""
        return self.written.iloc[:, 0].astype(str).tolist()

    @property
    def order(self) -> str:
        """What tells one list of ids from another, in short."""
        return hashlib.sha256("\n".join(self.ids).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def target_order(edge_index: Tensor, num_nodes: int) -> Tensor:
    """Edges (E,) by target, then by source, parallel ones as they stood: a node's messages lie beside each other."""
    return (edge_index[1] * num_nodes + edge_index[0]).argsort(stable=True)


def both_ways(edge_index: Tensor) -> tuple[Tensor, Tensor]:
    """Edges (2, E') with the opposite of each but self-loops, and the number of the edge that each comes from (E',)."""
    numbers = torch.arange(edge_index.shape[1])
    turned = numbers[edge_index[0] != edge_index[1]]
    return torch.cat([edge_index, edge_index.flip(0)[:, turned]], dim=1), torch.cat([numbers, turned])


def without_repeats(edge_index: Tensor, num_nodes: int) -> Tensor:
    """Each edge once, of edges without features (2, E')."""
    codes = (edge_index[0] * num_nodes + edge_index[1]).unique()
    return torch.stack([codes // num_nodes, codes % num_nodes])
