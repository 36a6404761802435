"""A graph that was saved with PyG, whose nodes are the samples."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Data, InMemoryDataset
from torch_geometric.datasets import KarateClub

from nnzoo import GraphDataModule, InputError, LinkDataModule

N = 34
MASKS = {part: torch.arange(N) % 4 == number for number, part in enumerate(("train_mask", "val_mask", "test_mask"))}


def club(**changed):
    """PyG's karate club, whose four classes are those of its paper; a node in four is in no part."""
    graph = KarateClub()[0]
    for name, value in {**MASKS, **changed}.items():
        graph[name] = value
    return graph


def made(found, tmp_path, kind=GraphDataModule, **settings):
    torch.save(found, tmp_path / "graph.pt")
    data = kind(saved=str(tmp_path / "graph.pt"), **settings)
    data.setup()
    return data


class Own(InMemoryDataset):
    def __init__(self, graph):
        super().__init__()
        self.data, self.slices = self.collate([graph])


@pytest.mark.parametrize("kind", ["data", "dict", "list", "dataset"])
def test_a_saved_graph_is_taken_as_it_is(kind, tmp_path):
    graph = club(edge_weight=torch.arange(156) / 156)
    if kind == "dataset":
        Own.save([graph], str(tmp_path / "own.pt"))
        found = torch.load(tmp_path / "own.pt", weights_only=False)
    else:
        found = {"data": graph, "dict": graph.to_dict(), "list": [graph]}[kind]
    data = made(found, tmp_path)
    assert (data.task, data.classes, data.num_features, data.dataset) == ("classification", list("0123"), N, "saved")
    (batch,) = data.test_dataloader()
    order = np.lexsort(graph.edge_index.numpy())
    assert torch.equal(batch.edge_index, graph.edge_index[:, order]), "by target"
    assert torch.equal(batch.edge_weight, graph.edge_weight[order])
    assert torch.equal(batch.x.to_dense(), graph.x)
    for part in ("train", "val", "test"):
        nodes = data.parts[part].nodes
        assert torch.equal(nodes, MASKS[f"{part}_mask"].nonzero()[:, 0])
        assert torch.equal(data.parts[part].labels, graph.y[nodes])
    assert len(data.parts["predict"]) == N


def test_parts_without_a_mask_are_drawn_from_train(tmp_path):
    data = made(club(val_mask=None, train_mask=~MASKS["test_mask"]), tmp_path)
    assert torch.equal(data.parts["test"].nodes, MASKS["test_mask"].nonzero()[:, 0])
    sizes = {part: len(data.parts[part]) for part in ("train", "val", "test")}
    assert sizes == {"train": 22, "val": 4, "test": 8}
    assert sum(len(made(club(**dict.fromkeys(MASKS)), tmp_path).parts[p]) for p in ("train", "val", "test")) == N


def test_unknown_classes_and_numbers(tmp_path):
    labels = torch.tensor([-1, *range(12), *[3, 7, 0] * 7])
    data = made(club(y=labels[:, None], **dict.fromkeys(MASKS)), tmp_path)
    assert data.classes == [str(number) for number in range(12)], "in the order of numbers, not of texts"
    assert sum(len(data.parts[part]) for part in ("train", "val", "test")) == N - 1
    assert torch.equal(data._data.y, labels)
    numbers = torch.arange(N).float() - 1  # -1 is a number among floats
    numbers[5] = torch.nan
    data = made(club(y=numbers, **dict.fromkeys(MASKS)), tmp_path)
    assert data.task == "regression"
    assert sum(len(data.parts[part]) for part in ("train", "val", "test")) == N - 1
    torch.testing.assert_close(data._data.y + data.target_offset, numbers, equal_nan=True)


def test_whole_numbers_as_floats_are_regressed_on_and_this_is_said(tmp_path, caplog):
    with caplog.at_level("INFO"):
        assert made(club(y=club().y.float()), tmp_path).task == "regression"
    assert "y holds 4 whole numbers as floats" in caplog.text
    data = made(club(y=club().y.float()), tmp_path, task="classification")
    assert data.classes == list("0123")
    assert torch.equal(data._data.y[MASKS["train_mask"]], club().y[MASKS["train_mask"]])


def test_edges_without_an_opposite_are_counted_and_left_alone(tmp_path, caplog):
    edges = torch.tensor([[0, 1, 2, 3, 4], [1, 0, 3, 3, 5]])  # both ways, a self-loop, and two that go one way
    with caplog.at_level("INFO"):
        data = made(club(edge_index=edges), tmp_path)
    assert data.graph.edge_index.shape == (2, 5)
    assert "2 of 5 edges have no opposite" in caplog.text
    caplog.clear()
    with caplog.at_level("INFO"):
        made(club(), tmp_path)
    assert "no opposite" not in caplog.text


def test_without_features_nodes_are_counted_by_the_target(tmp_path, caplog):
    y = torch.tensor([*club().y, 0, 1])  # two more nodes, without edges
    with caplog.at_level("INFO"):
        data = made({"edge_index": club().edge_index, "y": y}, tmp_path)
    assert (data.num_features, data.graph.num_nodes, data.known_by_number) == (36, 36, True)
    assert "has no features x of nodes" in caplog.text


def one_node_twice():
    train = MASKS["train_mask"].clone()
    train[6] = True
    return club(train_mask=train)


BROKEN = {
    "twice": (one_node_twice, "has node 6 in train_mask and test_mask: leave it in one"),
    "splits": (lambda: club(val_mask=torch.ones(N, 10, dtype=torch.bool)), r"10 splits in val_mask: .* val_mask\[:, 0"),
    "index": (lambda: club(train_mask=torch.arange(5)), r"a train_mask of torch.int64 and shape \(5,\)"),
    "empty": (lambda: club(test_mask=torch.zeros(N, dtype=torch.bool)), "test_mask without any node whose y is known"),
    "no train": (lambda: club(train_mask=None), "has a val_mask but no train_mask"),
    "one-hot": (lambda: club(y=torch.eye(4)[club().y]), r"one-hot y of shape \(34, 4\): .*y.argmax\(1\)"),
    "several": (lambda: club(y=torch.rand(N, 3)), r"a y of shape \(34, 3\) for 34 nodes"),
    "of the graph": (lambda: club(y=torch.tensor([1])), r"a y of shape \(1,\) for 34 nodes"),
    "no y": (lambda: club(y=None), "has no target y of the nodes"),
    "unknown": (lambda: club(y=torch.full((N,), -1)), "knows y of no node"),
    "negative": (lambda: club(y=club().y - 3), "has the class -3 in y"),
    "infinite": (lambda: club(y=torch.full((N,), torch.inf)), "has an infinite y"),
    "too far": (lambda: club(edge_index=torch.tensor([[0], [34]])), "has 34 nodes, but an edge ends at node 34"),
    "below": (lambda: club(edge_index=torch.tensor([[0], [-2]])), "has 34 nodes, but an edge ends at node -2"),
    "floats": (lambda: club(edge_index=torch.rand(2, 9)), "an edge_index of torch.float32"),
    "no edges": (lambda: club(edge_index=None), "has no edge_index"),
    "nan": (lambda: club(x=torch.full((N, 1), torch.nan)), "NaN or infinite values in x"),
    "weights": (lambda: club(edge_weight=torch.ones(3)), "a edge_weight of 3 rows"),
    "many": (lambda: [club(), club()], "holds 2 graphs: .* gnn_graphs"),
    "kind": (lambda: {"x": torch.zeros(2)}, "holds no torch_geometric.data.Data"),
    "list": (lambda: {"edge_index": club().edge_index, "y": [1] * N}, "has y of the type list"),
    "code": (lambda: club(y=np.zeros(N)), "cannot be read without running code"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_used_is_named(name, tmp_path):
    found, message = BROKEN[name]
    with pytest.raises(InputError, match=message):
        made(found(), tmp_path)


def test_masks_and_labels_per_class_exclude_each_other(tmp_path):
    with pytest.raises(InputError, match=r"has masks.*leave out --data\.labels_per_class"):
        made(club(), tmp_path, labels_per_class=2)
    assert made(club(**dict.fromkeys(MASKS)), tmp_path, labels_per_class=2).parts["train"].labels.bincount().max() == 2


def test_another_saved_graph_is_predicted(tmp_path):
    other = Data(x=torch.rand(3, N), edge_index=torch.tensor([[0, 1], [1, 0]]))
    torch.save(other, tmp_path / "other.pt")
    data = made(club(), tmp_path, predict_saved=str(tmp_path / "other.pt"))
    (batch,) = data.predict_dataloader()
    assert torch.equal(batch.x.to_dense(), other.x)
    assert data.predicted_rows()["node"].tolist() == [0, 1, 2]
    with pytest.raises(InputError, match="edges of other features or weights"):
        made(club(edge_attr=torch.rand(156, 2)), tmp_path, predict_saved=str(tmp_path / "other.pt"))


def test_links_of_a_saved_graph_need_no_target(tmp_path):
    graph = club(y=None, **dict.fromkeys(MASKS))
    data = made(graph, tmp_path, LinkDataModule)
    assert sum(data.links.links[part].shape[1] for part in ("train", "val", "test")) == 78
    assert data.classes == []
    assert made(club(), tmp_path, LinkDataModule).classes == list("0123")
