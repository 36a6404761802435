"""Networks of whole graphs: readouts by hand, and what they must not depend on."""

import pytest
import torch
from torch_geometric.data import Batch, Data

from nnzoo.nets.gnn import GraphEncoder
from nnzoo.nets.gnn_graphs import GraphNet, build_readout
from nnzoo.nets.graph_convolutions import CONVOLUTIONS

ROWS = torch.tensor([[1.0, 4.0], [3.0, -2.0], [-5.0, -6.0]])
"""Two nodes of a graph, one of another."""
GRAPH = torch.tensor([0, 0, 1])


@pytest.mark.parametrize(
    ("name", "expected"), [("mean", [[2, 1], [-5, -6]]), ("sum", [[4, 2], [-5, -6]]), ("max", [[3, 4], [-5, -6]])]
)
def test_readouts_by_hand(name, expected):
    found = build_readout(name, 2)(ROWS, GRAPH, dim_size=2)
    torch.testing.assert_close(found, torch.tensor(expected).float())


def test_attention_is_a_softmax_within_each_graph():
    read = build_readout("attention", 2)
    with torch.no_grad():
        read.gate_nn.weight.copy_(torch.tensor([[1.0, 0.5]]))
    shares = torch.softmax(torch.tensor([3.0, 2.0]), 0)
    expected = torch.stack([shares @ ROWS[:2], ROWS[2]])
    torch.testing.assert_close(read(ROWS, GRAPH, dim_size=2), expected)


def some_graphs():
    """Of several nodes with a self-loop and parallel edges, of one node, and with an isolated node."""
    torch.manual_seed(1)
    many = torch.tensor([[0, 1, 1, 2, 3, 0, 2, 2, 2], [1, 0, 2, 1, 0, 3, 2, 3, 3]])
    none = torch.empty(2, 0, dtype=torch.long)
    made = [(4, many), (1, none), (3, torch.tensor([[0, 1], [1, 0]]))]
    return [Data(x=torch.randn(n, 3), edge_index=edges, edge_attr=torch.randn(edges.shape[1], 2),
                 walks=torch.rand(n, 2)) for n, edges in made]  # fmt: skip


def net(name="gin", jump="last", readout="attention", norm="batch", **settings):
    torch.manual_seed(0)
    sizes = {"hidden": [8, 8], "convolution": name, "edge_features": 2, "norm": norm}
    encoder = GraphEncoder(5, **sizes, jump="last" if jump == "heads" else jump, **settings)
    made = GraphNet(encoder, 4, readout, 5, every_layer=jump == "heads")
    for part in made.modules():  # statistics that a fit would leave
        if isinstance(part, torch.nn.BatchNorm1d):
            part.running_mean.normal_(), part.running_var.uniform_(0.5, 2)
    return made.eval()


def outputs(network, graphs):
    batch = Batch.from_data_list(graphs)
    return network(batch.x, batch.edge_index, batch.batch, batch.num_graphs, batch.edge_attr, None, batch.walks)


@pytest.mark.parametrize("virtual_node", [False, True])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_graph_in_a_batch_is_as_it_is_alone(name, virtual_node):
    network, graphs = net(name, virtual_node=virtual_node), some_graphs()
    alone = torch.cat([outputs(network, [graph]) for graph in graphs])
    torch.testing.assert_close(outputs(network, graphs), alone)


@pytest.mark.parametrize(
    ("jump", "readout", "norm"),
    [("heads", "sum", "batch"), ("cat", "max", "graph"), ("max", "mean", "layer"), ("lstm", "attention", "none")],
)
def test_a_graph_in_a_batch_is_as_it_is_alone_whatever_is_read_out(jump, readout, norm):
    network, graphs = net("gps" if norm == "graph" else "gat", jump, readout, norm), some_graphs()
    alone = torch.cat([outputs(network, [graph]) for graph in graphs])
    torch.testing.assert_close(outputs(network, graphs), alone)


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_the_order_of_nodes_and_edges_does_not_matter(name):
    network, graph = net(name, virtual_node=True), some_graphs()[0]
    order, edges = torch.tensor([2, 0, 3, 1]), torch.randperm(9)
    turned = Data(x=graph.x[order], edge_index=order.argsort()[graph.edge_index[:, edges]],
                  edge_attr=graph.edge_attr[edges], walks=graph.walks[order])  # fmt: skip
    torch.testing.assert_close(outputs(network, [turned]), outputs(network, [graph]))


def test_the_authors_heads_are_of_the_input_and_every_layer():
    network, graphs = net(jump="heads", readout="sum"), some_graphs()
    batch = Batch.from_data_list(graphs)
    x = torch.cat([batch.x, batch.walks], dim=1)
    states = [x, *network.encoder.states(x, batch.edge_index, batch.edge_attr, None, batch.batch)]
    expected = 0
    for head, state in zip(network.heads, states, strict=True):
        total = torch.stack([state[batch.batch == number].sum(0) for number in range(3)])
        expected = expected + total @ head[0].weight.T + head[0].bias
    torch.testing.assert_close(outputs(network, graphs), expected)


def test_eigenvectors_are_turned_in_training_alone_and_all_nodes_of_a_graph_together():
    network, vectors = net(), torch.ones(40, 8)
    graph = torch.arange(4).repeat_interleave(10)
    torch.testing.assert_close(network.turned(vectors, graph, 4), vectors)
    network.train()
    turned = network.turned(vectors, graph, 4).reshape(4, 10, 8)
    assert (turned == turned[:, :1]).all()
    assert turned.unique().tolist() == [-1, 1]
    assert (turned[0, 0] != turned[1, 0]).any()
    assert (turned[0, 0] != turned[0, 0, 0]).any()


def test_a_virtual_node_reaches_what_no_edge_does():
    far = Data(x=torch.randn(2, 3), edge_index=torch.empty(2, 0, dtype=torch.long), walks=torch.zeros(2, 2))
    batch = Batch.from_data_list([far])
    for virtual_node in (False, True):
        torch.manual_seed(0)
        encoder = GraphEncoder(3, [8, 8], convolution="gcn", virtual_node=virtual_node).eval()
        x = far.x.clone().requires_grad_()
        encoder(x, batch.edge_index, batch=batch.batch)[0].sum().backward()
        assert bool(x.grad[1].abs().sum() > 0) is virtual_node
