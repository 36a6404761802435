"""Graphs with their parts, and batches of nodes."""

import networkx as nx
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from torch_geometric.data import Data

from nnzoo import GraphDataModule, GraphSetDataModule, InputError, LinkDataModule
from nnzoo.data.graphs.sources import Cora
from nnzoo.data.sampler import BatchIndex


def made(**settings):
    data = GraphDataModule(**settings)
    data.setup()
    return data


def test_digits_are_linked_with_the_nearest():
    data = made(dataset="digits", nearest=4, labels_per_class=5)
    _, near = NearestNeighbors(n_neighbors=4).fit(load_digits().data).kneighbors()
    linked = {frozenset((i, int(j))) for i, row in enumerate(near) for j in row}
    edges = data.graph.edge_index
    assert {frozenset(pair) for pair in edges.T.tolist()} == linked
    assert edges.shape[1] == 2 * len(linked), "each in both directions, once"
    assert torch.equal(edges[1], edges[1].sort().values), "by target"


def test_few_labels_leave_the_others_to_the_test():
    data = made(dataset="digits", labels_per_class=5)
    labels = data.parts["train"].labels
    assert labels.bincount().tolist() == [5] * 10
    sizes = {part: len(data.parts[part]) for part in ("train", "val", "test", "predict")}
    assert sizes == {"train": 50, "val": 270, "test": 1477, "predict": 1797}
    nodes = torch.cat([data.parts[part].nodes for part in ("train", "val", "test")])
    assert sorted(nodes.tolist()) == list(range(1797))
    other = made(dataset="digits", labels_per_class=5, split_seed=1)
    assert not torch.equal(other.parts["train"].nodes, data.parts["train"].nodes)


def test_karate_is_networkx_club():
    data = made(dataset="karate")
    club = nx.karate_club_graph()
    ends = {frozenset(pair) for pair in data.graph.edge_index.T.tolist()}
    assert ends == {frozenset(edge) for edge in club.edges}
    assert data.graph.target.tolist() == [club.nodes[i]["club"] for i in range(34)]


def test_blocks_have_the_density_they_should():
    data = made(dataset="blocks")
    labels = torch.arange(600) // 150
    same = labels[data.graph.edge_index[0]] == labels[data.graph.edge_index[1]]
    assert abs(int(same.sum()) / (4 * 150 * 149) - 0.06) < 0.005
    assert abs(int((~same).sum()) / (12 * 150 * 150) - 0.01) < 0.002
    assert [data.classes[int(label)] for label in labels] == data.graph.target.tolist()


@pytest.mark.parametrize("kind", [GraphDataModule, GraphSetDataModule, LinkDataModule])
@pytest.mark.parametrize("part", ["train", "val", "test", "predict"])
def test_a_loader_sets_up_what_is_missing(kind, part):
    assert next(iter(getattr(kind(dataset="digits"), f"{part}_dataloader")())).x.shape[1] > 0


def test_a_batch_is_the_whole_graph_with_its_samples():
    data = made(dataset="karate")
    whole = data.parts["train"].__getitems__(BatchIndex(torch.tensor([2, 0]), 0, slice(None), 2))
    assert torch.equal(whole.seeds, data.parts["train"].nodes[[2, 0]])
    assert whole.x.shape == (34, 34)
    assert data.size_of(whole) == 2
    assert torch.equal(data.select(whole, slice(1, 2)).seeds, whole.seeds[1:])
    assert whole.x is data.parts["val"].graph.x, "not copied"


def test_all_labelled_nodes_are_one_step_and_the_others_one_batch():
    data = made(dataset="digits", labels_per_class=5, batch_size=1000)
    assert [len(batch.seeds) for batch in data.train_dataloader()] == [50]
    assert [len(batch.seeds) for batch in data.test_dataloader()] == [1477]
    data = made(dataset="digits", labels_per_class=5, batch_size=20)
    assert [len(batch.seeds) for batch in data.train_dataloader()] == [20, 20]


def test_neighbourhoods_are_drawn_in_training_only():
    data = made(dataset="digits", num_neighbors=[3, 2], batch_size=64)
    batch = next(iter(data.train_dataloader()))
    assert batch.num_nodes < 800
    assert batch.edge_index.max() < batch.num_nodes
    assert torch.equal(batch.seeds, torch.arange(64)) or len(batch.seeds) == 64
    assert next(iter(data.val_dataloader())).num_nodes == 1797
    again = next(iter(made(dataset="digits", num_neighbors=[3, 2], batch_size=64).train_dataloader()))
    assert torch.equal(again.edge_index, batch.edge_index), "the same seed draws the same"


def test_targets_of_a_regression_have_the_training_mean():
    data = made(dataset="diabetes")
    train = data.parts["train"].labels
    assert data.task == "regression"
    assert data.target_mean == pytest.approx(float(train.mean()), rel=1e-6)
    assert data.target_std == pytest.approx(float(train.std(correction=0)), rel=1e-5)


def test_settings_that_do_nothing_are_refused():
    with pytest.raises(InputError, match=r"labels_per_class does nothing"):
        GraphDataModule(dataset="cora", labels_per_class=5)
    with pytest.raises(InputError, match=r"from 1 to 1796 nearest"):
        made(dataset="digits", nearest=1797)


def test_a_missing_data_set_is_named_with_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("torch_geometric.datasets.Planetoid.url", f"file://{tmp_path}/nowhere")
    with pytest.raises(InputError, match=r"Cora is neither in .* nor could it be downloaded.*ind.cora"):
        GraphDataModule(dataset="cora", root=str(tmp_path)).prepare_data()


@pytest.mark.parametrize("row_normalize", [True, False])
def test_words_of_papers_are_divided_by_their_number_where_asked(row_normalize, monkeypatch):
    words = torch.tensor([[1.0, 1, 0], [0, 0, 0], [0, 0, 1]])  # some papers have none
    masks = {f"{part}_mask": torch.arange(3) == n for n, part in enumerate(("train", "val", "test"))}
    papers = Data(x=words, edge_index=torch.tensor([[0, 1], [1, 0]]), y=torch.tensor([0, 1, 0]), **masks)
    monkeypatch.setattr(Cora, "_planetoid", lambda self: [papers])
    x = GraphDataModule(dataset="cora", row_normalize=row_normalize).graph.x
    assert x.tolist() == ([[0.5, 0.5, 0], [0, 0, 0], [0, 0, 1]] if row_normalize else words.tolist())
    with pytest.raises(InputError, match="row_normalize does nothing with dataset karate"):
        GraphDataModule(dataset="karate", row_normalize=False)
