"""Attention on edges, and what pictures of graphs show."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch, Data

from nnzoo import (
    GraphClassifier,
    GraphDataModule,
    GraphRegressor,
    GraphSetDataModule,
    InputError,
    NodeClassifier,
    NodeRegressor,
)


def graph(nodes=12, edges=40, **more):
    torch.manual_seed(0)
    return Data(x=torch.randn(nodes, 3), edge_index=torch.randint(nodes, (2, edges)), y=torch.arange(nodes) % 4, **more)


def module(kind=NodeClassifier, **settings):
    torch.manual_seed(0)
    return kind(**{"num_features": 3, "num_classes": 4, "hidden": [8, 8], **settings})


@pytest.mark.parametrize("layer", [0, 1, -1])
@pytest.mark.parametrize("convolution", ["gat", "gatv2", "transformer"])
def test_weights_of_a_target_sum_to_one(convolution, layer):
    net = module(convolution=convolution, heads=2, out_heads=3, attention_dropout=0.5, dropout=0.5).train()
    edges, weights = net.attention(graph(), layer)
    assert weights.shape == (edges.shape[1], 3 if layer == -1 else 2)
    assert (weights >= 0).all()
    sums = torch.zeros(12, weights.shape[1]).index_add(0, edges[1], weights)
    torch.testing.assert_close(sums[edges[1].unique()], torch.ones(len(edges[1].unique()), weights.shape[1]))
    assert net.training, "and the mode is left as it was"
    assert not weights.requires_grad


def test_weights_are_those_that_the_layer_uses():
    """Of the first layer, which takes the features as they are."""
    net = module(convolution="gat", heads=2).eval()
    edges, weights = net.attention(graph(), 0)
    layer = net.net.encoder.convolutions[0]
    projected = layer.lin(graph().x).view(12, 2, 4)
    mixed = torch.zeros(12, 2, 4).index_add(0, edges[1], weights[:, :, None] * projected[edges[0]])
    torch.testing.assert_close(mixed.flatten(1) + layer.bias, layer(graph().x, graph().edge_index))


def test_graphs_of_a_batch_attend_to_themselves():
    batch = Batch.from_data_list([graph(), graph(7)])
    edges, weights = module(GraphClassifier, convolution="gatv2", heads=2).attention(batch)
    assert (batch.batch[edges[0]] == batch.batch[edges[1]]).all()
    sums = torch.zeros(19, 2).index_add(0, edges[1], weights)
    torch.testing.assert_close(sums, torch.ones(19, 2))


@pytest.mark.parametrize("convolution", ["gcn", "gps"])
def test_layers_without_attention_to_neighbours_are_named(convolution):
    head = {"head": "linear"} if convolution == "gps" else {}
    with pytest.raises(InputError, match=rf"{convolution} has no attention to neighbours: set --model.convolution gat"):
        module(convolution=convolution, **head).attention(graph())
    with pytest.raises(InputError, match=r"layers 0 to 2, got 3"):
        module(convolution="gat").attention(graph(), 3)


def test_pictures_of_nodes():
    batch, facts = graph(seeds=torch.tensor([7, 2])), {"classes": list("abcd"), "feature_names": ["p", "q", "r"]}
    figures = module(convolution="gat", heads=2, out_heads=2).eval().figures(batch, facts)
    assert set(figures) == {"embeddings", "graph", "descriptors", "attention", "explanation"}
    assert figures["descriptors"].get_suptitle() == "the graph: 12 of 12 nodes"
    assert figures["attention"].axes[0].get_title() == "attention of the last layer around node 7, mean of 2 heads"
    assert figures["explanation"].get_suptitle().startswith("what the prediction of node 7 rests on: true d, predicted")
    bars = figures["explanation"].axes[1]
    assert {label.get_text() for label in bars.get_yticklabels()} == {"p", "q", "r"}


def test_pictures_of_nodes_with_numbers():
    batch = graph()
    batch.y = torch.rand(12)
    figures = NodeRegressor(num_features=3, hidden=[8]).eval().figures(batch, {"target_name": "age"})
    assert set(figures) == {"predictions", "descriptors", "explanation"}
    assert any(axis.get_ylabel() == "age" for axis in figures["descriptors"].axes)


@pytest.mark.parametrize("kind", [GraphClassifier, GraphRegressor])
def test_pictures_of_graphs(kind):
    batch = Batch.from_data_list([graph(300), graph(5), graph(7)])
    batch.y = torch.tensor([0, 1, 2]) if kind is GraphClassifier else torch.rand(3)
    settings = {"num_classes": 4} if kind is GraphClassifier else {}
    net = kind(num_features=3, hidden=[8], convolution="gat", **settings).eval()
    figures = net.figures(batch, {"feature_names": ["p", "q", "r"]})
    assert {"graphs", "descriptors", "attention", "explanation"} <= set(figures)
    assert figures["descriptors"].get_suptitle() == "a held-out graph of 5 nodes"
    assert len([axis for axis in figures["attention"].axes if "predicted" in axis.get_title()]) == 2
    shown = figures["explanation"].axes[0].collections
    assert sum(len(cloud.get_offsets()) for cloud in shown[-1:]) == 5


def test_encodings_are_explained_beside_features():
    batch = Batch.from_data_list([graph(5), graph(7)])
    batch.y, batch.walks = torch.tensor([0, 1]), torch.rand(12, 2)
    net = module(GraphClassifier, num_walks=2).eval()
    found = net.explain(batch, 1)
    assert found.node_mask.shape == (1, 5)
    inside = (batch.edge_index >= 5).all(0)
    assert torch.equal(found.edge_index, batch.edge_index[:, inside] - 5)
    torch.testing.assert_close(found.prediction, net.net(*net.split(batch)[0])[1:])
    bars = net.figures(batch, {"feature_names": ["p", "q", "r"]})["explanation"].axes[1]
    assert {label.get_text() for label in bars.get_yticklabels()} == {"p", "q", "r", "back after 1", "back after 2"}


def test_features_have_the_names_of_the_data(in_tmp):
    patients = GraphDataModule(dataset="diabetes")
    assert patients.feature_names[:3] == ["age", "sex", "bmi"]
    assert GraphDataModule(dataset="digits").feature_names[9] == "pixel 1, 1"
    rows = [f"{i},{'' if i == 3 else i * i % 7},{'red' if i % 3 else 'blue'},{'pq'[i % 2]}" for i in range(30)]
    (in_tmp / "nodes.csv").write_text("id,size,color,y\n" + "\n".join(rows) + "\n")
    (in_tmp / "edges.csv").write_text("a,b\n" + "".join(f"{i},{(i + 1) % 30}\n" for i in range(30)))
    data = GraphDataModule(edges="edges.csv", nodes="nodes.csv", target="y")
    assert data.feature_names == ["size", "size missing", "color: blue", "color: red"]
    assert data.features[:, 1].nonzero()[0].tolist() == [3]
    np.testing.assert_array_equal(data.features[:, 2], np.arange(30) % 3 == 0)
    grey = GraphSetDataModule(dataset="digits")
    assert len(grey.feature_names) == grey.num_features
    triangles = GraphSetDataModule(dataset="triangles")
    assert triangles.feature_names == [f"degree {number}" for number in range(triangles.num_features)]
