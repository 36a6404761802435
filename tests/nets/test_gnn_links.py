"""Decoders and losses of links against dense formulas."""

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence
from torch_geometric.nn import VGAE, InnerProductDecoder
from torch_geometric.utils import erdos_renyi_graph, to_dense_adj

from nnzoo.data.graphs.links import adjacency_ones
from nnzoo.nets import gnn_links
from nnzoo.nets.gnn_links import InnerProduct, MLPDecoder, all_pairs_loss, graph_kl, sampled_loss, strongest

NODES = 23


@pytest.fixture
def graph():
    """Embeddings and edges of a small graph."""
    torch.manual_seed(0)
    return torch.randn(NODES, 5), erdos_renyi_graph(NODES, 0.2)


DECODERS = [InnerProduct(), MLPDecoder(5, [7], False), MLPDecoder(5, [7], True)]


def dense_loss(decoder, codes, edges):
    """The paper's loss as its authors' code has it, with the whole matrix (optimizer.py and train.py of tkipf/gae)."""
    adjacency = to_dense_adj(edges, max_num_nodes=NODES)[0]
    label = adjacency + torch.eye(NODES)
    positive_weight = (NODES**2 - adjacency.sum()) / adjacency.sum()
    norm = NODES**2 / (2 * (NODES**2 - adjacency.sum()))
    scores = torch.stack([decoder(codes[i].expand(NODES, -1), codes) for i in range(NODES)])
    return norm * F.binary_cross_entropy_with_logits(scores, label, pos_weight=positive_weight)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("most", [1, 60, 2**22])
def test_the_loss_over_all_pairs_is_the_papers(decoder, most, graph, monkeypatch):
    monkeypatch.setattr(gnn_links, "MAX_VALUES", most)
    codes, edges = graph
    ones = adjacency_ones(edges, NODES)
    first, second = codes.clone().requires_grad_(), codes.clone().requires_grad_()
    found = all_pairs_loss(decoder, first, torch.arange(NODES), ones)
    expected = dense_loss(decoder, second, edges)
    torch.testing.assert_close(found.mean(), expected)
    found.mean().backward()
    expected.backward()
    torch.testing.assert_close(first.grad, second.grad)
    rows = torch.tensor([4, 20, 1])
    torch.testing.assert_close(all_pairs_loss(decoder, codes, rows, ones), found[rows].detach())


def test_no_value_is_kept_for_each_pair(monkeypatch):
    """What autograd keeps grows with nodes and edges, where the matrix would grow with their square."""
    nodes = 600
    monkeypatch.setattr(gnn_links, "MAX_VALUES", 10 * nodes)
    codes, edges = torch.randn(nodes, 4, requires_grad=True), erdos_renyi_graph(nodes, 0.01)
    kept = {}

    def keep(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = all_pairs_loss(InnerProduct(), codes, torch.arange(nodes), adjacency_ones(edges, nodes)).mean()
    loss.backward()
    assert sum(kept.values()) < nodes**2 / 2


def test_the_kl_is_the_papers():
    torch.manual_seed(0)
    mean, log_var = torch.randn(9, 4), torch.randn(9, 4)
    each = kl_divergence(Normal(mean, (0.5 * log_var).exp()), Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(graph_kl(mean, log_var), each.mean() / 9)
    # PyG leaves the second division to its users.
    torch.testing.assert_close(graph_kl(mean, log_var), VGAE(None).kl_loss(mean, log_var / 2) / 9)


def test_decoders_are_symmetric_unless_directed(graph):
    codes, edges = graph
    for decoder in DECODERS[:2]:
        torch.testing.assert_close(
            decoder(codes[edges[0]], codes[edges[1]]), decoder(codes[edges[1]], codes[edges[0]]), rtol=0, atol=0
        )
    there, back = DECODERS[2](codes[edges[0]], codes[edges[1]]), DECODERS[2](codes[edges[1]], codes[edges[0]])
    assert not torch.allclose(there, back)
    expected = InnerProductDecoder()(codes, edges, sigmoid=False)
    torch.testing.assert_close(InnerProduct()(codes[edges[0]], codes[edges[1]]), expected)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_grid_is_all_pairs(decoder, graph):
    codes, _ = graph
    rows = torch.tensor([3, 9])
    pairs = torch.cartesian_prod(rows, torch.arange(NODES)).T
    expected = decoder(codes[pairs[0]], codes[pairs[1]]).reshape(2, NODES)
    torch.testing.assert_close(decoder.grid(codes[rows], codes), expected)


def test_the_sampled_loss_is_the_cross_entropy_of_both():
    linked, unlinked = torch.randn(6), torch.randn(6)
    expected = F.binary_cross_entropy_with_logits(linked, torch.ones(6), reduction="none")
    expected = expected + F.binary_cross_entropy_with_logits(unlinked, torch.zeros(6), reduction="none")
    torch.testing.assert_close(sampled_loss(linked, unlinked), expected)
    assert torch.isfinite(sampled_loss(torch.tensor([-1e4]), torch.tensor([1e4]))).all()


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("most", [1, 7, 10_000])
def test_the_strongest_missing_links_are_those_of_the_whole_matrix(decoder, most, graph, monkeypatch):
    monkeypatch.setattr(gnn_links, "MAX_VALUES", 60)
    codes, edges = graph
    directed = getattr(decoder, "directed", False)
    scores = torch.stack([decoder(codes[i].expand(NODES, -1), codes) for i in range(NODES)]).detach()
    scores[edges[0], edges[1]] = -torch.inf
    scores.fill_diagonal_(-torch.inf)
    if not directed:
        scores[tuple(torch.tril_indices(NODES, NODES))] = -torch.inf
    expected = scores.flatten().sort(descending=True)
    count = min(most, int((scores > -torch.inf).sum()))
    pairs, values = strongest(decoder, codes, torch.arange(NODES), edges, most, directed)
    assert pairs.shape == (2, count)
    torch.testing.assert_close(values, expected.values[:count])
    torch.testing.assert_close(scores[pairs[0], pairs[1]], values)
    assert len({tuple(pair) for pair in pairs.T.tolist()}) == count
