"""Features of which most are 0, as bags of words: dropout and matrix products that touch the others alone.

Dropout on a dense matrix of Cora's bags of words takes nearly the whole of a step; zeros stay zeros under it, so that
the network is the same one.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch_geometric.nn.dense.linear import Linear

from nnzoo.nets.precision import full_precision

SPARSE_BELOW = 0.1
"""Share of values other than 0 below which a sparse matrix is faster."""


class ByColumn(NamedTuple):
    """The values of a CSR tensor (N, F) in the order of its columns, in which the transposed tensor has them.

    A product's gradient needs the transposed one, and PyTorch sorts all values to make it, which takes longer than the
    rest of a step. Dropout changes values, not places: an order that is found once serves all steps.

    Attributes:
        starts: Where each column starts (F + 1,).
        rows: The row of each value (M,).
        order: The number of each value among those of the CSR tensor (M,).
    """

    starts: Tensor
    rows: Tensor
    order: Tensor

    @classmethod
    def of(cls, features: Tensor) -> "ByColumn":
        """The order of a CSR tensor."""
        crow, columns = features.crow_indices(), features.col_indices()
        order = columns.argsort(stable=True)
        rows = torch.arange(len(features), device=crow.device).repeat_interleave(crow.diff())
        counts = torch.bincount(columns, minlength=features.shape[1])
        return cls(torch.cat([counts.new_zeros(1), counts.cumsum(0)]), rows[order], order)


def sparse_where_worthwhile(features: Tensor) -> Tensor:
    """Features (N, F) as a CSR tensor, where most are 0; else as they are. A CSR tensor gets a ``by_column``."""
    if features.dim() != 2 or features.numel() == 0:
        return features
    if features.layout != torch.sparse_csr:
        if features.count_nonzero() >= SPARSE_BELOW * features.numel():
            return features
        features = features.to_sparse_csr()
    features.by_column = ByColumn.of(features)  # type: ignore[attr-defined]
    return features


def identity(num_nodes: int) -> Tensor:
    """A column for each node (N, N) as a CSR tensor, which takes memory for N values."""
    numbers = torch.arange(num_nodes + 1)
    size, ones = (num_nodes, num_nodes), torch.ones(num_nodes)
    return torch.sparse_csr_tensor(numbers, numbers[:-1], ones, size, check_invariants=False)


def sparse_rows(features: Tensor, rows: Tensor) -> Tensor:
    """Some rows (M, F) of CSR features, as a CSR tensor that takes memory for their own values."""
    counts = features.crow_indices().diff()[rows]
    ends = counts.cumsum(0)
    shift = (features.crow_indices()[rows] - (ends - counts)).repeat_interleave(counts)
    places = torch.arange(len(shift), device=shift.device) + shift
    starts, size = torch.cat([ends.new_zeros(1), ends]), (len(rows), features.shape[1])
    columns, values = features.col_indices()[places], features.values()[places]
    return torch.sparse_csr_tensor(starts, columns, values, size, check_invariants=False)


def dense(features: Tensor) -> Tensor:
    """Features as an ordinary tensor."""
    return features.to_dense() if features.layout == torch.sparse_csr else features


class FeatureDropout(nn.Dropout):
    """Dropout of dense features, and of the values other than 0 of sparse ones."""

    def forward(self, features: Tensor) -> Tensor:
        """Features of the same layout."""
        if features.layout != torch.sparse_csr or not (self.training and self.p):
            return super().forward(features) if features.layout != torch.sparse_csr else features
        values = F.dropout(features.values(), self.p)
        dropped = torch.sparse_csr_tensor(
            features.crow_indices(), features.col_indices(), values, features.shape, check_invariants=False
        )
        if hasattr(features, "by_column"):
            dropped.by_column = features.by_column  # type: ignore[attr-defined]
        return dropped


class OrderedProduct(torch.autograd.Function):
    """X W of features X in CSR, whose order by column is known; the gradient is of W alone: X must need none."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor) -> Tensor:
        """(N, D) of weights (F, D)."""
        ctx.save_for_backward(features.values(), *features.by_column)  # type: ignore[attr-defined]
        ctx.shape = features.shape[::-1]
        return torch.sparse.mm(features, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        """X^T times the gradient of the product."""
        values, starts, rows, order = ctx.saved_tensors
        transposed = torch.sparse_csr_tensor(starts, rows, values[order], ctx.shape, check_invariants=False)
        return None, torch.sparse.mm(transposed, gradient)


class FeatureLinear(Linear):
    """x W^T without a bias, of dense or sparse features, with Glorot's uniform weights as GCN and GAT have them.

    Args:
        in_features: Features of a node.
        out_features: Features that come out.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False, weight_initializer="glorot")

    def forward(self, features: Tensor) -> Tensor:
        """(N, out_features), dense."""
        if features.layout != torch.sparse_csr:
            return super().forward(features)
        return sparse_product(features, self.weight)


def sparse_product(features: Tensor, weight: Tensor) -> Tensor:
    """X W^T (N, D) of CSR features (N, F) and weights (D, F)."""
    with full_precision(features.device):  # there is no sparse product in bfloat16
        ordered = hasattr(features, "by_column") and not features.requires_grad
        product = OrderedProduct.apply if ordered else torch.sparse.mm
        return product(features, weight.t())
