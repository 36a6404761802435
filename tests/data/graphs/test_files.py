"""Graphs in files of the user's own."""

import numpy as np
import pandas as pd
import pytest
import torch

from nnzoo import GraphDataModule, InputError, NodeBaselines
from nnzoo.data.facts import held_facts

NODES = (
    "id,size,kind,label\na,1,x,left\nb,2,y,right\nc,3,x,left\nd,4,z,\ne,5,x,right\nf,6,y,left\ng,7,x,right\n"
    "h,9,y,right\n"
)
EDGES = "from,to,strength\na,b,0.5\nb,c,1\nc,a,2\ne,f,1\nf,g,3\ng,h,1\nh,e,2\n"


@pytest.fixture
def written(in_tmp):
    """Writes both files, some of them changed, and returns the datamodule of them."""

    def write(nodes=NODES, edges=EDGES, **settings):
        (in_tmp / "nodes.csv").write_text(nodes)
        (in_tmp / "edges.csv").write_text(edges)
        small = {"val_fraction": 0.2, "test_fraction": 0.2}
        given = {"nodes": "nodes.csv", "edges": "edges.csv", "target": "label", **small, **settings}
        return GraphDataModule(**given)

    return write


def pairs(data):
    """Edges by the ids of their ends, in order."""
    ids = data.graph.written["id"].to_numpy()
    return sorted((str(ids[a]), str(ids[b])) for a, b in data.graph.edge_index.T.tolist())


def test_nodes_have_numbers_and_a_column_for_each_category(written):
    data = written()
    sizes = np.array([1, 2, 3, 4, 5, 6, 7, 9])
    expected = np.column_stack([(sizes - sizes.mean()) / sizes.std(), *pd.get_dummies(list("xyxzxyxy")).to_numpy().T])
    np.testing.assert_allclose(data.graph.x, expected, atol=1e-6)
    assert data.classes == ["left", "right"]
    assert data.num_features == 4
    assert data.task == "classification"


def test_edges_go_both_ways_unless_they_are_directed(written):
    ends = [("a", "b"), ("b", "c"), ("c", "a"), ("e", "f"), ("f", "g"), ("g", "h"), ("h", "e")]
    assert pairs(written()) == sorted([*ends, *((b, a) for a, b in ends)])
    assert pairs(written(directed=True)) == sorted(ends)


def test_weights_and_features_stay_with_their_edges(written):
    header, *lines = EDGES.splitlines()
    km = [f"{header},km", *(f"{line},{line.rpartition(',')[2]}" for line in lines)]
    data = written(weight="strength", edges="\n".join(km))
    ids = data.graph.written["id"].to_numpy()
    rows = [line.split(",") for line in EDGES.splitlines()[1:]]
    weights = {frozenset((a, b)): float(weight) for a, b, weight in rows}
    expected = [weights[frozenset((ids[a], ids[b]))] for a, b in data.graph.edge_index.T.tolist()]
    assert data.graph.edge_weight.tolist() == expected
    known = np.array([0.5, 1, 2, 1, 3, 1, 2])
    assert data.num_edge_features == 1, "the weight is none"
    np.testing.assert_allclose(data.graph.edge_attr[:, 0], (np.array(expected) - known.mean()) / known.std(), atol=1e-6)


def test_an_edge_that_stands_there_twice_or_turned_round_counts_once(written):
    again = EDGES + "b,a,0.5\na,b,0.5\na,b,7\na,a,1\n"
    with pytest.warns(UserWarning, match=r"2 of 11 edges stand there twice, or in both directions"):
        found = pairs(written(edges=again))
    assert found.count(("a", "b")) == 2, "another with other values is a parallel edge"
    assert found.count(("a", "a")) == 1, "a self-loop has no other direction"


def test_a_node_without_a_target_is_in_no_part(written):
    data = written()
    data.setup()
    rows = torch.cat([part.nodes for name, part in data.parts.items() if name != "predict"]).tolist()
    assert sorted(rows) == [0, 1, 2, 4, 5, 6, 7]
    assert len(data.parts["predict"]) == 8
    assert data.predicted_rows()["id"].tolist() == list("abcdefgh")
    assert data.predicted_rows()["part"][3] == ""


def test_ids_may_be_numbers_with_zeros_in_front(written):
    table = {letter: f"0{number}" for number, letter in enumerate("abcdefgh")}
    lines = ["id,size,kind,label", *(table[line[0]] + line[1:] for line in NODES.splitlines()[1:])]
    edges = ["from,to,strength", *(f"{table[line[0]]},{table[line[2]]},1" for line in EDGES.splitlines()[1:])]
    data = written(nodes="\n".join(lines) + "\n", edges="\n".join(edges) + "\n")
    assert pairs(data)[0] == ("00", "01")


def test_without_features_each_node_has_a_column_of_its_own(written):
    data = written(drop=["size", "kind"])
    assert torch.equal(data.graph.x.to_dense(), torch.eye(8))


WRONG = {
    "unknown end": ({"edges": EDGES + "a,q,1\n"}, r"edges.csv, line 9: no node has the id 'q' \(1 edges"),
    "twice": ({"nodes": NODES + "a,1,x,left\n"}, r"nodes.csv, line 10: there are several nodes a"),
    "no id": ({"nodes": NODES + ",1,x,left\n"}, r"line 10: the node has no id"),
    "negative weight": ({"edges": EDGES + "a,c,-1\n", "weight": "strength"}, r"line 9: the weight -1.0 is no number"),
    "no column": ({"target": "lable"}, r"has no column lable for --data.target. Did you mean label"),
    "one end": ({"ends": ["from"]}, r"Edges have two ends.*--data.ends"),
    "one class": ({"nodes": NODES.replace("right", "left")}, r"label has 1 classes"),
    "half a new graph": ({"predict_nodes": "nodes.csv"}, r"both --data.predict_nodes and --data.predict_edges"),
    "id as target": ({"target": "id"}, r"first column of nodes.csv holds ids"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_named(name, written):
    settings, message = WRONG[name]
    files = {key: settings[key] for key in ("nodes", "edges") if key in settings}
    others = {key: value for key, value in settings.items() if key not in files}
    with pytest.raises(InputError, match=message):
        written(**files, **others).setup()


def test_half_a_graph_is_no_graph(in_tmp):
    (in_tmp / "edges.csv").write_text(EDGES)
    with pytest.raises(InputError, match=r"There is no file nods.csv.*check --data.nodes"):
        GraphDataModule(edges="edges.csv", nodes="nods.csv", target="label")
    with pytest.raises(InputError, match=r"--data.edges FILE, --data.nodes FILE and --data.target"):
        GraphDataModule(edges="edges.csv")


def test_another_graph_is_read_as_the_training_files_were(written, in_tmp):
    """By their statistics and categories, with the run's checkpoint alone."""
    data = written(weight="strength")
    state = data.state_dict()
    (in_tmp / "new_nodes.csv").write_text("id,size,kind\nq,5,y\nr,1.5,new\n")
    (in_tmp / "new_edges.csv").write_text("from,to,strength\nq,r,2\n")
    (in_tmp / "nodes.csv").unlink()
    (in_tmp / "edges.csv").unlink()
    (in_tmp / "nodes.csv").write_text("")
    (in_tmp / "edges.csv").write_text("")
    settings = {"nodes": "nodes.csv", "edges": "edges.csv", "target": "label", "weight": "strength"}
    taken = GraphDataModule(**settings, predict_nodes="new_nodes.csv", predict_edges="new_edges.csv")
    taken.restore(state)
    taken.setup("predict")
    (batch,) = taken.predict_dataloader()
    sizes = np.array([1, 2, 3, 4, 5, 6, 7, 9])
    expected = (np.array([5, 1.5]) - sizes.mean()) / sizes.std()
    np.testing.assert_allclose(batch.x[:, 0], expected, atol=1e-6)
    assert batch.x[:, 1:].tolist() == [[0, 1, 0], [0, 0, 0]]
    assert batch.edge_index.tolist() == [[1, 0], [0, 1]]
    assert batch.edge_weight.tolist() == [2, 2]
    assert taken.predicted_rows()["id"].tolist() == ["q", "r"]


@pytest.fixture
def of_six(in_tmp):
    """A graph of six nodes without features, and what its module keeps, to predict the nodes of new.csv with."""
    (in_tmp / "nodes.csv").write_text("id,label\n" + "".join(f"n{i},{'pq'[i % 2]}\n" for i in range(6)))
    (in_tmp / "edges.csv").write_text("from,to\n" + "".join(f"n{i},n{(i + 1) % 6}\n" for i in range(6)))
    settings = {"nodes": "nodes.csv", "edges": "edges.csv", "target": "label"}
    trained = GraphDataModule(**settings)
    trained.setup()

    def taken(ids):
        (in_tmp / "new.csv").write_text("id\n" + "\n".join(ids) + "\n")
        (in_tmp / "new_edges.csv").write_text(f"from,to\n{ids[0]},{ids[2]}\n")
        new = GraphDataModule(**settings, predict_nodes="new.csv", predict_edges="new_edges.csv")
        new.restore(trained.state_dict())
        new.setup("predict")
        return next(iter(new.predict_dataloader()))

    return taken


@pytest.mark.parametrize("ids", [[f"m{i}" for i in range(6)], ["n1", "n0", "n2", "n3", "n4", "n5"]])
def test_nodes_known_by_their_columns_are_no_others_in_another_graph(of_six, ids):
    """As many nodes are as many features: the first of the new ones would have the column of the first trained on."""
    with pytest.raises(InputError, match=r"new.csv has other nodes, or in another order"):
        of_six(ids)


def test_other_edges_of_nodes_without_features_are_taken(of_six):
    assert of_six([f"n{i}" for i in range(6)]).edge_index.tolist() == [[2, 0], [0, 2]]


def test_a_checkpoint_is_held_to_the_order_of_nodes_without_features(of_six, in_tmp):
    def order():
        return GraphDataModule(edges="edges.csv", nodes="nodes.csv", target="label").node_order

    first = order()
    lines = (in_tmp / "nodes.csv").read_text().splitlines()
    (in_tmp / "nodes.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    assert len({first, order(), ""}) == 3
    assert held_facts(GraphDataModule(dataset="digits"))["node_order"] == "", "pixels tell them"


def test_columns_of_nodes_are_no_features_for_a_perceptron(in_tmp):
    ring = [(i, (i + step) % 40) for i in range(40) for step in (1, 2)]
    (in_tmp / "edges.csv").write_text("from,to\n" + "".join(f"n{a:02},n{b:02}\n" for a, b in ring))
    (in_tmp / "nodes.csv").write_text("id,label\n" + "".join(f"n{i:02},{'pq'[i < 20]}\n" for i in range(40)))
    data = GraphDataModule(edges="edges.csv", nodes="nodes.csv", target="label", test_fraction=0.2)
    data.setup()
    assert data.features is None
    assert set(NodeBaselines().scores(None, data)) == {"spreading", "spectral"}
