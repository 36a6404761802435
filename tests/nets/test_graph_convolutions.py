"""Layers that change edges, or see all nodes, against dense formulas."""

import torch

from nnzoo.nets.gnn import GraphEncoder
from nnzoo.nets.graph_convolutions import GPS, Interaction, Width

EDGES = torch.tensor([[0, 1, 1, 2, 2, 2], [1, 0, 2, 1, 2, 2]])
"""A self-loop twice, and node 3 by itself."""


def drawn():
    torch.manual_seed(0)
    return torch.randn(4, 3), torch.randn(6, 2)


def test_interaction_is_a_perceptron_of_each_edge_and_of_their_sum():
    x, edges = drawn()
    layer = Interaction(Width(3, 5, edges=2))
    found, changed = layer(x, EDGES, edges)
    total = torch.zeros(4, 5)
    for number, (source, target) in enumerate(EDGES.T.tolist()):
        message = layer.edge(torch.cat([x[source], x[target], edges[number]]))
        torch.testing.assert_close(changed[number], message)
        total[target] += message
    torch.testing.assert_close(found, layer.node(torch.cat([x, total], dim=1)))


def test_the_next_layer_sees_the_changed_edges():
    x, edges = drawn()
    torch.manual_seed(0)
    encoder = GraphEncoder(3, [5, 4], convolution="interaction", edge_features=2)
    first, second = encoder.convolutions
    hidden, changed = first(x, EDGES, edges)
    expected = second(hidden.relu(), EDGES, changed)[0].relu()
    torch.testing.assert_close(encoder(x, EDGES, edges), expected)


def test_without_features_edges_are_made_of_their_ends():
    x, _ = drawn()
    assert GraphEncoder(3, [5, 4], convolution="interaction")(x, EDGES).shape == (4, 4)


def test_gps_is_messages_beside_attention_over_the_graph():
    x, edges = drawn()
    torch.manual_seed(0)
    layer = GPS(Width(3, 8, heads=2, edges=2, norm="layer")).eval()
    graph = torch.tensor([0, 0, 0, 1])
    inside, h = layer.layer, layer.project(x)
    local = inside.norm1(inside.conv(h, EDGES, edges) + h)
    parts = [h[graph == number][None] for number in (0, 1)]
    attended = torch.cat([inside.attn(part, part, part, need_weights=False)[0][0] for part in parts])
    both = local + inside.norm2(attended + h)
    expected = inside.norm3(both + inside.mlp(both))
    torch.testing.assert_close(layer(x, EDGES, edges, graph), expected)
    rows = torch.nn.functional.layer_norm(h, (8,))  # of each node by itself
    torch.testing.assert_close(inside.norm1(h), rows)
