"""What an output rests on, of networks whose weights say so."""

import networkx as nx
import pytest
import torch
from torch import nn
from torch_geometric.data import Batch, Data

from nnzoo import GraphClassifier, InputError, NodeClassifier, NodeRegressor
from nnzoo.nets.graph_explanation import rows_of, self_loops_last

CONVOLUTIONS = ["gcn", "gat", "gatv2", "sage", "gin", "transformer", "interaction", "gps"]


def graph(seed=0, nodes=30, features=5, edges=80):
    torch.manual_seed(seed)
    ends = torch.randint(nodes, (2, edges))
    return Data(x=torch.randn(nodes, features), edge_index=ends, y=torch.arange(nodes) % 3)


def summing():
    """A regressor whose prediction is the sum of feature 2 of the nodes that a node has edges from."""
    net = NodeRegressor(num_features=4, hidden=[1], convolution="sage", head="linear", activation="leaky_relu")
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    net.net.encoder.convolutions[0].lin_l.weight.data[0, 2] = 4.0
    net.net.head[1].weight.data.fill_(1.0)
    return net


def test_what_an_output_does_not_depend_on_has_no_importance():
    x = torch.rand(6, 4)
    x[[0, 1, 3, 4, 5], 2] = 0
    x[2, 2] = 3.0
    edges = torch.tensor([[1, 2, 3, 0, 4, 2], [0, 0, 0, 2, 5, 5]])
    found = summing().explain(Data(x=x, edge_index=edges, y=torch.zeros(6)), 0)
    assert found.edge_mask[[0, 2, 3, 4, 5]].tolist() == [0] * 5
    assert found.edge_mask[1] > 0.5
    assert found.node_mask[0, [0, 1, 3]].tolist() == [0] * 3
    assert found.node_mask[0, 2] > 0.5


@pytest.mark.parametrize("isolated", [True, False])
def test_an_output_that_depends_on_no_edge_is_explained_by_nothing_not_nan(isolated):
    data = graph()
    data.edge_index = data.edge_index[:, (data.edge_index != 0).all(0)] if isolated else data.edge_index
    data.x = data.x if isolated else torch.zeros_like(data.x)
    found = NodeClassifier(num_features=5, num_classes=3, hidden=[4], convolution="sage").explain(data, 0, epochs=3)
    assert found.edge_mask.isfinite().all()
    assert found.node_mask.isfinite().all()
    assert (found.edge_mask if isolated else found.node_mask).count_nonzero() == 0


def planted(number):
    """A random tree; in odd ones two red nodes are linked, in others two are red that are not."""
    drawn = torch.Generator().manual_seed(number)
    tree = nx.random_labeled_tree(12, seed=number)
    pairs = list(tree.edges) if number % 2 else list(nx.non_edges(tree))
    red = pairs[int(torch.randint(len(pairs), (), generator=drawn))]
    color = torch.randint(1, 4, (12,), generator=drawn)
    color[list(red)] = 0
    edges = torch.tensor(list(tree.to_directed().edges)).T
    return Data(x=nn.functional.one_hot(color, 4).float(), edge_index=edges, y=torch.tensor(number % 2)), set(red)


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_planted_edge_and_feature_are_found(norm):
    """With PyG's own settings the edge was the most important in none of the graphs with batch norm."""
    made = [planted(number) for number in range(200)]
    batch = Batch.from_data_list([data for data, _ in made])
    torch.manual_seed(0)
    net = GraphClassifier(num_features=4, num_classes=2, hidden=[16, 16], convolution="gin", readout="max", norm=norm)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        net.training_step(batch, 0).backward()
        optimizer.step()
    net.eval()
    assert (net.predict_step(batch, 0).argmax(1) == batch.y).float().mean() > 0.98
    for number in (1, 3, 5, 7):
        found = net.explain(batch, number)
        assert set(found.edge_index[:, found.edge_mask.argmax()].tolist()) == made[number][1]
        assert int(found.node_mask.argmax()) == 0


@pytest.mark.parametrize("convolution", CONVOLUTIONS)
def test_the_model_and_random_numbers_stay_as_they_are(convolution):
    head = "convolution" if convolution in ("gcn", "gat") else "linear"  # GIN ends in ReLUs, which may all be 0
    heads = {"heads": 2} if convolution in ("gat", "gatv2", "transformer", "gps") else {}
    data = graph()
    node = int(data.edge_index[1, 0])
    net = NodeClassifier(
        num_features=5, num_classes=3, hidden=[16, 16], convolution=convolution, head=head, dropout=0.5, norm="batch",
        activation="tanh",
        **heads,
    )  # fmt: skip
    net.train()
    net.net.encoder.norms.eval()
    weights = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [part.training for part in net.modules()]
    names = [set(vars(part)) for part in net.modules()]
    state = torch.get_rng_state()
    with torch.inference_mode():
        first = net.explain(data, node, epochs=5)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(1)
    second = net.explain(data, node, epochs=5)
    assert torch.equal(first.edge_mask, second.edge_mask)
    assert torch.equal(first.node_mask, second.node_mask)
    assert not torch.equal(first.edge_mask, net.explain(data, node, epochs=5, seed=1).edge_mask)
    assert list(net.state_dict()) == list(weights)
    assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())
    assert [part.training for part in net.modules()] == modes
    assert [set(vars(part)) for part in net.modules()] == names
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())


def test_the_neighbourhood_gives_the_prediction_of_the_whole_graph():
    data = graph(nodes=200, edges=300)
    net = NodeClassifier(num_features=5, num_classes=3, hidden=[4]).eval()
    for node in range(0, 50, 7):
        logits = net.net(torch.tensor([node]), data.x, data.edge_index)
        torch.testing.assert_close(net.explain(data, node, epochs=1).prediction, logits)


def test_a_norm_over_all_nodes_is_explained_on_all():
    data = graph(nodes=60, edges=70)
    net = NodeClassifier(num_features=5, num_classes=3, hidden=[4, 4], norm="graph").eval()
    logits = net.net(torch.tensor([1]), data.x, data.edge_index)
    torch.testing.assert_close(net.explain(data, 1, epochs=1).prediction, logits)


def test_sparse_features_and_weights_of_edges_are_seen():
    data = graph()
    data.x, node = data.x * (torch.rand(30, 5) < 0.3), int(data.edge_index[1, 0])
    net = NodeClassifier(num_features=5, num_classes=3, hidden=[4]).eval()
    data.edge_weight = torch.rand(80)
    dense = net.explain(data, node, epochs=5)
    data.x = data.x.to_sparse_csr()
    sparse = net.explain(data, node, epochs=5)
    assert dense.edge_mask.count_nonzero()
    torch.testing.assert_close(dense.edge_mask, sparse.edge_mask)
    torch.testing.assert_close(rows_of(data.x, torch.tensor([4, 0, 9])), data.x.to_dense()[[4, 0, 9]])
    data.edge_weight[data.edge_index[1] == node] = 0.0
    nothing = net.explain(data, node, epochs=5).edge_mask[data.edge_index[1] == node]
    assert nothing.count_nonzero() == 0


def test_self_loops_do_not_shift_the_masks():
    """GCN moves them to the end; where every node has one, as many edges are left, and PyG would not notice."""
    loops = torch.arange(4).repeat(2, 1)
    edges = torch.cat([loops, torch.tensor([[1, 2], [0, 3]])], dim=1)
    net = NodeClassifier(num_features=2, num_classes=2, hidden=[2]).eval()
    found = net.explain(Data(x=torch.rand(4, 2) + 1, edge_index=edges, y=torch.zeros(4).long()), 0, epochs=3)
    assert found.edge_mask.nonzero()[:, 0].tolist() == [0, 1, 4], "its own loop, that of its neighbour, and the edge"
    assert self_loops_last(edges).tolist() == [4, 5, 0, 1, 2, 3]
    assert torch.equal(found.edge_index, edges)


def test_what_cannot_be_explained_is_named():
    net = NodeClassifier(num_features=5, num_classes=3, hidden=[4])
    with pytest.raises(InputError, match=r"numbers from 0 to 29, got 30"):
        net.explain(graph(), 30)
    for text in ("p001", 1.0, None):
        with pytest.raises(InputError, match=r"from 0 to 29 is meant, got .*datamodule\.graph\.ids\.index\(ID\)"):
            net.explain(graph(), text)
    net.explain(graph(), torch.tensor(1), epochs=1)
    with pytest.raises(InputError, match=r"epochs"):
        net.explain(graph(), 0, epochs=0)
    with pytest.raises(InputError, match=r"lr must be above 0"):
        net.explain(graph(), 0, lr=0)
    net.net = nn.Linear(5, 3)
    with pytest.raises(InputError, match=r"none of PyG's MessagePassing"):
        net.explain(graph(), 0)


def test_a_prediction_that_rests_on_the_whole_graph_is_not_explained_by_some_edges():
    model = NodeClassifier(num_features=5, num_classes=3, hidden=[4], propagation="pagerank")
    with pytest.raises(InputError, match="rests on the whole graph, not on some edges"):
        model.explain(graph(), 0)
    assert not model.explainable
