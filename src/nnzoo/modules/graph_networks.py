"""What the modules of graph neural networks share: their layers, attention, and explanations."""

import operator
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor
from torch_geometric.data import Data

from nnzoo.data.facts import datamodule_of
from nnzoo.errors import InputError, check_sizes
from nnzoo.modules.evaluating import in_evaluation
from nnzoo.modules.graph_checks import check_spread, warn_of_data
from nnzoo.modules.supervised import SupervisedModule
from nnzoo.nets.gnn import GraphEncoder
from nnzoo.nets.graph_attention import attends, attention_weights
from nnzoo.nets.graph_convolutions import CONVOLUTIONS, ConvolutionName, Norm
from nnzoo.nets.graph_explanation import passes_messages
from nnzoo.nets.layers import Activation

ATTENDING = [name for name, convolution in CONVOLUTIONS.items() if convolution.attends]
PLAIN = [name for name, convolution in CONVOLUTIONS.items() if not convolution.whole]


class GraphNetwork(SupervisedModule):
    """A network whose first part is a :class:`nnzoo.nets.gnn.GraphEncoder`.

    Args:
        num_features: Features of a node (the command line takes it from the data).
        num_edge_features: Features of an edge (the command line takes it from the data).
        convolution: gcn | gat | gatv2 | sage | gin | transformer | interaction | gps, see
            :class:`nnzoo.nets.gnn.GraphEncoder`.
        hidden: Width of each layer, all heads together.
        heads: Attention heads of a layer.
        norm: none | batch | layer | graph.
        activation: relu | leaky_relu | elu | silu | gelu | tanh.
        dropout: Share of the features before each layer that are set to 0 in training; of gps inside it.
        attention_dropout: Share of the attention coefficients.
        residual: Add each layer's input to its output where they have the same width.
        shared: What :class:`nnzoo.modules.supervised.SupervisedModule` and the base class of the task take.

    Raises:
        InputError: If a value is out of range.
    """

    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {
        "heads": ("convolution", ATTENDING),
        "attention_dropout": ("convolution", ATTENDING),
        "residual": ("convolution", PLAIN),
    }
    shares: ClassVar[Sequence[str]] = ("dropout", "attention_dropout")
    """Hyperparameters that are shares."""

    net: Any

    def __init__(
        self,
        *,
        num_features: int = 16,
        num_edge_features: int = 0,
        convolution: ConvolutionName = "gcn",
        hidden: Sequence[int] = (64, 64),
        heads: int = 1,
        norm: Norm = "none",
        activation: Activation = "relu",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        residual: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        check_sizes(num_features=hparams["num_features"], hidden=hparams["hidden"])
        if not hparams["hidden"]:
            raise InputError("A graph network needs a layer or more: set --model.hidden, such as [64].")
        for name in self.shares:
            if not 0 <= hparams[name] < 1:
                raise InputError(f"{name} is a share, from 0 to below 1, got {hparams[name]}: set --model.{name}.")

    @property
    def num_outputs(self) -> int:
        """Values that the network gives for a sample; 0 for a single number without a dimension of its own."""
        return 0

    def encoder_of(self, in_features: int, **further: Any) -> GraphEncoder:
        """The layers by these hyperparameters.

        Args:
            in_features: What the first layer takes of a node.
            further: Other arguments of :class:`nnzoo.nets.gnn.GraphEncoder`.
        """
        names = ("hidden", "convolution", "heads", "norm", "activation", "dropout", "attention_dropout", "residual")
        edges = {"edge_features": self.hparams["num_edge_features"]}
        return GraphEncoder(in_features, **edges, **{name: self.hparams[name] for name in names}, **further)

    @property
    def attends(self) -> bool:
        """Whether its layers give attention to neighbours, as those of gat, gatv2 and transformer do."""
        return all(attends(layer) for layer in self.net.encoder.convolutions)

    @in_evaluation
    def attention(self, batch: Data, layer: int = -1) -> tuple[Tensor, Tensor]:
        """How much attention each node gives to each of its neighbours.

        Args:
            batch: As for training.
            layer: Its place among the layers; the last by default.

        Returns:
            Source and target of the edges (2, E) as the layer sees them, with its self-loops, and their weights (E, H)
            in each head: those of the edges into a node sum to 1.

        Raises:
            InputError: If the layers give no attention to neighbours, or there are fewer.
        """
        layers = self.net.encoder.convolutions
        if not self.attends:
            raise InputError(
                f"{self.hparams['convolution']} has no attention to neighbours: set --model.convolution gat, gatv2 or "
                "transformer."
            )
        if not -len(layers) <= layer < len(layers):
            raise InputError(f"The network has layers 0 to {len(layers) - 1}, got {layer}: choose one of them.")
        return attention_weights(layers[layer], lambda: self.outputs(*self.split(batch)[0]))

    @property
    def reaches_all(self) -> bool:
        """Whether outputs go through the whole graph after the layers, by the weights of its edges."""
        return False

    @property
    def explainable(self) -> bool:
        """Whether its layers are of PyG's MessagePassing, whose edges can be masked."""
        return passes_messages(self.net)

    def check_explainable(self, number: int, count: int, epochs: int, lr: float, hint: str) -> int:
        """The number, as a plain one; raises InputError if ``explain`` cannot do it, with a hint where numbers are."""
        if not self.explainable:
            raise InputError(
                "The layers are none of PyG's MessagePassing, whose edges could be masked: derive yours from it."
            )
        try:
            number = operator.index(number)  # NumPy's and PyTorch's numbers, too
        except TypeError as error:
            raise InputError(f"A number from 0 to {count - 1} is meant, got {number!r}: {hint}.") from error
        if not 0 <= number < count:
            raise InputError(f"There are numbers from 0 to {count - 1}, got {number}: choose one of them.")
        check_sizes(epochs=epochs)
        if not lr > 0:
            raise InputError(f"lr must be above 0, got {lr}.")
        return number

    def setup(self, stage: str) -> None:
        """Warns of what the data know and the convolution does not see or takes much memory for."""
        super().setup(stage)
        if stage == "fit":
            warn_of_data(self, datamodule_of(self.trainer))

    def training_step(self, batch: Data, batch_idx: int) -> Tensor:
        """Mean loss of a batch plus the penalties."""
        check_spread(self, batch)
        return super().training_step(batch, batch_idx)
