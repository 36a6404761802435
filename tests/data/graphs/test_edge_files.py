"""Which nodes a user's edges link, beside networkx, and what is said where that cannot be known."""

import networkx as nx
import pandas as pd
import pytest
import torch

from nnzoo import GraphDataModule, GraphSetDataModule, InputError, LinkDataModule

RING = [(number, (number + 1) % 12) for number in range(12)]
SMALL = {"val_fraction": 0.2, "test_fraction": 0.2}


def nodes_of(ids, **more):
    ids = list(ids)
    values = {"id": ids, "y": ["left", "right"] * 6, "size": [1.5 * (i % 5) for i in range(12)]}
    return pd.DataFrame({**values, **more}).iloc[: len(ids)]


def edges_of(pairs, **more):
    return pd.DataFrame(pairs, columns=["from", "to"]).assign(**more)


@pytest.fixture
def made(in_tmp):
    """The datamodule of two tables, written by pandas."""

    def make(nodes, edges, kind=GraphDataModule, index=False, target="y", **settings):
        for name, table in (("n.csv", nodes), ("e.csv", edges)):
            text = table if isinstance(table, str) else table.to_csv(index=index)
            (in_tmp / name).write_text(text)
        data = kind(nodes="n.csv", edges="e.csv", target=target, **SMALL, **settings)
        data.setup()
        return data

    return make


def arcs(data, key="id"):
    """Edges by the ids of their ends."""
    ids = data.graph.written[key].tolist()
    return sorted((ids[a], ids[b]) for a, b in data.graph.edge_index.T.tolist())


def arcs_of_networkx(edges, directed=False):
    kind = nx.DiGraph if directed else nx.Graph
    graph = nx.from_pandas_edgelist(edges.astype(str), "from", "to", create_using=kind)
    return sorted(graph.to_directed().edges)


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("ids", [list(range(12)), [f"v {i}" for i in range(12)], [f"{i:03d}" for i in range(12)]])
def test_the_edges_are_those_of_networkx(made, ids, directed, recwarn):
    """With a loop, isolated nodes, an edge that stands there twice and one that stands there turned round."""
    pairs = [(ids[a], ids[b]) for a, b in [*RING[:8], (3, 3), (0, 1), (2, 1)]]
    data = made(nodes_of(ids), edges_of(pairs), directed=directed)
    assert arcs(data) == arcs_of_networkx(edges_of(pairs), directed)
    said = [str(warning.message) for warning in recwarn if "stand there twice" in str(warning.message)]
    assert len(said) == 1
    assert f"{1 if directed else 2} of 11 edges" in said[0]


def test_edges_with_other_weights_count_each_and_that_is_said(made):
    edges = edges_of([*RING, (1, 0)], w=[1.0] * 12 + [5.0])
    with pytest.warns(UserWarning, match=r"1 of 13 edges .* with other values: they count each, so that weights add"):
        data = made(nodes_of(range(12)), edges, weight="w")
    sums = torch.zeros(12, 12).index_put(tuple(data.graph.edge_index), data.graph.edge_weight, accumulate=True)
    assert (sums[0, 1], sums[1, 0], sums[2, 3]) == (6, 6, 1)


def test_a_weight_is_no_feature_besides(made):
    edges = edges_of(RING, w=[1.0, 2.0] * 6, km=[0.5] * 6 + [2.5] * 6)
    data = made(nodes_of(range(12)), edges, weight="w")
    assert data.num_edge_features == 1
    assert made(nodes_of(range(12)), edges).num_edge_features == 2


@pytest.mark.parametrize("kind", [GraphDataModule, LinkDataModule])
def test_the_index_that_pandas_writes_is_no_end_of_an_edge(made, kind):
    plain = made(nodes_of(range(12)), edges_of(RING), kind)
    with pytest.warns(UserWarning, match="e.csv numbers the rows and is left out"):
        assert arcs(made(nodes_of(range(12)), edges_of(RING), kind, index=True)) == arcs(plain)
    by_r = edges_of(RING).rename_axis("rownames").reset_index()
    with pytest.warns(UserWarning, match="'rownames' of e.csv numbers the rows"):
        assert arcs(made(nodes_of(range(12)), by_r, kind)) == arcs(plain)


def test_an_index_of_nodes_is_their_id_only_where_the_edges_say_so(made):
    named = [f"v{i}" for i in range(12)]
    pairs = [(named[a], named[b]) for a, b in RING]
    data = made(nodes_of(named).to_csv(), edges_of(pairs))
    assert arcs(data) == arcs_of_networkx(edges_of(pairs)), "the ids have a name"
    data = made(nodes_of(range(12)).drop(columns="id").to_csv(), edges_of(RING))
    assert arcs(data, "") == arcs_of_networkx(edges_of(RING)), "the index is the id"
    turned = nodes_of(reversed(range(12)))
    with pytest.raises(InputError, match=r"ids of n.csv may be its first column, which has no name, or id: remove"):
        made(turned.to_csv(), edges_of(RING))


@pytest.mark.parametrize("kind", [GraphDataModule, LinkDataModule])
def test_a_file_without_a_header_does_not_lose_its_first_edge(made, kind):
    with pytest.raises(InputError, match=r"first line of e.csv names the columns, but 0,1 reads as an edge"):
        made(nodes_of(range(12)), edges_of(RING).to_csv(index=False, header=False), kind)


def test_pairs_without_a_header_do_not_lose_the_first_either(made, in_tmp):
    (in_tmp / "pairs.csv").write_text("1,5\n2,6\n")
    with pytest.raises(InputError, match=r"first line of pairs.csv names the columns, but 1,5 reads as an edge"):
        made(nodes_of(range(12)), edges_of(RING), LinkDataModule, predict_pairs="pairs.csv")


@pytest.mark.parametrize(
    ("there", "here"), [("007", "7"), ("7.0", "7"), ("7", "7.0"), ("Ann", "ann"), ("Ann  B", "Ann B")]
)
def test_ids_that_are_written_otherwise_are_named(made, there, here):
    nodes = nodes_of([there, *range(20, 31)])
    with pytest.raises(InputError, match=f"no node has the id '{here}', one has '{there}' .* compared as texts"):
        made(nodes, edges_of([(here, 20), (20, 21)]))


@pytest.mark.parametrize(
    ("edges", "said"),
    [
        ("from to\n1 2\n", r"has one column only, 'from to': separate the two ids"),
        ("from,to\n1,2\n3,\n", r"e.csv, line 3: the edge has no to"),
        ("from,to\n1,2\n3,99\n", r"e.csv, line 3: no node has the id '99' \(1 edges end at none\): add a row to n.csv"),
    ],
)
def test_edges_that_cannot_be_read_are_named(made, edges, said):
    with pytest.raises(InputError, match=said):
        made(nodes_of(range(12)), edges)


def test_columns_that_tell_nothing_are_no_features_and_no_error(made):
    """Numbers of rows and a note on each."""
    edges = edges_of(RING, edge_id=range(12))
    names = [f"person {i}" for i in range(40)]
    table = pd.DataFrame({"id": range(40), "y": ["a", "b"] * 20, "name": names})
    with pytest.warns(UserWarning, match=r"Left out .*: edge_id"):
        data = made(table, edges)
    assert data.num_edge_features == 0
    assert torch.equal(data.graph.x.to_dense(), torch.eye(40))


def test_a_new_category_is_warned_of(made, recwarn):
    colours = ["red", "blue"] * 6
    nodes_of(range(12), colour=["violet", *colours[1:]]).to_csv("new.csv", index=False)
    edges_of(RING, kind=["p", "q"] * 5 + ["p", "r"]).to_csv("new_edges.csv", index=False)
    other = {"predict_nodes": "new.csv", "predict_edges": "new_edges.csv"}
    made(nodes_of(range(12), colour=colours), edges_of(RING, kind=["p", "q"] * 6), **other)
    said = " ".join(str(warning.message) for warning in recwarn)
    assert "new.csv: 1 rows have a colour that training does not have, such as 'violet' in line 2" in said
    assert "new_edges.csv: 1 rows have a kind that training does not have, such as 'r' in line 13" in said


def many(index=False):
    """Rings of 4 and 5 nodes in turn, as tables of nodes, edges and graphs."""
    nodes, edges = [], []
    for graph in range(20):
        size = 4 + graph % 2
        nodes += [(f"g{graph}", i, i % 3 + graph / 2) for i in range(size)]
        edges += [(f"g{graph}", i, (i + 1) % size) for i in range(size)]
    tables = {
        "n.csv": pd.DataFrame(nodes, columns=["g", "id", "size"]),
        "e.csv": pd.DataFrame(edges, columns=["g", "from", "to"]),
        "g.csv": pd.DataFrame({"g": [f"g{graph}" for graph in range(20)], "y": ["even", "odd"] * 10}),
    }
    for name, table in tables.items():
        table.to_csv(name, index=index)


def test_indices_of_all_files_of_many_graphs_are_left_out(in_tmp):
    settings = {"nodes": "n.csv", "edges": "e.csv", "graphs": "g.csv", "graph_id": "g", "target": "y"}
    many()
    plain = GraphSetDataModule(**settings).graph
    many(index=True)
    with pytest.warns(UserWarning, match="e.csv numbers the rows"):
        found = GraphSetDataModule(**settings).graph
    data = GraphSetDataModule(**settings)
    assert torch.equal(found.edge_index, plain.edge_index)
    assert torch.equal(found.tensors["x"], plain.tensors["x"])
    assert list(data.predicted_rows().columns) == ["g", "y", "part"]
    for number in range(4):
        batch = found.batch(torch.tensor([number]), torch.zeros(1))
        graph = nx.Graph(batch.edge_index.T.tolist())
        assert nx.is_isomorphic(graph, nx.cycle_graph(4 + number % 2))


def test_many_graphs_without_a_header_do_not_lose_an_edge(in_tmp):
    nodes = pd.DataFrame({"g": [i // 3 for i in range(60)], "id": range(60), "y": [i // 3 % 2 for i in range(60)]})
    nodes.to_csv("n.csv", index=False)
    text = "".join(f"{3 * g},{3 * g + 1}\n{3 * g + 1},{3 * g + 2}\n" for g in range(20))
    (in_tmp / "e.csv").write_text(text)
    with pytest.raises(InputError, match="but 0,1 reads as an edge"):
        GraphSetDataModule(nodes="n.csv", edges="e.csv", graph_id="g", target="y").setup()
