"""Graph convolutions against dense formulas, and what a network of nodes must not depend on."""

import math

import pytest
import torch

from nnzoo.errors import InputError
from nnzoo.nets.gnn import GraphEncoder, NodeNet
from nnzoo.nets.graph_convolutions import CONVOLUTIONS, Width

EDGES = torch.tensor([[0, 1, 1, 2, 3, 0, 2, 2], [1, 0, 2, 1, 0, 3, 2, 3]])
"""From the first row to the second: a self-loop at 2, an edge in one direction only, and node 4 by itself."""
NODES = 5


def adjacency(edges=EDGES, weight=None, nodes=NODES):
    """A[i, j] is the number of edges from j to i, or the sum of their weights."""
    matrix = torch.zeros(nodes, nodes, dtype=torch.float64)
    return matrix.index_put(
        (edges[1], edges[0]), torch.ones(edges.shape[1]).double() if weight is None else weight, True
    )


def built(name, **width):
    torch.manual_seed(0)
    layer = CONVOLUTIONS[name].build(Width(**{"size": 3, "out": 4, **width})).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return layer, torch.randn(NODES, 3, dtype=torch.float64)


@pytest.mark.parametrize("weighted", [False, True])
def test_gcn_is_the_normalised_sum_with_self_loops(weighted):
    layer, x = built("gcn")
    weight = torch.rand(EDGES.shape[1]).double() + 0.5 if weighted else None
    matrix = adjacency(weight=weight)
    loops = torch.where(matrix.diagonal() == 0, 1.0, 0.0)  # not where there is one
    matrix = matrix + loops.diag()
    scale = matrix.sum(1).pow(-0.5)
    expected = scale[:, None] * matrix * scale @ x @ layer.lin.weight.T + layer.bias
    torch.testing.assert_close(layer(x, EDGES, weight), expected)


def attention(scores, matrix):
    """Softmax over the sources of each target, of scores (targets, sources)."""
    return scores.masked_fill(matrix == 0, -math.inf).softmax(dim=1)


def with_loops():
    """Once at each node, as PyG's attention layers put them in place of those that are there."""
    matrix = adjacency()
    return matrix - matrix.diagonal().diag() + torch.eye(NODES)


@pytest.mark.parametrize("averaged", [False, True])
def test_gat_scores_the_sum_of_both_ends(averaged):
    layer, x = built("gat", heads=2, averaged=averaged)
    each = 4 if averaged else 2
    hidden = layer.lin(x).view(NODES, 2, each)
    outputs = []
    for head in range(2):
        source, target = hidden[:, head] @ layer.att_src[0, head], hidden[:, head] @ layer.att_dst[0, head]
        scores = torch.nn.functional.leaky_relu(target[:, None] + source[None], 0.2)
        outputs.append(attention(scores, with_loops()) @ hidden[:, head])
    expected = torch.stack(outputs).mean(0) if averaged else torch.cat(outputs, dim=1)
    torch.testing.assert_close(layer(x, EDGES), expected + layer.bias)


def test_gatv2_scores_after_the_non_linearity():
    layer, x = built("gatv2")
    source, target = layer.lin_l(x), layer.lin_r(x)
    scores = torch.nn.functional.leaky_relu(target[:, None] + source[None], 0.2) @ layer.att[0, 0]
    torch.testing.assert_close(layer(x, EDGES), attention(scores, with_loops()) @ source + layer.bias)


def test_sage_is_the_mean_of_neighbours_beside_the_node():
    layer, x = built("sage")
    matrix = adjacency()
    mean = matrix @ x / matrix.sum(1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(layer(x, EDGES), layer.lin_l(mean) + layer.lin_r(x))


def test_gin_is_a_perceptron_of_the_sum():
    layer, x = built("gin")
    layer.eval()
    torch.testing.assert_close(layer(x, EDGES), layer.nn(x + adjacency() @ x))


def test_gin_with_edge_features_adds_them_before_the_sum():
    layer, x = built("gin", edges=2)
    layer.eval()
    edge_attr = torch.randn(EDGES.shape[1], 2, dtype=torch.float64)
    messages = (x[EDGES[0]] + layer.lin(edge_attr)).relu()
    torch.testing.assert_close(layer(x, EDGES, edge_attr), layer.nn(x.index_add(0, EDGES[1], messages)))


def test_transformer_is_dot_product_attention_beside_the_node():
    layer, x = built("transformer")
    scores = layer.lin_query(x) @ layer.lin_key(x).T / math.sqrt(4)
    matrix = adjacency()
    shares = attention(scores, matrix).nan_to_num(0)  # node 4 has no neighbours
    torch.testing.assert_close(layer(x, EDGES), shares @ layer.lin_value(x) + layer.lin_skip(x))


def encoder(name, **settings):
    torch.manual_seed(0)
    return GraphEncoder(3, **{"hidden": [8, 8], "convolution": name, "norm": "layer", **settings}).eval()


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_order_of_nodes_and_edges_does_not_matter(name):
    net, x = encoder(name), torch.randn(NODES, 3)
    order, edge_order = torch.randperm(NODES), torch.randperm(EDGES.shape[1])
    places = order.argsort()
    torch.testing.assert_close(net(x[order], places[EDGES[:, edge_order]]), net(x, EDGES)[order])


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("norm", ["none", "layer", "graph"])
def test_a_graph_beside_another_is_as_it_is_alone(name, norm):
    net = encoder(name, norm=norm)
    first, second = torch.randn(NODES, 3), torch.randn(1, 3)  # of one node, without edges
    batch = torch.tensor([0] * NODES + [1])
    both = net(torch.cat([first, second]), EDGES, batch=batch)
    alone = net(second, torch.empty(2, 0, dtype=torch.long), batch=torch.zeros(1, dtype=torch.long))
    torch.testing.assert_close(both, torch.cat([net(first, EDGES, batch=torch.zeros(NODES, dtype=torch.long)), alone]))


@pytest.mark.parametrize("name", [name for name, kind in CONVOLUTIONS.items() if not kind.whole])
def test_messages_go_from_source_to_target(name):
    net, x = encoder(name, hidden=[8]), torch.randn(3, 3)
    edge = torch.tensor([[0], [1]])
    changed = x.clone()
    changed[0] += 1
    before, after = net(x, edge), net(changed, edge)
    assert not torch.allclose(before[1], after[1])
    torch.testing.assert_close(before[2], after[2])
    changed = x.clone()
    changed[1] += 1
    torch.testing.assert_close(net(changed, edge)[0], before[0])


@pytest.mark.parametrize("name", ["gcn", "gat", "sage"])
def test_sparse_features_are_the_same_network(name):
    torch.manual_seed(0)
    x = torch.rand(NODES, 3) * (torch.rand(NODES, 3) < 0.4)
    found = []
    for features in (x, x.to_sparse_csr()):
        net = encoder(name, residual=True)
        net(features, EDGES).square().sum().backward()
        found.append([net(features, EDGES), *(parameter.grad for parameter in net.parameters())])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize(("jump", "width"), [("cat", 12), ("max", 8), ("lstm", 8), ("last", 8)])
def test_what_comes_out_of_several_layers(jump, width):
    hidden = [4, 8] if jump in ("cat", "last") else [8, 8]
    net, x = encoder("gcn", hidden=hidden, jump=jump), torch.randn(NODES, 3)
    assert net(x, EDGES).shape == (NODES, width) == (NODES, net.out_features)
    first = net(x, EDGES, depth=1) if jump == "last" else None
    if jump == "cat":
        torch.testing.assert_close(net(x, EDGES)[:, :4], encoder("gcn", hidden=hidden)(x, EDGES, depth=1))
    assert first is None or first.shape == (NODES, 4)


def test_shortcuts_add_what_a_layer_was_given():
    net, x = encoder("gcn", hidden=[3], norm="none", residual=True), torch.randn(NODES, 3)
    plain = encoder("gcn", hidden=[3], norm="none")
    torch.testing.assert_close(net(x, EDGES), plain(x, EDGES) + x)


def test_the_last_layer_of_the_papers_has_neither_norm_nor_activation():
    net, x = encoder("gat", hidden=[8], heads=4, out_features=5, out_heads=3), torch.randn(NODES, 3)
    last = net.convolutions[-1]
    assert (last.heads, last.concat, last.out_channels) == (3, False, 5)
    torch.testing.assert_close(net(x, EDGES), last(net(x, EDGES, depth=1), EDGES))


def test_a_node_network_gives_what_belongs_to_its_seeds():
    torch.manual_seed(0)
    net, x, seeds = NodeNet(encoder("gcn"), 2, linear=True), torch.randn(NODES, 3), torch.tensor([4, 1])
    torch.testing.assert_close(net(seeds, x, EDGES), net.head(net.embed(x, EDGES, None, None))[seeds])


@pytest.mark.parametrize("weighted", [False, True])
def test_outputs_that_take_many_steps_are_personalised_pagerank(weighted):
    torch.manual_seed(0)
    plain = NodeNet(encoder("gcn"), 2, linear=True)
    spread = NodeNet(encoder("gcn"), 2, linear=True, steps=200, teleport=0.1)
    spread.load_state_dict(plain.state_dict())
    x, weight = torch.randn(NODES, 3), torch.rand(EDGES.shape[1]) + 0.5 if weighted else None
    matrix = adjacency(weight=weight if weight is None else weight.double())
    matrix = matrix + torch.where(matrix.diagonal() == 0, 1.0, 0.0).diag()
    scale = matrix.sum(1).pow(-0.5)
    pagerank = 0.1 * torch.linalg.inv(torch.eye(NODES) - 0.9 * scale[:, None] * matrix * scale)
    outputs = plain(torch.arange(NODES), x, EDGES, None, weight)
    seeds = torch.tensor([4, 1])
    torch.testing.assert_close(spread(seeds, x, EDGES, None, weight), (pagerank.float() @ outputs)[seeds])


def test_widths_that_do_not_divide_over_the_heads_are_refused():
    with pytest.raises(InputError, match=r"\[6\] features do not divide over 4 heads: set --model.hidden"):
        GraphEncoder(3, [6], convolution="gat", heads=4)
