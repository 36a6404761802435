"""Graph neural networks that classify or regress the nodes of a graph."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch_geometric.data import Data

from nnzoo.errors import InputError, check_sizes
from nnzoo.modules.classifier import Classifier
from nnzoo.modules.regressor import Regressor
from nnzoo.modules.supervised import SupervisedModule
from nnzoo.nets.gnn import CONVOLUTIONS, ConvolutionName, GraphEncoder, Jump, NodeNet, Norm
from nnzoo.nets.layers import Activation
from nnzoo.plots.graphs import around, classified_graph
from nnzoo.plots.latent import latent_space

ATTENDING = [name for name, convolution in CONVOLUTIONS.items() if convolution.attends]


class NodeModule(SupervisedModule):
    """A graph neural network whose outputs are of nodes; a batch is a graph and the nodes that are its samples.

    A batch is a ``torch_geometric.data.Data`` with ``x``, ``edge_index``, ``y`` of all nodes, ``seeds``, the numbers of
    the samples, and where there are any ``edge_attr`` and ``edge_weight``. Of PyG's ``NeighborLoader`` the first
    ``batch_size`` nodes are the samples; without either all nodes are.

    Args:
        num_features: Features of a node (the command line takes it from the data).
        num_edge_features: Features of an edge (the command line takes it from the data).
        convolution: gcn | gat | gatv2 | sage | gin | transformer, see :class:`nnzoo.nets.gnn.GraphEncoder`.
        hidden: Width of each layer, all heads together.
        head: What gives the outputs after these: convolution (as in the papers of GCN and GAT) | linear.
        heads: Attention heads of a layer.
        out_heads: Attention heads of the convolution that gives the outputs.
        norm: none | batch | layer | graph.
        activation: relu | leaky_relu | elu | silu | gelu | tanh.
        dropout: Share of the features before each layer that are set to 0 in training.
        attention_dropout: Share of the attention coefficients.
        residual: Add each layer's input to its output where they have the same width.
        jump: What the linear head sees of the layers: last | cat | max | lstm.
        penalized: Layers whose weights ``weight_decay``, ``l1`` and ``l2`` act on: all | first, as in GCN's paper.
        shared: What :class:`nnzoo.modules.supervised.SupervisedModule` and the base class of the task take.

    Raises:
        InputError: If a value is out of range.
    """

    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {
        "heads": ("convolution", ATTENDING),
        "out_heads": ("convolution", ATTENDING),
        "attention_dropout": ("convolution", ATTENDING),
        "jump": ("head", ["linear"]),
    }

    net: NodeNet

    def __init__(
        self,
        *,
        num_features: int = 16,
        num_edge_features: int = 0,
        convolution: ConvolutionName = "gcn",
        hidden: Sequence[int] = (64, 64),
        head: Literal["convolution", "linear"] = "convolution",
        heads: int = 1,
        out_heads: int = 1,
        norm: Norm = "none",
        activation: Activation = "relu",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        residual: bool = False,
        jump: Jump = "last",
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
        hparams = self.hparams
        check_sizes(num_features=hparams["num_features"], hidden=hparams["hidden"])
        if not hparams["hidden"]:
            raise InputError("A graph network needs a layer or more: set --model.hidden, such as [64].")
        if hparams["head"] == "linear" and hparams["out_heads"] != 1:
            raise InputError("A linear head has no attention heads: leave out --model.out_heads.")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= hparams[name] < 1:
                raise InputError(f"{name} is a share, from 0 to below 1, got {hparams[name]}: set --model.{name}.")

    @property
    def num_outputs(self) -> int:
        """Values that the network gives for a node; 0 for a single number without a dimension of its own."""
        return 0

    def build_encoder(self) -> GraphEncoder:
        """The layers; override it for others."""
        hparams = self.hparams
        names = (
            "hidden", "convolution", "heads", "out_heads", "norm", "activation", "dropout", "attention_dropout",
            "residual", "jump",
        )  # fmt: skip
        out = max(1, self.num_outputs) if hparams["head"] == "convolution" else None
        sizes = {"out_features": out, "edge_features": hparams["num_edge_features"]}
        return GraphEncoder(hparams["num_features"], **sizes, **{name: hparams[name] for name in names})

    def build_net(self) -> nn.Module:
        """A network from (seeds, x, edge_index, edge_attr, edge_weight) to outputs of the seeds."""
        return NodeNet(
            self.build_encoder(), self.num_outputs, self.hparams["head"] == "linear", self.hparams["dropout"]
        )

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
        check_graph(batch, self.hparams["num_features"])
        if "seeds" not in batch and "batch_size" not in batch and "train_mask" in batch:
            raise InputError(
                "The graph has masks, which say nothing of a stage: set batch.seeds to the numbers of the nodes to "
                "train or to test on, as nnzoo.GraphDataModule does."
            )
        super().check_batch(batch)

    def setup(self, stage: str) -> None:
        """Warns of what the data know of edges and the convolution does not."""
        super().setup(stage)
        data = getattr(self.trainer, "datamodule", None)
        graph = getattr(data, "graph", None) if stage == "fit" else None
        takes = CONVOLUTIONS[self.hparams["convolution"]].takes
        for name, kind in {"edge_weight": "weight", "edge_attr": "features"}.items():
            if getattr(graph, name, None) is not None and takes != kind:
                able = ", ".join(known for known, convolution in CONVOLUTIONS.items() if convolution.takes == kind)
                what = "weights" if kind == "weight" else "features"
                rank_zero_warn(f"{self.hparams['convolution']} does not see the {what} of the edges; {able} would.")

    @torch.no_grad()
    def embed(self, batch: Data) -> Tensor:
        """What the last layer before the outputs makes of the seeds (B, D)."""
        seeds = self.seeds_of(batch)
        return self.net.embed(batch.x, batch.edge_index, batch.edge_attr, batch.edge_weight)[seeds]


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
    """Regresses a number for each node of a graph; otherwise as :class:`NodeClassifier`."""


def check_graph(batch: Data, num_features: int) -> None:
    """Raises InputError if a graph's edges or features cannot be used."""
    nodes = len(batch.x)
    if batch.x.dim() != 2 or batch.x.shape[1] != num_features:
        raise InputError(f"The model takes {num_features} features of a node, got {tuple(batch.x.shape)}.")
    values = batch.x.values() if batch.x.layout == torch.sparse_csr else batch.x
    if not values.isfinite().all():
        raise InputError("Some features of nodes are NaN or infinite: repair or remove them.")
    ends = batch.edge_index
    if ends.numel() and not 0 <= int(ends.min()) <= int(ends.max()) < nodes:
        raise InputError(
            f"Edges end at nodes {int(ends.min())} to {int(ends.max())}, but the {nodes} nodes have numbers from 0 to "
            f"{nodes - 1}: renumber them."
        )
