"""Graph neural networks that classify or regress the nodes of a graph."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.explain import Explanation

from nnzoo.data.facts import Facts, datamodule_of
from nnzoo.errors import InputError, check_sizes
from nnzoo.modules.classifier import Classifier
from nnzoo.modules.graph_checks import check_graph, check_rounds
from nnzoo.modules.graph_figures import node_figures
from nnzoo.modules.graph_networks import ATTENDING, GraphNetwork
from nnzoo.modules.regressor import Regressor
from nnzoo.nets.gnn import GraphEncoder, Jump, NodeNet
from nnzoo.nets.graph_explanation import explain_node
from nnzoo.plots.graphs import around, classified_graph
from nnzoo.plots.latent import latent_space


class NodeModule(GraphNetwork):
    """A graph neural network whose outputs are of nodes; a batch is a graph and the nodes that are its samples.

    A batch is a ``torch_geometric.data.Data`` with ``x``, ``edge_index``, ``y`` of all nodes, ``seeds``, the numbers of
    the samples, and where there are any ``edge_attr`` and ``edge_weight``. Of PyG's ``NeighborLoader`` the first
    ``batch_size`` nodes are the samples; without either all nodes are.

    Args:
        head: What gives the outputs after the layers: convolution (as in the papers of GCN and GAT) | linear.
        out_heads: Attention heads of the convolution that gives the outputs.
        jump: What the linear head sees of the layers: last | cat | max | lstm.
        propagation: What the outputs of all nodes then go through: none | pagerank (personalised, arXiv:1810.05997), by
            which few labels reach far. Of classes, in undirected graphs: it scales outputs by the nodes' degrees.
        steps: Of personalised PageRank.
        teleport: Share of a node's own outputs in each step: the smaller, the farther the outputs of others reach.
        penalized: Layers whose weights ``weight_decay``, ``l1`` and ``l2`` act on: all | first, as in GCN's paper.
        shared: What :class:`nnzoo.modules.graph_networks.GraphNetwork` and the base class of the task take.

    Raises:
        InputError: If a value is out of range.
    """

    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {
        "out_heads": ("convolution", ATTENDING),
        "jump": ("head", ["linear"]),
        "steps": ("propagation", ["pagerank"]),
        "teleport": ("propagation", ["pagerank"]),
    }

    net: NodeNet

    def __init__(
        self,
        *,
        head: Literal["convolution", "linear"] = "convolution",
        out_heads: int = 1,
        jump: Jump = "last",
        propagation: Literal["none", "pagerank"] = "none",
        steps: int = 10,
        teleport: float = 0.1,
        penalized: Literal["all", "first"] = "all",
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        if penalized == "first":
            first = set(self.net.first_layer().parameters())
            for parameter in self.net.parameters():
                parameter.no_decay = parameter not in first  # type: ignore[attr-defined]

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        if self.hparams["head"] == "linear" and self.hparams["out_heads"] != 1:
            raise InputError("A linear head has no attention heads: leave out --model.out_heads.")
        check_sizes(steps=self.hparams["steps"])
        if not 0 < self.hparams["teleport"] < 1:
            raise InputError(
                f"teleport is a share between 0 and 1, got {self.hparams['teleport']}: set --model.teleport."
            )

    def build_encoder(self) -> GraphEncoder:
        """The layers; override it for others."""
        out = max(1, self.num_outputs) if self.hparams["head"] == "convolution" else None
        names = ("out_heads", "jump")
        own = {name: self.hparams[name] for name in names}
        return self.encoder_of(self.hparams["num_features"], out_features=out, **own)

    def build_net(self) -> nn.Module:
        """A network from (seeds, x, edge_index, edge_attr, edge_weight) to outputs of the seeds."""
        hparams = self.hparams
        steps = hparams["steps"] if hparams["propagation"] == "pagerank" else 0
        linear = hparams["head"] == "linear"
        return NodeNet(self.build_encoder(), self.num_outputs, linear, hparams["dropout"], steps, hparams["teleport"])

    def split(self, batch: Data) -> tuple[list[Any], Tensor]:
        """The seeds and the graph; the targets of the seeds."""
        seeds = self.seeds_of(batch)
        return [seeds, batch.x, batch.edge_index, batch.edge_attr, batch.edge_weight], batch.y[seeds]

    @staticmethod
    def seeds_of(batch: Data) -> Tensor:
        """The numbers of the nodes that are the samples of a batch."""
        if "seeds" in batch:
            return batch.seeds
        count = batch.batch_size if "batch_size" in batch else batch.num_nodes
        return torch.arange(count, device=batch.edge_index.device)

    def check_batch(self, batch: Data) -> None:
        """Raises InputError if the graph does not fit the network or itself, or features are not finite."""
        check_graph(self, batch)
        if self.reaches_all and not both_ways_alike(batch.edge_index, batch.edge_weight, len(batch.x)):
            raise InputError(
                "Personalised PageRank scales by degrees as if every edge had its opposite of the same weight, and "
                "some have not: set --data.directed false or --model.propagation none."
            )
        if "seeds" not in batch and "batch_size" not in batch and "train_mask" in batch:
            raise InputError(
                "The graph has masks, which say nothing of a stage: set batch.seeds to the numbers of the nodes to "
                "train or to test on, as nnzoo.GraphDataModule does."
            )
        super().check_batch(batch)

    def setup(self, stage: str) -> None:
        """Raises InputError if training would draw neighbourhoods that are too small for the network."""
        super().setup(stage)
        sizes = Facts(datamodule_of(self.trainer)).get("num_neighbors", ())
        if stage == "fit":
            check_rounds(self.net, self.hparams["convolution"], self.reaches_all, sizes)

    @torch.no_grad()
    def embed(self, batch: Data) -> Tensor:
        """What the last layer before the outputs makes of the seeds (B, D)."""
        seeds = self.seeds_of(batch)
        return self.net.embed(batch.x, batch.edge_index, batch.edge_attr, batch.edge_weight)[seeds]

    @property
    def reaches_all(self) -> bool:
        """Whether a prediction rests on the whole graph, however far the layers see."""
        return self.hparams["propagation"] != "none"

    @property
    def explainable(self) -> bool:
        """Whether a prediction rests on a neighbourhood, through layers whose edges can be masked."""
        return super().explainable and not self.reaches_all

    def explain(self, batch: Data, node: int, *, epochs: int = 100, lr: float = 0.1, seed: int = 0) -> Explanation:
        """Which edges and features the prediction of a node rests on, by GNNExplainer (arXiv:1903.03894).

        How masks begin and become small: :class:`nnzoo.nets.graph_explanation.OpenMasks`. Weights, mode and
        the state of the random numbers stay as they are.

        Args:
            batch: As for training.
            node: Its number; of an id: ``datamodule.graph.ids.index(ID)``.
            epochs: Steps of gradient descent on the masks.
            lr: Size of these steps.
            seed: Of the masks' first values.

        Returns:
            PyG's Explanation of the class, or number, that is predicted: ``edge_mask`` (E,) in [0, 1] of the batch's
            edges and ``node_mask`` (1, F) of the features; 0 for what the prediction does not depend on.

        Raises:
            InputError: If there is no such node, the layers are of their own kind, or ``propagation`` follows them.
        """
        if self.reaches_all:
            raise InputError(
                "After personalised PageRank a prediction rests on the whole graph, not on some edges: train with "
                "--model.propagation none to explain it."
            )
        hint = "nodes are numbered as datamodule.graph.written lists them, so datamodule.graph.ids.index(ID) finds it"
        node = self.check_explainable(node, len(batch.x), epochs, lr, hint)
        known = {name: batch.get(name) for name in ("edge_attr", "edge_weight")}
        edges = {name: None if value is None else value.cpu() for name, value in known.items()}
        x, ends = batch.x.cpu(), batch.edge_index.cpu()
        return explain_node(self.net, node, x, ends, edges, not self.num_outputs, epochs, lr, seed)

    def figures(self, batch: Data, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """What the task shows, and the graph: its matrices, the attention, and why a node is predicted as it is."""
        return {**super().figures(batch, facts), **node_figures(self, batch, facts)}


def both_ways_alike(edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int) -> bool:
    """Whether a graph's matrix A of weights is symmetric: A r = A^T r for random r, which takes no sorting of edges."""
    drawn = torch.rand(num_nodes, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(edge_index.device)
    weight = 1.0 if edge_weight is None else edge_weight.double()
    there, back = (
        torch.zeros_like(drawn).index_add(0, into, weight * drawn[out])
        for out, into in (edge_index, edge_index.flip(0))
    )
    return torch.allclose(there, back, rtol=1e-9, atol=0)


class NodeClassifier(NodeModule, Classifier):
    """Classifies the nodes of a graph (GCN: Kipf & Welling 2017, arXiv:1609.02907; others by ``convolution``).

    The loss is the mean cross-entropy of the labelled nodes of a batch, plus the penalties. To use other layers,
    override :meth:`build_encoder`; another network, :meth:`build_net`: from (seeds, x, edge_index, edge_attr,
    edge_weight) to logits (B, K).
    """

    @property
    def num_outputs(self) -> int:
        """One logit for each class."""
        return self.hparams["num_classes"]

    def figures(self, batch: Data, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Confusions, the embeddings of the samples, and a part of the graph with mistakes."""
        inputs, labels = self.split(batch)
        seeds, classes = self.seeds_of(batch), facts.get("classes", ())
        wrong = torch.zeros(batch.num_nodes, dtype=torch.bool)
        wrong[seeds.cpu()] = (self(*inputs).argmax(dim=1) != labels).cpu()
        nodes = around(int(seeds[0]), batch.edge_index.cpu(), batch.num_nodes)
        title = f"{len(nodes):,} of {batch.num_nodes:,} nodes, true classes, and mistakes among held-out ones"
        return {
            **super().figures(batch, facts),
            "embeddings": latent_space(self.embed(batch), labels, classes, "embeddings of held-out nodes"),
            "graph": classified_graph(nodes, batch.edge_index.cpu(), batch.y.cpu(), wrong, classes, title),
        }


class NodeRegressor(NodeModule, Regressor):
    """Regresses a number for each node of a graph; otherwise as :class:`NodeClassifier`, without propagation."""

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        if self.reaches_all:
            raise InputError(
                "Personalised PageRank multiplies outputs by what follows from the nodes' degrees, which a class's "
                "logits can bear and numbers cannot: leave out --model.propagation."
            )
