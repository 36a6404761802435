"""Graph neural networks: from the features of nodes to embeddings that know their neighbourhood."""

from collections.abc import Sequence
from typing import Any, Literal

from torch import Tensor, nn
from torch_geometric.nn import APPNP, GraphNorm, JumpingKnowledge
from torch_geometric.utils import scatter

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.graph_convolutions import CONVOLUTIONS, ConvolutionName, Norm, Width
from nnzoo.nets.layers import ACTIVATIONS, Activation
from nnzoo.nets.sparse_features import FeatureDropout, dense

Jump = Literal["last", "cat", "max", "lstm"]


class GraphEncoder(nn.Module):
    """Layers of dropout, a convolution, a norm, an activation, each with a shortcut if asked for.

    To use another convolution, override :meth:`build_convolution`.

    Args:
        in_features: Features of a node.
        hidden: Width of each layer, all heads together.
        out_features: If given, the last layer is a convolution to as many features, its heads averaged, without norm
            and activation, as in the papers of GCN and GAT. Not with ``jump`` other than last.
        convolution: gcn | gat | gatv2 | sage | gin | transformer | interaction | gps, each with its paper in
            :mod:`nnzoo.nets.graph_convolutions`. interaction changes edges as well; gps brings shortcuts of its own.
        heads: Attention heads of a layer.
        out_heads: Attention heads of that last layer.
        edge_features: Features of an edge; 0 for none.
        norm: none | batch | layer | graph (each graph by itself, arXiv:2009.03294).
        activation: relu | leaky_relu | elu | silu | gelu | tanh.
        dropout: Share of the features before each convolution that are set to 0 in training.
        attention_dropout: Share of the attention coefficients.
        residual: Add each layer's input to its output where they have the same width.
        jump: What comes out (arXiv:1806.03536): last | cat (of all layers) | max | lstm.
        virtual_node: Between layers, a state of each graph is added to its nodes: a perceptron of their mean and of its
            last state (Gilmer et al. 2017, arXiv:1704.01212). It is no node: no readout and no norm sees it.

    Raises:
        InputError: If a value is out of range, or does nothing with the convolution.
    """

    def __init__(
        self,
        in_features: int,
        hidden: Sequence[int] = (64, 64),
        out_features: int | None = None,
        convolution: ConvolutionName = "gcn",
        heads: int = 1,
        out_heads: int = 1,
        edge_features: int = 0,
        norm: Norm = "none",
        activation: Activation = "relu",
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        residual: bool = False,
        jump: Jump = "last",
        virtual_node: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(in_features=in_features, hidden=hidden, heads=heads, out_heads=out_heads)
        if any(width % heads for width in hidden):
            raise InputError(f"Layers of {list(hidden)} features do not divide over {heads} heads: set --model.hidden.")
        if jump in ("max", "lstm") and len(set(hidden)) > 1:
            raise InputError(f"jump {jump} needs layers of one width, got {list(hidden)}: set --model.hidden.")
        self.kind = CONVOLUTIONS[convolution]
        if self.kind.whole and out_features is not None:
            raise InputError(f"{convolution} cannot give the outputs itself: set --model.head linear.")
        if virtual_node and (len(set(hidden)) > 1 or len(hidden) < 2):
            raise InputError(
                f"A virtual node needs two or more layers of one width, got {list(hidden)}: set --model.hidden."
            )
        self.residual, self.activation = residual, ACTIVATIONS[activation]()
        self.dropout = FeatureDropout(0.0 if self.kind.whole else dropout)
        own: dict[str, Any] = {
            "norm": norm,
            "activation": activation,
            "inner_dropout": dropout,
            "dropout": attention_dropout,
        }
        sizes = [in_features, *hidden]
        edges = [edge_features if self.kind.takes == "features" else 0] * (len(hidden) + 1)
        if self.kind.updates:
            edges[1:] = hidden
        shapes = [
            Width(size, out, heads, False, edge, **own) for size, out, edge in zip(sizes, hidden, edges, strict=False)
        ]
        if out_features is not None:
            shapes.append(Width(sizes[-1], out_features, out_heads, True, edges[-1], **own))
        self.widths = list(hidden)
        self.convolutions = nn.ModuleList([self.build_convolution(shape) for shape in shapes])
        self.norms = nn.ModuleList([build_norm("none" if self.kind.whole else norm, width) for width in hidden])
        self.virtual = nn.ModuleList([VirtualNode(width, activation) for width in hidden[1:] if virtual_node])
        self.jump = None if jump == "last" else JumpingKnowledge(jump, hidden[-1], len(hidden))
        widths = sum(hidden) if jump == "cat" else sizes[-1]
        self.out_features = widths if out_features is None else out_features

    def build_convolution(self, width: Width) -> nn.Module:
        """A layer that PyG's message passing calls (x, edge_index, weight or features of edges) -> (N, width.out)."""
        return self.kind.build(width)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor | None = None,
        edge_weight: Tensor | None = None,
        batch: Tensor | None = None,
        depth: int | None = None,
    ) -> Tensor:
        """Embeddings (N, out_features) of the nodes.

        Args:
            x: Features of the nodes (N, F), dense or as a sparse CSR tensor.
            edge_index: Source and target of each edge (2, E); messages go from source to target.
            edge_attr: Features of the edges (E, D), if there are any.
            edge_weight: Weights of the edges (E,), if they have any.
            batch: The graph that each node belongs to (N,), in order; one graph if None.
            depth: What comes out of so many layers; of all if None.
        """
        states = self.states(x, edge_index, edge_attr, edge_weight, batch, depth)
        return states[-1] if self.jump is None else self.jump(states)

    def states(
        self,
        x: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor | None = None,
        edge_weight: Tensor | None = None,
        batch: Tensor | None = None,
        depth: int | None = None,
    ) -> list[Tensor]:
        """What comes out of each layer, see :meth:`forward`."""
        edges = {"weight": edge_weight, "features": edge_attr, "nothing": None}[self.kind.takes]
        states: list[Tensor] = []
        virtual = None
        for number, convolution in enumerate(self.convolutions[:depth]):
            dropped = self.dropout(x)
            inputs = [dropped if self.kind.sparse else dense(dropped), edge_index, *([] if edges is None else [edges])]
            new = convolution(*inputs, batch=batch) if self.kind.whole else convolution(*inputs)
            if self.kind.updates:
                new, edges = new
            if number < len(self.norms) and not self.kind.whole:
                norm = self.norms[number]
                new = norm(new, batch) if isinstance(norm, GraphNorm) else norm(new)
                new = self.activation(new)
            if self.residual and new.shape == x.shape:
                new = new + dense(x)
            states.append(new)
            x = new
            if number < len(self.virtual):
                virtual = self.virtual[number](x, batch, virtual)
                x = x + (virtual if batch is None else virtual[batch])
        return states


class VirtualNode(nn.Module):
    """A state of each graph: a perceptron of the mean of its nodes, plus its state before.

    Args:
        width: Values of it.
        activation: Of the perceptron.
    """

    def __init__(self, width: int, activation: Activation) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), ACTIVATIONS[activation](), nn.Linear(width, width)
        )

    def forward(self, x: Tensor, batch: Tensor | None, state: Tensor | None) -> Tensor:
        """(B, width) of nodes (N, width)."""
        mean = x.mean(dim=0, keepdim=True) if batch is None else scatter(x, batch, reduce="mean")
        return self.inner(mean if state is None else mean + state)


def build_norm(name: Norm, width: int) -> nn.Module:
    """A norm of node features (N, width): over the nodes of the batch, the features, or the nodes of each graph."""
    if name == "batch":
        return nn.BatchNorm1d(width)
    if name == "layer":
        return nn.LayerNorm(width)
    return GraphNorm(width) if name == "graph" else nn.Identity()


class NodeNet(nn.Module):
    """An encoder, and what makes outputs of the embeddings of some nodes.

    Args:
        encoder: Its last layer gives the outputs themselves, unless ``linear``.
        num_outputs: Values for each node; 0 for a single number without a dimension of its own.
        linear: Whether a linear layer after dropout gives the outputs.
        dropout: Before that layer.
        steps: Steps of personalised PageRank that the outputs Z then take over the graph (APPNP, Gasteiger et al. 2019,
            arXiv:1810.05997): Z <- (1 - teleport) D^-1/2 (A + I) D^-1/2 Z + teleport Z_0.
        teleport: Share of a node's own outputs in each step.
    """

    def __init__(
        self,
        encoder: GraphEncoder,
        num_outputs: int,
        linear: bool,
        dropout: float = 0.0,
        steps: int = 0,
        teleport: float = 0.1,
    ) -> None:
        super().__init__()
        self.encoder, self.num_outputs = encoder, num_outputs
        self.propagation = APPNP(steps, teleport) if steps else None
        wide = encoder.out_features
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(wide, max(1, num_outputs))) if linear else None

    def first_layer(self) -> nn.Module:
        """The convolution that sees the features."""
        return self.encoder.convolutions[0]

    def embed(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor | None, edge_weight: Tensor | None) -> Tensor:
        """What the encoder makes of all nodes (N, D): before the layer that gives the outputs."""
        depth = None if self.head is not None else len(self.encoder.norms)
        return self.encoder(x, edge_index, edge_attr, edge_weight, depth=depth)

    def forward(
        self,
        seeds: Tensor,
        x: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor | None = None,
        edge_weight: Tensor | None = None,
    ) -> Tensor:
        """Outputs (B, num_outputs) of the nodes ``seeds`` (B,) of a graph, see :class:`GraphEncoder`."""
        outputs = self.encoder(x, edge_index, edge_attr, edge_weight)
        if self.propagation is None:
            outputs = outputs[seeds]  # the head need not see the others
        if self.head is not None:
            outputs = self.head(outputs)
        if self.propagation is not None:
            outputs = self.propagation(outputs, edge_index, edge_weight)[seeds]
        return outputs if self.num_outputs else outputs[:, 0]
