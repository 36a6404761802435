"""Graph neural networks whose outputs are of whole graphs: an encoder of nodes, a readout of each graph, a head."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch_geometric.nn.aggr import Aggregation, AttentionalAggregation, MaxAggregation, MeanAggregation, SumAggregation

from nnzoo.nets.gnn import GraphEncoder
from nnzoo.nets.layers import Activation, mlp
from nnzoo.nets.noise import uniform

Readout = Literal["mean", "sum", "max", "attention"]


def build_readout(name: Readout, width: int) -> Aggregation:
    """What makes a row of the nodes of each graph (N, width) -> (B, width); attention is arXiv:1904.12787's."""
    if name == "attention":
        return AttentionalAggregation(nn.Linear(width, 1))
    return {"mean": MeanAggregation, "sum": SumAggregation, "max": MaxAggregation}[name]()


class GraphNet(nn.Module):
    """An encoder, a readout and a head.

    Args:
        encoder: Its input is the features of nodes, then the encodings.
        num_outputs: Values for each graph; 0 for a single number without a dimension of its own.
        readout: mean | sum | max | attention, of the nodes of each graph.
        in_features: Features and encodings of a node together.
        head_hidden: Widths of the hidden layers of the head; none for a linear one.
        activation: Of those layers.
        dropout: Before the head's last layer; with ``every_layer`` after each.
        every_layer: In place of the head, the sum of a linear layer for each readout, of the input and of what comes
            out of every layer, as in the code of GIN's authors (arXiv:1810.00826).
    """

    def __init__(
        self,
        encoder: GraphEncoder,
        num_outputs: int,
        readout: Readout,
        in_features: int,
        head_hidden: Sequence[int] = (),
        activation: Activation = "relu",
        dropout: float = 0.0,
        every_layer: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.num_outputs, self.every_layer = encoder, num_outputs, every_layer
        widths = [in_features, *encoder.widths] if every_layer else [encoder.out_features]
        self.readouts = nn.ModuleList([build_readout(readout, width) for width in widths])
        out = max(1, num_outputs)
        if every_layer:
            heads = [nn.Sequential(nn.Linear(width, out), nn.Dropout(dropout)) for width in widths]
        else:
            *before, last = mlp([*widths, *head_hidden, out], activation)
            heads = [nn.Sequential(*before, nn.Dropout(dropout), last)]
        self.heads = nn.ModuleList(heads)

    def embed(
        self,
        x: Tensor,
        edge_index: Tensor,
        batch: Tensor,
        num_graphs: int,
        edge_attr: Tensor | None = None,
        edge_weight: Tensor | None = None,
        walks: Tensor | None = None,
        eigenvectors: Tensor | None = None,
    ) -> list[Tensor]:
        """Readouts (B, D), of the encoder or of the input and every layer; arguments as of :meth:`forward`."""
        inputs = [x]
        if walks is not None:
            inputs.append(walks)
        if eigenvectors is not None:
            inputs.append(self.turned(eigenvectors, batch, num_graphs))
        x = torch.cat(inputs, dim=1)
        if self.every_layer:
            states = [x, *self.encoder.states(x, edge_index, edge_attr, edge_weight, batch)]
        else:
            states = [self.encoder(x, edge_index, edge_attr, edge_weight, batch)]
        return [read(state, batch, dim_size=num_graphs) for read, state in zip(self.readouts, states, strict=True)]

    def turned(self, eigenvectors: Tensor, batch: Tensor, num_graphs: int) -> Tensor:
        """Eigenvectors (N, K) with a random sign for each of each graph, in training: either is as good."""
        if not self.training:
            return eigenvectors
        drawn = uniform((num_graphs, eigenvectors.shape[1]), eigenvectors, None)
        return eigenvectors * torch.where(drawn < 0.5, -1.0, 1.0).to(eigenvectors)[batch]

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor,
        batch: Tensor,
        num_graphs: int,
        edge_attr: Tensor | None = None,
        edge_weight: Tensor | None = None,
        walks: Tensor | None = None,
        eigenvectors: Tensor | None = None,
    ) -> Tensor:
        """Outputs (B, num_outputs) of graphs.

        Args:
            x: Features of the nodes of all graphs (N, F).
            edge_index: Source and target of each edge (2, E).
            batch: The graph that each node belongs to (N,), in order.
            num_graphs: Number of graphs, B; one without nodes has a readout of zeros.
            edge_attr: Features of the edges (E, D), if there are any.
            edge_weight: Weights of the edges (E,), if they have any.
            walks: Random-walk encodings of the nodes (N, S), if there are any.
            eigenvectors: Laplacian encodings of the nodes (N, K), if there are any.
        """
        read = self.embed(x, edge_index, batch, num_graphs, edge_attr, edge_weight, walks, eigenvectors)
        outputs = torch.stack([head(part) for head, part in zip(self.heads, read, strict=True)]).sum(dim=0)
        return outputs if self.num_outputs else outputs[:, 0]
