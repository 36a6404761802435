"""Features of which most are 0, as bags of words: dropout and matrix products that touch the others alone.

Dropout on a dense matrix of Cora's bags of words takes nearly the whole of a step; zeros stay zeros under it, so that
the network is the same one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn.dense.linear import Linear

from nnzoo.nets.precision import full_precision

SPARSE_BELOW = 0.1
"""Share of values other than 0 below which a sparse matrix is faster."""


def sparse_where_worthwhile(features: Tensor) -> Tensor:
    """Features (N, F) as a CSR tensor, where most are 0; else as they are."""
    if features.layout == torch.sparse_csr or features.dim() != 2 or features.numel() == 0:
        return features
    if features.count_nonzero() >= SPARSE_BELOW * features.numel():
        return features
    return features.to_sparse_csr()


def identity(num_nodes: int) -> Tensor:
    """A column for each node (N, N) as a CSR tensor, which takes memory for N values."""
    numbers = torch.arange(num_nodes + 1)
    size, ones = (num_nodes, num_nodes), torch.ones(num_nodes)
    return torch.sparse_csr_tensor(numbers, numbers[:-1], ones, size, check_invariants=False)


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
        return torch.sparse_csr_tensor(
            features.crow_indices(), features.col_indices(), values, features.shape, check_invariants=False
        )


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
        with full_precision(features.device):  # there is no sparse product in bfloat16
            return torch.sparse.mm(features, self.weight.t())
