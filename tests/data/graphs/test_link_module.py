"""A graph whose links are the samples."""

import pandas as pd
import pytest
import torch
from torch_geometric.transforms import LocalDegreeProfile

from nnzoo import InputError, LinkDataModule

NODES = "id,size,label\n" + "".join(f"n{i},{i % 5},{'pq'[i % 2]}\n" for i in range(20))
RING = [(f"n{i}", f"n{(i + step) % 20}") for i in range(20) for step in (1, 3)]
EDGES = "from,to\n" + "".join(f"{a},{b}\n" for a, b in RING)


@pytest.fixture
def written(in_tmp):
    """Writes the files, and returns the datamodule of them."""

    def write(edges=EDGES, nodes=NODES, pairs=None, **settings):
        (in_tmp / "edges.csv").write_text(edges)
        given = {"edges": "edges.csv", "test_fraction": 0.2, **settings}
        for name, text in {"nodes": nodes, "predict_pairs": pairs}.items():
            if text is not None:
                (in_tmp / f"{name}.csv").write_text(text)
                given[name] = f"{name}.csv"
        data = LinkDataModule(**given)
        data.setup()
        return data

    return write


def test_the_target_may_be_missing(written):
    data = written()
    assert data.num_classes == 0
    assert data.num_features == 3, "the label is a feature then"
    (batch,) = data.test_dataloader()
    assert batch.pairs.shape == batch.unlinked.shape == (2, 8)
    assert batch.y.tolist() == [-1] * 20
    known = written(target="label")
    assert known.num_features == 1
    assert known.node_labels.tolist() == [0, 1] * 10


def test_edges_alone_are_a_graph(written):
    """Nodes are then the ends of the edges, each with a column of its own."""
    data = written(nodes=None)
    assert data.node_ids == sorted({end for pair in RING for end in pair})
    assert torch.equal(data.graph.x.to_dense(), torch.eye(20))
    found = {frozenset((data.node_ids[a], data.node_ids[b])) for a, b in data.graph.edge_index.T.tolist()}
    assert found == {frozenset(pair) for pair in RING}
    numbers = written(nodes=None, edges=EDGES.replace("n", ""))
    assert numbers.node_ids == [str(i) for i in range(20)], "in order of numbers"


def test_hidden_links_pass_messages_in_prediction_only(written):
    data = written(weight="w", edges="from,to,w\n" + "".join(f"{a},{b},{i}\n" for i, (a, b) in enumerate(RING)))
    weights = {frozenset((int(a[1:]), int(b[1:]))): i for i, (a, b) in enumerate(RING)}
    hidden = {frozenset(pair) for pair in data.hidden_links.T.tolist()}
    assert len(hidden) == 6 + 8
    batches = {part: next(iter(getattr(data, f"{part}_dataloader")())) for part in ("train", "val", "test", "predict")}
    for part, batch in batches.items():
        seen = [frozenset(pair) for pair in batch.edge_index.T.tolist()]
        assert set(seen) == (set(weights) if part == "predict" else set(weights) - hidden), part
        assert batch.edge_weight.tolist() == [weights[pair] for pair in seen], "weights stay with their edges"


def test_degrees_are_those_of_the_training_graph(written):
    """Of the whole graph, they would tell which nodes have hidden links."""
    data = written(node_features="degree")
    (batch,) = data.test_dataloader()
    expected = LocalDegreeProfile()(batch.__copy__()).x[:, -5:].log1p()
    torch.testing.assert_close(batch.x, expected)
    assert data.num_features == 5
    assert data.own_features is None


def test_identity_leaves_the_graph_alone(written):
    data = written(node_features="identity")
    assert torch.equal(data.train_dataloader().dataset.graph.x.to_dense(), torch.eye(20))
    assert data.own_features is None
    assert written().own_features.shape == (20, 3)


def test_nodes_known_by_their_numbers_keep_them(written):
    """A row more in the file of edges would give other nodes the columns that were learned."""
    first = written(nodes=None).node_order
    assert first
    assert written(nodes=None, edges=EDGES.replace("n3", "n03")).node_order != first
    assert written().node_order == ""


def test_samples_of_all_pairs_are_nodes(written):
    data = written(negatives="all", batch_size=8)
    batches = list(data.train_dataloader())
    assert [len(batch.starts) for batch in batches] == [8, 8]
    ones = batches[0].ones
    dense = torch.zeros(20, 20)
    dense[ones[0], ones[1]] = 1
    edges = batches[0].edge_index
    expected = torch.eye(20)
    expected[edges[0], edges[1]] = 1
    assert torch.equal(dense, expected)
    chosen = data.select(batches[0], slice(2, 4))
    assert torch.equal(chosen.starts, batches[0].starts[2:4])
    assert data.size_of(chosen) == 2


def test_pairs_of_a_file_have_their_ids_and_what_is_known_of_them(written):
    data = written(pairs="a,b,note\nn1,n0,x\nn0,n7,y\nn7,n0,z\n")
    (batch,) = data.predict_dataloader()
    assert batch.pairs.tolist() == [[1, 0, 7], [0, 7, 0]]
    rows = data.predicted_rows()
    assert rows["note"].tolist() == ["x", "y", "z"]
    parts = {frozenset(pair): part for part, links in data.links.links.items() for pair in links.T.tolist()}
    assert rows["part"].tolist() == [parts[frozenset((0, 1))], "", ""]
    directed = written(pairs="a,b\nn1,n0\nn0,n1\n", directed=True)
    assert directed.predicted_rows()["part"].tolist()[0] == "", "the other direction is no link"
    assert directed.predicted_rows()["part"].tolist()[1] != ""


def test_classes_are_those_of_all_nodes_and_known_by_part(written):
    nodes = NODES.replace("n4,4,p", "n4,4,")
    data = written(nodes=nodes, target="label")
    batches = {part: next(iter(getattr(data, f"{part}_dataloader")())) for part in ("train", "val", "test")}
    labelled = torch.stack([batch.labelled for batch in batches.values()]).int().sum(dim=0)
    assert labelled.tolist() == [1] * 4 + [0] + [1] * 15
    assert batches["train"].y[4] == -1


def test_planetoids_nodes_outside_the_parts_have_classes():
    data = LinkDataModule(dataset="karate", test_fraction=0.2)
    data.graph.official[3] = ""
    data.setup()
    assert (data.node_labels >= 0).all()
    (batch,) = data.test_dataloader()
    assert not batch.labelled[3]


@pytest.mark.parametrize("dataset", LinkDataModule.sources)
def test_every_graphs_links_have_a_share_for_the_test(dataset):
    """Nodes of citations have parts of their own, which their links have not."""
    files = {"csv": {"edges": __file__}, "saved": {"saved": __file__}}.get(dataset, {})
    assert LinkDataModule(dataset=dataset, test_fraction=0.1, **files).hparams["test_fraction"] == 0.1


def test_the_training_adjacency_is_symmetric_and_has_ones():
    data = LinkDataModule(dataset="karate")
    matrix = data.training_adjacency
    assert (matrix != matrix.T).nnz == 0
    assert set(matrix.data) == {1}
    assert matrix.nnz == 2 * data.links.links["train"].shape[1]


WRONG = {
    "unknown": ({"pairs": "a,b\nn1,n2\nn1,m2\n"}, r"predict_pairs.csv, line 3: no node has the id 'm2'"),
    "itself": ({"pairs": "a,b\nn1,n2\nn5,n5\n"}, r"line 3: both ids are n5, and a node with itself"),
    "one column": ({"pairs": "a\nn1\n"}, r"predict_pairs.csv has one column only"),
    "target": ({"nodes": None, "target": "label"}, r"target is a column of the nodes: set --data.nodes FILE"),
    "no id": ({"nodes": None, "edges": EDGES + "n1,\n"}, r"edges.csv, line 42: the edge has no to"),
    "no end": ({"edges": EDGES + "n1,m3\n"}, r"edges.csv, line 42: no node has the id 'm3'"),
    "loops": ({"nodes": None, "edges": "a,b\nx,x\ny,y\n"}, r"no edges between different nodes"),
    "few": ({"nodes": None, "edges": "a,b\nx,y\n"}, r"1 linked pairs of nodes leave none"),
    "none": ({"num_links": 0}, r"num_links must be positive"),
    "share": ({"val_fraction": 0.0}, r"val_fraction and test_fraction must be above 0"),
    "features": ({"node_features": "onehot"}, r"There is no node_features 'onehot'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_named(name, written):
    settings, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        written(**settings).predicted_rows()


def test_a_missing_file_of_pairs_is_named(in_tmp):
    with pytest.raises(InputError, match=r"There is no file pears.csv.*--data.predict_pairs"):
        LinkDataModule(dataset="karate", predict_pairs="pears.csv")


def test_missing_links_have_no_rows_of_their_own(written):
    assert written(num_links=7).predicted_rows().equals(pd.DataFrame(index=range(7)))
