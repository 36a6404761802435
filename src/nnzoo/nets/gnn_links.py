"""Links between embedded nodes: decoders, the loss over all pairs of nodes, and the pairs with the highest scores.

Neither keeps a value for each pair of nodes: they go through blocks of them.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nnzoo.nets.layers import mlp
from nnzoo.nets.vae import gaussian_kl

DecoderName = Literal["inner_product", "mlp"]
MAX_VALUES = 2**22
"""Values of a block of pairs that are held at once (16 MiB in float32)."""


class InnerProduct(nn.Module):
    """The inner product of two embeddings (Kipf & Welling 2016, arXiv:1611.07308): the same in both directions."""

    width = 1
    """Values that are held for a pair."""

    def forward(self, sources: Tensor, targets: Tensor) -> Tensor:
        """Scores (B,) of pairs of embeddings (B, L), the log-odds of a link."""
        return (sources * targets).sum(dim=-1)

    def grid(self, sources: Tensor, targets: Tensor) -> Tensor:
        """Scores (B, N) of embeddings (B, L) with each of others (N, L)."""
        return sources @ targets.T


class MLPDecoder(nn.Module):
    """A perceptron of a pair: of the products of the embeddings' entries, which are the same in both directions.

    Args:
        size: Entries of an embedding, L.
        hidden: Width of each layer.
        directed: Take both embeddings side by side instead, so that the directions differ.
    """

    def __init__(self, size: int, hidden: Sequence[int], directed: bool) -> None:
        super().__init__()
        self.directed = directed
        inputs = 2 * size if directed else size
        self.layers = mlp([inputs, *hidden, 1], "relu")
        self.width = max(inputs, *hidden)

    def forward(self, sources: Tensor, targets: Tensor) -> Tensor:
        """Scores (B,) of pairs of embeddings (B, L)."""
        joined = torch.cat([sources, targets], dim=-1) if self.directed else sources * targets
        return self.layers(joined)[..., 0]

    def grid(self, sources: Tensor, targets: Tensor) -> Tensor:
        """Scores (B, N) of embeddings (B, L) with each of others (N, L)."""
        shape = (len(sources), len(targets), sources.shape[1])
        return self(sources[:, None].expand(shape), targets[None].expand(shape))


Decoder = InnerProduct | MLPDecoder


def build_decoder(name: DecoderName, size: int, hidden: Sequence[int], directed: bool) -> Decoder:
    """A decoder by its name."""
    return InnerProduct() if name == "inner_product" else MLPDecoder(size, hidden, directed)


def sampled_loss(linked: Tensor, unlinked: Tensor) -> Tensor:
    """Negative log-likelihood (B,), in nats, of a linked pair's and of an unlinked pair's score (B,), added up."""
    return F.softplus(-linked) + F.softplus(unlinked)


def all_pairs_loss(decoder: Decoder, codes: Tensor, starts: Tensor, ones: Tensor) -> Tensor:
    """The reconstruction term of arXiv:1611.07308 as its authors' code has it, for some rows of the matrix.

    norm / N * sum_j [ positive_weight A'_ij softplus(-s_ij) + (1 - A'_ij) softplus(s_ij) ] for each row i, with A' =
    A + I, positive_weight = (N^2 - E) / E and norm = N^2 / (2 (N^2 - E)), where E is the sum of A, without self-loops.
    The mean over all rows is the paper's mean over all pairs.

    Args:
        decoder: What scores pairs.
        codes: Embeddings (N, L) of all nodes.
        starts: The rows (B,), each once.
        ones: Where A + I is 1 (2, M).

    Returns:
        Loss of each row (B,).
    """
    nodes = len(codes)
    edges = int((ones[0] != ones[1]).sum())
    positive_weight, norm = (nodes**2 - edges) / max(1, edges), nodes**2 / (2 * max(1, nodes**2 - edges))
    places = torch.full((nodes,), -1, device=codes.device)
    places[starts] = torch.arange(len(starts), device=codes.device)
    rows = places[ones[0]]
    sources, targets = ones[:, rows >= 0]
    scores = decoder(codes[sources], codes[targets])
    # All pairs as if none were linked, then the linked ones corrected: these alone are kept one by one.
    corrections = positive_weight * F.softplus(-scores) - F.softplus(scores)
    sums = torch.cat([checkpoint(_unlinked_sums, decoder, codes, block, use_reentrant=False)
                      for block in blocks(starts, nodes, decoder)])  # fmt: skip
    return norm / nodes * sums.index_add(0, rows[rows >= 0], corrections.to(sums))


def _unlinked_sums(decoder: Decoder, codes: Tensor, rows: Tensor) -> Tensor:
    return F.softplus(decoder.grid(codes[rows], codes)).sum(dim=1)


def blocks(rows: Tensor, num_nodes: int, decoder: Decoder) -> Iterator[Tensor]:
    """Rows of the matrix of all pairs, so many at once as may be held."""
    yield from rows.split(max(1, MAX_VALUES // (num_nodes * decoder.width)))


def graph_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(q(z_i) || N(0, I)), summed over dimensions, its mean over the N nodes divided by N once more.

    So it stands beside a mean over all N^2 pairs in arXiv:1611.07308, where both were sums: a scalar, in nats.
    """
    return gaussian_kl(mean, log_var).sum(dim=1).mean() / len(mean)


@torch.no_grad()
def strongest(
    decoder: Decoder, codes: Tensor, starts: Tensor, edge_index: Tensor, most: int, directed: bool
) -> tuple[Tensor, Tensor]:
    """The pairs (2, K) with the highest scores (K,) among those without an edge, highest first; K is ``most`` or less.

    Args:
        decoder: What scores pairs.
        codes: Embeddings (N, L) of all nodes.
        starts: First nodes of the pairs that are looked at (B,), each once.
        edge_index: All known edges (2, E), both directions of undirected ones.
        most: The most pairs to return.
        directed: Whether (a, b) and (b, a) are different pairs; otherwise the smaller number comes first.
    """
    nodes, columns = len(codes), torch.arange(len(codes), device=codes.device)
    places = torch.full((nodes,), -1, device=codes.device)
    found, values = codes.new_empty(2, 0, dtype=torch.int64), codes.new_empty(0)
    for rows in blocks(starts, nodes, decoder):
        scores = decoder.grid(codes[rows], codes).to(codes.dtype)
        places.fill_(-1)[rows] = torch.arange(len(rows), device=codes.device)
        inside = places[edge_index[0]] >= 0
        scores[places[edge_index[0, inside]], edge_index[1, inside]] = -torch.inf
        left_out = columns == rows[:, None] if directed else columns <= rows[:, None]
        scores.masked_fill_(left_out, -torch.inf)
        best = scores.flatten().topk(min(most, scores.numel()))
        pairs = torch.stack([rows[best.indices // nodes], best.indices % nodes])[:, best.values > -torch.inf]
        found, values = torch.cat([found, pairs], dim=1), torch.cat([values, best.values[best.values > -torch.inf]])
        order = values.argsort(descending=True, stable=True)[:most]
        found, values = found[:, order], values[order]
    return found, values
