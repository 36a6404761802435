"""Graph neural networks that classify or regress whole graphs."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.explain import Explanation

from nnzoo.errors import InputError, check_sizes
from nnzoo.modules.classifier import Classifier
from nnzoo.modules.graph_checks import check_graph
from nnzoo.modules.graph_figures import graph_figures, names_of, one_graph
from nnzoo.modules.graph_networks import GraphNetwork
from nnzoo.modules.regressor import Regressor
from nnzoo.nets.gnn import GraphEncoder
from nnzoo.nets.gnn_graphs import GraphNet, Readout
from nnzoo.nets.graph_explanation import explain_output
from nnzoo.plots.graph_sets import graph_grid
from nnzoo.plots.latent import latent_space


class GraphModule(GraphNetwork):
    """A graph neural network whose outputs are of graphs; a batch is PyG's, of several graphs.

    Args:
        num_walks: Random-walk encodings of a node (the command line takes it from the data).
        num_eigenvectors: Laplacian encodings of a node (the command line takes it from the data).
        readout: mean | sum | max | attention, of the nodes of each graph.
        jump: What is read out of the layers: last | cat | max | lstm, then the head | heads, the sum of a linear layer
            for each of them and for the input, as in the code of GIN's authors.
        head_hidden: Widths of the hidden layers of the head; none for a linear one.
        head_dropout: Share of the head's last inputs that are set to 0 in training; of ``jump`` heads, of its outputs.
        virtual_node: Whether a state of each graph is added to its nodes between layers.
        shared: What :class:`nnzoo.modules.graph_networks.GraphNetwork` and the base class of the task take.

    Raises:
        InputError: If a value is out of range.
    """

    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {
        "head_hidden": ("jump", ["last", "cat", "max", "lstm"])
    }
    shares: ClassVar[Sequence[str]] = ("dropout", "attention_dropout", "head_dropout")

    net: GraphNet

    def __init__(
        self,
        *,
        num_walks: int = 0,
        num_eigenvectors: int = 0,
        readout: Readout = "mean",
        jump: Literal["last", "cat", "max", "lstm", "heads"] = "last",
        head_hidden: Sequence[int] = (),
        head_dropout: float = 0.0,
        virtual_node: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        check_sizes(head_hidden=self.hparams["head_hidden"])

    @property
    def in_features(self) -> int:
        """Features and encodings of a node together."""
        return sum(self.hparams[name] for name in ("num_features", "num_walks", "num_eigenvectors"))

    def build_encoder(self) -> GraphEncoder:
        """The layers; override it for others."""
        jump = self.hparams["jump"]
        return self.encoder_of(
            self.in_features, jump="last" if jump == "heads" else jump, virtual_node=self.hparams["virtual_node"]
        )

    def build_net(self) -> nn.Module:
        """A network from what :meth:`split` takes of a batch to outputs of its graphs."""
        hparams = self.hparams
        return GraphNet(
            self.build_encoder(),
            self.num_outputs,
            hparams["readout"],
            self.in_features,
            hparams["head_hidden"],
            hparams["activation"],
            hparams["head_dropout"],
            hparams["jump"] == "heads",
        )

    def split(self, batch: Data) -> tuple[list[Any], Tensor]:
        """Nodes, edges, the graph of each node and how many there are; the targets."""
        further = [batch.get(name) for name in ("edge_attr", "edge_weight", "walks", "eigenvectors")]
        return [batch.x, batch.edge_index, batch.batch, len(batch.ptr) - 1, *further], batch.y

    def check_batch(self, batch: Data) -> None:
        """Raises InputError if the graphs do not fit the network or themselves, or features are not finite."""
        if batch.get("ptr") is None or batch.get("batch") is None:
            raise InputError("A batch of graphs is torch_geometric.data.Batch: use PyG's DataLoader, not torch's.")
        check_graph(self, batch)
        empty = batch.ptr.diff() == 0
        if empty.any():
            raise InputError(f"Graph {int(empty.nonzero()[0])} of a batch has no nodes: leave it out.")
        ends = batch.batch[batch.edge_index]
        if (ends[0] != ends[1]).any():
            raise InputError("An edge goes from one graph of a batch to another: number nodes within their own graph.")
        for name, count in (("walks", "num_walks"), ("eigenvectors", "num_eigenvectors")):
            found = 0 if batch.get(name) is None else batch[name].shape[1]
            if found != self.hparams[count]:
                raise InputError(f"The model takes {self.hparams[count]} {name} of a node, the batch has {found}.")
        if batch.y is not None and len(batch.y) != len(batch.ptr) - 1:
            raise InputError(
                f"{len(batch.ptr) - 1} graphs need as many targets, got y of shape {tuple(batch.y.shape)}: one of each."
            )
        super().check_batch(batch)

    @torch.no_grad()
    def embed(self, batch: Data) -> Tensor:
        """What the head is given of the graphs (B, D)."""
        return torch.cat(self.net.embed(*self.split(batch)[0]), dim=1)

    def explain(self, batch: Data, graph: int = 0, *, epochs: int = 100, lr: float = 0.1, seed: int = 0) -> Explanation:
        """Which edges and features the prediction of a graph rests on, by GNNExplainer (arXiv:1903.03894).

        How masks begin and become small: :class:`nnzoo.nets.graph_explanation.OpenMasks`. Weights, mode and
        the state of the random numbers stay as they are.

        Args:
            batch: As for training.
            graph: Its number among those of the batch.
            epochs: Steps of gradient descent on the masks.
            lr: Size of these steps.
            seed: Of the masks' first values.

        Returns:
            PyG's Explanation of the class, or number, that is predicted, on the graph alone: ``edge_mask`` (E,) in
            [0, 1] of its edges and ``node_mask`` (1, F) of the features and encodings; 0 for what the prediction does
            not depend on.

        Raises:
            InputError: If there is no such graph, or the layers are of a kind of their own.
        """
        graph = self.check_explainable(graph, len(batch.ptr) - 1, epochs, lr, "give the graph's place in the batch")
        one = one_graph(batch, graph)
        widths = [self.hparams[name] for name in ("num_features", "num_walks", "num_eigenvectors")]
        x = torch.cat([one[name] for name in ("x", "walks", "eigenvectors") if name in one], dim=1)

        def reading(net: nn.Module, x: Tensor, edge_index: Tensor, edges: Mapping[str, Tensor | None]) -> Tensor:
            own, *encodings = x.split(widths, dim=1)
            further = [part if part.shape[1] else None for part in encodings]
            graph = torch.zeros(len(x), dtype=torch.long)
            return net(own, edge_index, graph, 1, edges["edge_attr"], edges["edge_weight"], *further)

        edges = {name: one.get(name) for name in ("edge_attr", "edge_weight")}
        return explain_output(self.net, reading, x, one["edge_index"], edges, not self.num_outputs, epochs, lr, seed)

    def figures(self, batch: Data, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """What the task shows, and a graph: its matrices, the attention, and why it is predicted as it is."""
        return {**super().figures(batch, facts), **graph_figures(self, batch, facts)}


class GraphClassifier(GraphModule, Classifier):
    """Classifies graphs (GIN: Xu et al. 2019, arXiv:1810.00826; others by ``convolution``).

    The loss is the mean cross-entropy of the graphs of a batch, plus the penalties. To use other layers, override
    :meth:`build_encoder`; another network, :meth:`build_net`.
    """

    @property
    def num_outputs(self) -> int:
        """One logit for each class."""
        return self.hparams["num_classes"]

    def figures(self, batch: Data, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Confusions, embeddings of graphs, and some of the graphs with their classes."""
        (inputs, labels), classes = self.split(batch), facts.get("classes", ())
        names = list(classes) or [str(number) for number in range(self.hparams["num_classes"])]
        predicted = self(*inputs).argmax(dim=1)
        titles = [f"{names[y]}, predicted {names[p]}" for y, p in zip(labels.tolist(), predicted.tolist(), strict=True)]
        return {
            **super().figures(batch, facts),
            "embeddings": latent_space(self.embed(batch), labels, classes, "embeddings of held-out graphs"),
            "graphs": graph_grid(
                batch, titles, (predicted != labels).tolist(), "held-out graphs, mistakes in red", names_of(self, facts)
            ),
        }


class GraphRegressor(GraphModule, Regressor):
    """Regresses a number for each graph; otherwise as :class:`GraphClassifier`."""

    def figures(self, batch: Data, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Predictions beside the truth, and some of the graphs."""
        inputs, target = self.split(batch)
        pairs = zip(self.with_offset(target).tolist(), self(*inputs).tolist(), strict=True)
        titles = [f"{y:.4g}, predicted {p:.4g}" for y, p in pairs]
        title = " ".join(["held-out graphs:", facts.get("target_name", ""), "true and predicted"])
        grid = graph_grid(batch, titles, [False] * len(titles), title, names_of(self, facts))
        return {**super().figures(batch, facts), "graphs": grid}
