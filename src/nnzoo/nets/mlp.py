"""The multilayer perceptron, for vectors and for tables with categories."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError
from nnzoo.nets.layers import ACTIVATIONS, Activation

Norm = Literal["none", "batch", "layer"]


class MLP(nn.Module):
    """Fully connected layers; an empty ``hidden`` is a linear map. Input (B, num_inputs), output (B, num_outputs).

    Each hidden layer is linear, norm, activation, dropout.

    Args:
        num_inputs: Length of the input.
        num_outputs: Length of the output.
        hidden: Widths of the hidden layers.
        activation: relu | leaky_relu | silu | gelu | tanh.
        norm: none | batch (no bias in the layer before it: the norm's own replaces it) | layer (which without that bias
            would not see how long the input vector is).
        dropout: Share of activations set to 0 in training.
    """

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        hidden: Sequence[int] = (),
        activation: Activation = "relu",
        norm: Norm = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        norms = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
        layers: list[nn.Module] = []
        for width in hidden:
            layers.append(nn.Linear(num_inputs, width, bias=norm != "batch"))
            if norm != "none":
                layers.append(norms[norm](width))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(nn.Dropout(dropout))
            num_inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(num_inputs, num_outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        """Maps (B, num_inputs) to (B, num_outputs)."""
        return self.layers(inputs)


class TabularMLP(nn.Module):
    """A multilayer perceptron of a table's rows: numbers beside an embedding of each category.

    A category's code 0 stands for one never seen in training: its embedding is the zero vector and stays so.

    Args:
        num_numeric: Number of numeric columns, N.
        cardinalities: Number of known categories of each categorical column, C columns.
        num_outputs: K; with 0 the output is one number per row, (B,).
        hidden: Widths of the hidden layers.
        activation: relu | leaky_relu | silu | gelu | tanh.
        norm: none | batch | layer.
        dropout: Share of activations set to 0 in training.
    """

    def __init__(
        self,
        num_numeric: int,
        cardinalities: Sequence[int],
        num_outputs: int,
        hidden: Sequence[int] = (),
        activation: Activation = "relu",
        norm: Norm = "none",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embeddings = nn.ModuleList(
            nn.Embedding(count + 1, embedding_size(count), padding_idx=0) for count in cardinalities
        )
        num_inputs = num_numeric + sum(map(embedding_size, cardinalities))
        self.scalar = num_outputs == 0
        self.mlp = MLP(num_inputs, num_outputs or 1, hidden, activation, norm, dropout)

    def forward(self, numeric: Tensor, categories: Tensor | None = None) -> Tensor:
        """Maps numbers (B, N) and codes (B, C), which only a table with categories needs, to (B, K), or to (B,)."""
        if categories is None:
            categories = numeric.new_empty(len(numeric), 0)
        if categories.shape[1] != len(self.embeddings):
            raise InputError(
                f"The network takes the codes of {len(self.embeddings)} categorical columns, got {categories.shape[1]}."
            )
        embedded = [embedding(categories[:, column]) for column, embedding in enumerate(self.embeddings)]
        outputs = self.mlp(torch.cat([numeric.to(self.dtype), *embedded], dim=1))
        return outputs.squeeze(1) if self.scalar else outputs

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights."""
        return self.mlp.layers[-1].weight.dtype  # type: ignore[return-value]


def embedding_size(count: int) -> int:
    """Length of the embedding of ``count`` categories: half as many, at most 50."""
    return min(50, (count + 1) // 2)
