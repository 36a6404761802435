"""Graph convolutions by their names: what maps the features of nodes, and of edges, to those of the next layer."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch_geometric.nn import (
    GATConv,
    GATv2Conv,
    GCNConv,
    GINConv,
    GINEConv,
    GPSConv,
    MessagePassing,
    SAGEConv,
    TransformerConv,
)

from nnzoo.nets.layers import ACTIVATIONS, Activation
from nnzoo.nets.sparse_features import FeatureLinear, sparse_product

ConvolutionName = Literal["gcn", "gat", "gatv2", "sage", "gin", "transformer", "interaction", "gps"]
Norm = Literal["none", "batch", "layer", "graph"]


class Width(NamedTuple):
    """What a convolution maps from and to, and by how many heads.

    Attributes:
        size: Features of a node.
        out: Features that come out, of all heads together unless they are averaged.
        heads: Attention heads.
        averaged: Whether heads are averaged rather than stood side by side.
        edges: Features of an edge; 0 for none.
        dropout: Of attention coefficients.
        norm: Of a layer that brings its own.
        activation: Of a layer that brings its own.
        inner_dropout: Of a layer that brings its own.
    """

    size: int
    out: int
    heads: int = 1
    averaged: bool = False
    edges: int = 0
    dropout: float = 0.0
    norm: Norm = "none"
    activation: Activation = "relu"
    inner_dropout: float = 0.0

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


class SAGE(SAGEConv):
    """PyG's layer, of sparse features too: the mean of what the weights make of them is what they make of the mean."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Nodes (N, out) of nodes (N, F), dense or as a CSR tensor."""
        if x.layout != torch.sparse_csr:
            return super().forward(x, edge_index)
        mapped = sparse_product(x, self.lin_l.weight)
        near = self.propagate(edge_index, x=(mapped, mapped), size=None)
        return near + self.lin_l.bias + sparse_product(x, self.lin_r.weight)


def sage(width: Width) -> nn.Module:
    """Hamilton et al. 2017, arXiv:1706.02216: the neighbours' mean beside the node itself."""
    return SAGE(width.size, width.out)


def gin(width: Width) -> nn.Module:
    """Xu et al. 2019, arXiv:1810.00826 (GIN-0): an MLP of the sum; with edge features GINE, arXiv:1905.12265."""
    inner = nn.Sequential(
        nn.Linear(width.size, width.out), nn.BatchNorm1d(width.out), nn.ReLU(), nn.Linear(width.out, width.out)
    )
    return GINEConv(inner, edge_dim=width.edges) if width.edges else GINConv(inner)


def transformer(width: Width) -> nn.Module:
    """Shi et al. 2021, arXiv:2009.03509: dot-product attention over the neighbours, beside the node itself."""
    return TransformerConv(**width.attention())


def perceptron(size: int, out: int) -> nn.Sequential:
    """One hidden layer as wide as the output."""
    return nn.Sequential(nn.Linear(size, out), nn.ReLU(), nn.Linear(out, out))


class Interaction(MessagePassing):
    """Battaglia et al. 2016, arXiv:1612.00222: an edge becomes f(source, target, edge), a node g(node, their sum).

    Args:
        width: What it maps from and to; edges come out as wide as nodes.
    """

    def __init__(self, width: Width) -> None:
        super().__init__(aggr="sum")
        self.edge = perceptron(2 * width.size + width.edges, width.out)
        self.node = perceptron(width.size + width.out, width.out)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Nodes (N, out) and edges (E, out)."""
        ends = [x[edge_index[0]], x[edge_index[1]]]
        edges = self.edge(torch.cat(ends if edge_attr is None else [*ends, edge_attr], dim=1))
        effects = self.propagate(edge_index, edges=edges, size=(len(x), len(x)))
        return self.node(torch.cat([x, effects], dim=1)), edges

    def message(self, edges: Tensor) -> Tensor:
        """What an edge brings to its target (E, out)."""
        return edges


class GPS(nn.Module):
    """Rampasek et al. 2022, arXiv:2205.12454: GIN's messages beside attention over all nodes of the graph.

    Both have a shortcut and a norm, and so has the perceptron after their sum. Features of another width are mapped to
    the layer's by a linear layer first.

    Args:
        width: What it maps from and to.
    """

    def __init__(self, width: Width) -> None:
        super().__init__()
        self.project = nn.Linear(width.size, width.out) if width.size != width.out else nn.Identity()
        norm = {"none": None, "batch": "batch_norm", "layer": "layer_norm", "graph": "graph_norm"}[width.norm]
        self.layer = GPSConv(
            width.out,
            gin(Width(width.out, width.out, edges=width.edges)),
            heads=width.heads,
            dropout=width.inner_dropout,
            act=ACTIVATIONS[width.activation](),
            norm=norm,
            norm_kwargs={"mode": "node"} if norm == "layer_norm" else None,
            attn_kwargs={"dropout": width.dropout},
        )

    def forward(
        self, x: Tensor, edge_index: Tensor, edge_attr: Tensor | None = None, batch: Tensor | None = None
    ) -> Tensor:
        """Nodes (N, out), of the graphs ``batch`` (N,), which is sorted; of one graph if None."""
        edges = {} if edge_attr is None else {"edge_attr": edge_attr}
        return self.layer(self.project(x), edge_index, batch=batch, **edges)


class Convolution(NamedTuple):
    """A kind of convolution: what makes it, and what it takes of the edges.

    Attributes:
        build: Makes a layer.
        takes: Of the edges.
        attends: Whether it has attention heads.
        sparse: Whether it takes sparse features of nodes.
        loops: Whether it adds self-loops, in place of those that are there.
        updates: Whether it gives edges besides nodes.
        whole: Whether it brings shortcut, norm, activation and dropout itself, and sees all nodes of a graph.
    """

    build: Callable[[Width], nn.Module]
    takes: Literal["weight", "features", "nothing"]
    attends: bool = False
    sparse: bool = False
    loops: bool = False
    updates: bool = False
    whole: bool = False


CONVOLUTIONS = {
    "gcn": Convolution(gcn, "weight", sparse=True, loops=True),
    "gat": Convolution(gat, "features", attends=True, sparse=True, loops=True),
    "gatv2": Convolution(gatv2, "features", attends=True, loops=True),
    "sage": Convolution(sage, "nothing", sparse=True),
    "gin": Convolution(gin, "features"),
    "transformer": Convolution(transformer, "features", attends=True),
    "interaction": Convolution(Interaction, "features", updates=True),
    "gps": Convolution(GPS, "features", attends=True, whole=True),
}
