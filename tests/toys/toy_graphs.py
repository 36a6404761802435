"""Small graphs told apart by their number of edges: batches are dicts of tensors of different lengths.

python -m toys.toy_graphs
"""

from typing import Any

import torch
from torch import Tensor, nn

from nnzoo.data.base import GlobalBatchDataModule
from nnzoo.data.facts import fact, held
from nnzoo.errors import run_main
from nnzoo.modules.classifier import Classifier
from nnzoo.nets.layers import mlp
from nnzoo.run.recipe import run_recipe
from nnzoo.seeds import mix_seed

Batch = dict[str, Tensor]


class Graphs:
    """Random graphs of 3 to 6 nodes, sparse ones and dense ones."""

    def __init__(self, count, num_features, seed):
        generator = torch.Generator().manual_seed(seed)
        self.labels = (torch.arange(count) % 3 == 0).long()
        self.graphs = []
        for label in self.labels.tolist():
            size = int(torch.randint(3, 7, (), generator=generator))
            linked = torch.rand(size, size, generator=generator) < 0.3 + 0.4 * label
            self.graphs.append((torch.randn(size, num_features, generator=generator), linked.nonzero().T))

    def __len__(self):
        return len(self.graphs)

    def __getitems__(self, batch):
        chosen = [self.graphs[number] for number in batch.samples.tolist()]
        return joined(chosen, self.labels[batch.samples])


def joined(graphs, labels) -> Batch:
    """Graphs (nodes, edges) as one batch: nodes (N, D), edges (2, E), the graph of each node (N,), labels (B,)."""
    sizes = torch.tensor([len(nodes) for nodes, _ in graphs])
    starts = sizes.cumsum(0) - sizes
    return {
        "nodes": torch.cat([nodes for nodes, _ in graphs]),
        "edges": torch.cat([edges + start for (_, edges), start in zip(graphs, starts, strict=True)], dim=1),
        "graph": torch.arange(len(graphs)).repeat_interleave(sizes),
        "labels": labels,
    }


class ToyGraphs(GlobalBatchDataModule):
    """Sparse and dense graphs.

    Args:
        num_samples: Graphs to train on.
        num_features: Values of a node.
        shared: What the base class takes.
    """

    def __init__(self, *, num_samples: int = 96, num_features: int = 3, **shared: Any) -> None:
        super().__init__(**shared)

    @fact
    def classes(self) -> list[str]:
        """Names of the classes."""
        return ["sparse", "dense"]

    @held("set --data.num_features to match")
    def num_features(self) -> int:
        """Values of a node."""
        return self.hparams["num_features"]

    def setup(self, stage: str | None = None) -> None:
        """Draws the graphs."""
        for number, (part, count) in enumerate({"train": self.hparams["num_samples"], "val": 40, "test": 40}.items()):
            self.parts.setdefault(part, Graphs(count, self.num_features, mix_seed(number)))

    def select(self, batch: Any, rows: Any) -> Batch:
        """Some of the graphs."""
        numbers = torch.arange(len(batch["labels"]))[rows].tolist()
        of_edge = batch["graph"][batch["edges"][0]]
        starts = [int((batch["graph"] < number).sum()) for number in numbers]
        graphs = [
            (batch["nodes"][batch["graph"] == number], batch["edges"][:, of_edge == number] - start)
            for number, start in zip(numbers, starts, strict=True)
        ]
        return joined(graphs, batch["labels"][rows])

    def size_of(self, batch: Any) -> int:
        """Number of graphs."""
        return len(batch["labels"])


class GraphNet(nn.Module):
    """A round of messages, then the sum over the nodes of a graph."""

    def __init__(self, num_features: int, hidden: int, num_classes: int) -> None:
        super().__init__()
        self.own, self.message = nn.Linear(num_features, hidden), nn.Linear(num_features, hidden)
        self.readout = mlp([hidden, hidden, num_classes], "tanh")

    def forward(self, nodes: Tensor, edges: Tensor, graph: Tensor) -> Tensor:
        """Logits (B, K) of graphs."""
        messages = self.message(nodes)[edges[0]]
        states = (self.own(nodes) + torch.zeros_like(self.own(nodes)).index_add(0, edges[1], messages)).tanh()
        return self.readout(states.new_zeros(int(graph.max()) + 1, states.shape[1]).index_add(0, graph, states))


class ToyGraphClassifier(Classifier):
    """A classifier of graphs.

    Args:
        num_features: Values of a node (the command line takes it from the data).
        hidden: Values of a node's state.
        shared: What the base class takes.
    """

    def __init__(self, *, num_features: int = 3, hidden: int = 8, **shared: Any) -> None:
        super().__init__(**shared)

    def build_net(self) -> nn.Module:
        """A network from nodes, edges and the graph of each node to logits."""
        return GraphNet(*(self.hparams[name] for name in ("num_features", "hidden", "num_classes")))

    def split(self, batch: Any) -> tuple[list[Tensor], Tensor]:
        """Nodes, edges and the graph of each node; labels."""
        return [batch["nodes"], batch["edges"], batch["graph"]], batch["labels"]


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(ToyGraphClassifier, ToyGraphs, recipe=__file__, args=args)


if __name__ == "__main__":
    run_main(main)
