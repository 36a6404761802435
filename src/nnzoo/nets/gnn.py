"""Graph neural networks: from the features of nodes to embeddings that know their neighbourhood."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

from torch import Tensor, nn
from torch_geometric.nn import (
    GATConv,
    GATv2Conv,
    GCNConv,
    GINConv,
    GINEConv,
    GraphNorm,
    JumpingKnowledge,
    SAGEConv,
    TransformerConv,
)

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.layers import ACTIVATIONS, Activation
from nnzoo.nets.sparse_features import FeatureDropout, FeatureLinear, dense

ConvolutionName = Literal["gcn", "gat", "gatv2", "sage", "gin", "transformer"]
Norm = Literal["none", "batch", "layer", "graph"]
Jump = Literal["last", "cat", "max", "lstm"]


class Width(NamedTuple):
    """What a convolution maps from and to, and by how many heads.

    Attributes:
        size: Features of a node.
        out: Features that come out, of all heads together unless they are averaged.
        heads: Attention heads.
        averaged: Whether heads are averaged rather than stood side by side.
        edges: Features of an edge; 0 for none.
        dropout: Of attention coefficients.
    """

    size: int
    out: int
    heads: int = 1
    averaged: bool = False
    edges: int = 0
    dropout: float = 0.0

    def attention(self) -> dict[str, Any]:
        """As PyG's attention layers take them."""
        each = self.out if self.averaged else self.out // self.heads
        sizes = {"in_channels": self.size, "out_channels": each, "heads": self.heads, "concat": not self.averaged}
        return {**sizes, "edge_dim": self.edges or None, "dropout": self.dropout}


def gcn(width: Width) -> nn.Module:
    """Kipf & Welling 2017, arXiv:1609.02907: D^-1/2 (A + I) D^-1/2 X W, self-loops added unless they are there."""
    convolution = GCNConv(width.size, width.out)
    convolution.lin = FeatureLinear(width.size, width.out)
    return convolution


def gat(width: Width) -> nn.Module:
    """Velickovic et al. 2018, arXiv:1710.10903: a softmax over the neighbours and the node itself."""
    convolution = GATConv(**width.attention())
    convolution.lin = FeatureLinear(width.size, convolution.heads * convolution.out_channels)
    return convolution


def gatv2(width: Width) -> nn.Module:
    """Brody et al. 2022, arXiv:2105.14491: the score's vector comes after the non-linearity."""
    return GATv2Conv(**width.attention())


def sage(width: Width) -> nn.Module:
    """Hamilton et al. 2017, arXiv:1706.02216: the neighbours' mean beside the node itself."""
    return SAGEConv(width.size, width.out)


def gin(width: Width) -> nn.Module:
    """Xu et al. 2019, arXiv:1810.00826 (GIN-0): an MLP of the sum; with edge features GINE, arXiv:1905.12265."""
    inner = nn.Sequential(
        nn.Linear(width.size, width.out), nn.BatchNorm1d(width.out), nn.ReLU(), nn.Linear(width.out, width.out)
    )
    return GINEConv(inner, edge_dim=width.edges) if width.edges else GINConv(inner)


def transformer(width: Width) -> nn.Module:
    """Shi et al. 2021, arXiv:2009.03509: dot-product attention over the neighbours, beside the node itself."""
    return TransformerConv(**width.attention())


class Convolution(NamedTuple):
    """A kind of convolution: what makes it, and what it takes of the edges."""

    build: Callable[[Width], nn.Module]
    takes: Literal["weight", "features", "nothing"]
    attends: bool = False
    sparse: bool = False


CONVOLUTIONS = {
    "gcn": Convolution(gcn, "weight", sparse=True),
    "gat": Convolution(gat, "features", attends=True, sparse=True),
    "gatv2": Convolution(gatv2, "features", attends=True),
    "sage": Convolution(sage, "nothing"),
    "gin": Convolution(gin, "features"),
    "transformer": Convolution(transformer, "features", attends=True),
}


class GraphEncoder(nn.Module):
    """Layers of dropout, a convolution, a norm, an activation, each with a shortcut if asked for.

    To use another convolution, override :meth:`build_convolution`.

    Args:
        in_features: Features of a node.
        hidden: Width of each layer, all heads together.
        out_features: If given, the last layer is a convolution to as many features, its heads averaged, without norm
            and activation, as in the papers of GCN and GAT. Not with ``jump`` other than last.
        convolution: gcn | gat | gatv2 | sage | gin | transformer, each a function of this module with its paper.
        heads: Attention heads of a layer.
        out_heads: Attention heads of that last layer.
        edge_features: Features of an edge; 0 for none.
        norm: none | batch | layer | graph (each graph by itself, arXiv:2009.03294).
        activation: relu | leaky_relu | elu | silu | gelu | tanh.
        dropout: Share of the features before each convolution that are set to 0 in training.
        attention_dropout: Share of the attention coefficients.
        residual: Add each layer's input to its output where they have the same width.
        jump: What comes out (arXiv:1806.03536): last | cat (of all layers) | max | lstm.

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
    ) -> None:
        super().__init__()
        check_sizes(in_features=in_features, hidden=hidden, heads=heads, out_heads=out_heads)
        if any(width % heads for width in hidden):
            raise InputError(f"Layers of {list(hidden)} features do not divide over {heads} heads: set --model.hidden.")
        if jump in ("max", "lstm") and len(set(hidden)) > 1:
            raise InputError(f"jump {jump} needs layers of one width, got {list(hidden)}: set --model.hidden.")
        self.kind = CONVOLUTIONS[convolution]
        self.residual, self.activation = residual, ACTIVATIONS[activation]()
        self.dropout = FeatureDropout(dropout)
        edges = edge_features if self.kind.takes == "features" else 0
        shapes = [
            Width(size, out, heads, False, edges, attention_dropout)
            for size, out in zip([in_features, *hidden[:-1]], hidden, strict=True)
        ]
        if out_features is not None:
            size = hidden[-1] if hidden else in_features
            shapes.append(Width(size, out_features, out_heads, True, edges, attention_dropout))
        self.convolutions = nn.ModuleList([self.build_convolution(shape) for shape in shapes])
        self.norms = nn.ModuleList([build_norm(norm, width) for width in hidden])
        self.jump = None if jump == "last" else JumpingKnowledge(jump, hidden[-1], len(hidden))
        widths = sum(hidden) if jump == "cat" else hidden[-1] if hidden else in_features
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
            batch: The graph that each node belongs to (N,); one graph if None.
            depth: What comes out of so many layers; of all if None.
        """
        edges = {"weight": (edge_weight,), "features": (edge_attr,), "nothing": ()}[self.kind.takes]
        if edges == (None,):
            edges = ()
        states = []
        for number, convolution in enumerate(self.convolutions[:depth]):
            dropped = self.dropout(x)
            new = convolution(dropped if self.kind.sparse else dense(dropped), edge_index, *edges)
            if number < len(self.norms):
                norm = self.norms[number]
                new = norm(new, batch) if isinstance(norm, GraphNorm) else norm(new)
                new = self.activation(new)
            if self.residual and new.shape == x.shape:
                new = new + dense(x)
            x = new
            states.append(x)
        return states[-1] if self.jump is None else self.jump(states)


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
    """

    def __init__(self, encoder: GraphEncoder, num_outputs: int, linear: bool, dropout: float = 0.0) -> None:
        super().__init__()
        self.encoder, self.num_outputs = encoder, num_outputs
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
        outputs = self.encoder(x, edge_index, edge_attr, edge_weight)[seeds]
        if self.head is not None:
            outputs = self.head(outputs)
        return outputs if self.num_outputs else outputs[:, 0]
