"""Graph networks of whole graphs."""

import pytest
import torch
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader

from nnzoo import GraphClassifier, GraphRegressor, InputError


def graphs(count=3, features=3, **changed):
    torch.manual_seed(0)
    return [
        Data(
            x=torch.randn(4 + i, features),
            edge_index=torch.randint(4 + i, (2, 9)).unique(dim=1),
            y=torch.tensor(i % 4),
            **changed,
        )
        for i in range(count)
    ]


def module(**settings):
    torch.manual_seed(0)
    return GraphClassifier(**{"num_features": 3, "num_classes": 4, "hidden": [8, 8], **settings})


def test_it_trains_on_pygs_own_loader():
    batch = next(iter(DataLoader(graphs(6), batch_size=6)))
    net = module()
    logits = net.net(batch.x, batch.edge_index, batch.batch, 6)
    torch.testing.assert_close(net.training_step(batch, 0), torch.nn.functional.cross_entropy(logits, batch.y))


def test_probabilities_are_of_the_graphs():
    batch = Batch.from_data_list(graphs(5))
    assert module().eval().predict_step(batch, 0).shape == (5, 4)


def test_a_regressor_gives_a_number_for_each_graph():
    torch.manual_seed(0)
    net = GraphRegressor(num_features=3, hidden=[8], target_mean=5.0, target_std=2.0)
    batch = Batch.from_data_list(graphs(4))
    batch.y = torch.randn(4)
    outputs = net.net(*net.split(batch)[0])
    assert outputs.shape == (4,)
    torch.testing.assert_close(net.predict_step(batch, 0), outputs * 2 + 5)
    torch.testing.assert_close(net.training_step(batch, 0), (outputs - (batch.y - 5) / 2).square().mean())


def test_metrics_count_graphs_not_nodes():
    net = module().eval()
    first, second = Batch.from_data_list(graphs(1)), Batch.from_data_list(graphs(4)[1:])
    for number, batch in enumerate((first, second)):
        net.validation_step(batch, number)
    right = [int((net(*net.split(b)[0]).argmax(1) == b.y).sum()) for b in (first, second)]
    assert float(net.metrics["val"].compute()["val/accuracy"]) == pytest.approx(sum(right) / 4)


def test_embeddings_are_what_the_head_sees():
    net, batch = module(jump="cat").eval(), Batch.from_data_list(graphs(3))
    torch.testing.assert_close(net.net.heads[0](net.embed(batch)), net.net(*net.split(batch)[0]))
    assert net.embed(batch).shape == (3, 16)
    assert module(jump="heads").eval().embed(batch).shape == (3, 3 + 16)


def broken(name):
    made = graphs(3)
    if name == "empty":
        made[1] = Data(x=torch.empty(0, 3), edge_index=torch.empty(2, 0, dtype=torch.long), y=torch.tensor(1))
    elif name == "nan":
        made[2].x[0, 0] = torch.nan
    elif name == "width":
        made = graphs(3, features=5)
    batch = Batch.from_data_list(made)
    if name == "edge":
        batch.edge_index[0, 0] = 99
    elif name == "across":
        batch.edge_index[:, 0] = torch.tensor([0, 14])
    elif name == "targets":
        batch.y = torch.arange(4)
    elif name == "label":
        batch.y = torch.tensor([0, 1, 4])
    elif name == "walks":
        batch.walks = torch.zeros(15, 2)
    return graphs(1)[0] if name == "single" else batch


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("empty", r"Graph 1 of a batch has no nodes: leave it out"),
        ("nan", r"features of nodes are NaN"),
        ("width", r"takes 3 features of a node, got \(15, 5\)"),
        ("targets", r"3 graphs need as many targets, got y of shape \(4,\)"),
        ("edge", r"Edges end at nodes 0 to 99, but the 15 nodes"),
        ("across", r"from one graph of a batch to another"),
        ("label", r"Labels must lie in 0 .. 3, got 0 .. 4"),
        ("walks", r"takes 0 walks of a node, the batch has 2"),
        ("single", r"is torch_geometric.data.Batch: use PyG's DataLoader"),
    ],
)
def test_what_does_not_fit_is_named(name, message):
    with pytest.raises(InputError, match=message):
        module().training_step(broken(name), 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": []}, r"needs a layer or more"),
        ({"head_dropout": 1.0}, r"head_dropout is a share"),
        ({"head_hidden": [0]}, r"head_hidden"),
        ({"jump": "heads", "head_hidden": [8]}, r"head_hidden does nothing with jump heads"),
        ({"virtual_node": True, "hidden": [8]}, r"virtual node needs two or more layers of one width, got \[8\]"),
        ({"virtual_node": True, "hidden": [8, 4]}, r"virtual node needs two or more layers of one width"),
        ({"convolution": "gps", "residual": True}, r"residual does nothing with convolution gps"),
        ({"readout": "median"}, r"readout"),
    ],
)
def test_settings_that_cannot_be_used(settings, message):
    with pytest.raises(InputError, match=message):
        module(**settings)
