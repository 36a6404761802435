"""Many graphs in files of the user's own."""

import numpy as np
import pandas as pd
import pytest
import torch

from nnzoo import GraphSetDataModule, InputError

EDGES = {"edges": "edges.csv"}


def files(folder, nodes=None, edges=None, graphs=None):
    """Twenty triangles and twenty paths, ids a, b, c in each; features and the target by the number of the graph."""
    rows = [f"m{i},{node},{i % 7}.5,{'red' if node == 'a' else 'blue'},{'ring' if i % 2 else 'path'}"
            for i in range(40) for node in "abc"]  # fmt: skip
    links = [f"m{i},{ends},{i % 3}" for i in range(40) for ends in ("a,b", "b,c", *(["c,a"] if i % 2 else []))]
    texts = {"nodes": nodes or ["mol,atom,size,color,kind", *rows], "edges": edges or ["mol,from,to,bond", *links]}
    if graphs is not None:
        texts["graphs"] = graphs
    for name, lines in texts.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return texts


def made(**settings):
    defaults = {"nodes": "nodes.csv", "edges": "edges.csv", "graph_id": "mol", "target": "kind"}
    data = GraphSetDataModule(**{**defaults, **settings})
    data.setup()
    return data


def one(data, number, graphs=None):
    return (graphs or data.graph).batch(torch.tensor([number]), torch.zeros(1))


def test_ids_stand_again_in_other_graphs(in_tmp):
    files(in_tmp)
    data = made(drop=["bond"])
    assert data.classes == ["path", "ring"]
    assert [one(data, i).num_edges for i in (0, 1)] == [4, 6]
    assert one(data, 1).edge_index.tolist() == [[1, 2, 0, 2, 0, 1], [0, 0, 1, 1, 2, 2]]
    assert data.num_features == 3  # size, and two colors
    assert one(data, 4).x[:, 1:].sum(1).tolist() == [1, 1, 1]


def test_rows_may_be_in_any_order(in_tmp):
    listed = ["mol,kind", *(f"m{i},{'ring' if i % 2 else 'path'}" for i in range(40))]
    texts = files(in_tmp, graphs=listed)
    straight = made(graphs="graphs.csv")
    order = np.random.default_rng(0).permutation(120)
    nodes = [texts["nodes"][0], *(texts["nodes"][1 + i] for i in order)]
    files(in_tmp, nodes=nodes, edges=[texts["edges"][0], *texts["edges"][:0:-1]], graphs=listed)
    mixed = made(graphs="graphs.csv")
    for number in range(40):
        first, second = one(straight, number), one(mixed, number)
        ends = [sorted(zip(*(batch.x[end].sum(1).tolist() for end in batch.edge_index), strict=True))
                for batch in (first, second)]  # fmt: skip
        np.testing.assert_allclose(*ends, rtol=1e-5)
        assert torch.equal(first.edge_attr.sort(0).values, second.edge_attr.sort(0).values)


def test_statistics_are_those_of_the_training_graphs(in_tmp):
    files(in_tmp)
    data = made()
    train = data.parts["train"].samples
    sizes = torch.tensor([i % 7 + 0.5 for i in range(40)])
    expected = (sizes - sizes[train].mean()) / sizes[train].std(correction=0)
    found = torch.stack([one(data, i).x[0, 0] for i in range(40)])
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(sizes.mean(), sizes[train].mean())


def test_the_target_of_a_file_of_graphs(in_tmp):
    files(in_tmp, graphs=["mol,solubility,kind", *(f"m{i},{i * 1.25 if i else ''},9" for i in range(39, -1, -1))])
    data = made(graphs="graphs.csv", target="solubility", drop=["kind"])
    assert data.task == "regression"
    rows = data.predicted_rows()
    assert rows["mol"].tolist() == [f"m{i}" for i in range(39, -1, -1)]
    assert rows["part"].iloc[-1] == "", "nothing is known of it"
    batch = data.parts["train"].__getitems__(next(iter(data.build_sampler("train", 20, 4, seed=0, train=True))))
    numbers = data.parts["train"].samples
    assert float(batch.y[0]) in [(39 - int(n)) * 1.25 for n in numbers]
    assert data.num_features == 3, "the target in no file is a feature"


def test_edges_without_a_column_of_graphs_where_ids_are_unique(in_tmp):
    nodes = ["mol,atom,kind", *(f"m{i // 3},n{i},{'pq'[i // 3 % 2]}" for i in range(60))]
    links = ["from,to", *(f"n{i},n{i + 1}" for i in range(59) if i % 3 != 2)]
    files(in_tmp, nodes=nodes, edges=links)
    data = made()
    assert all(one(data, i).num_edges == 4 for i in range(20))
    assert data.num_features == 3, "degrees 0 to 2, as there are no others"
    files(in_tmp, nodes=nodes, edges=[*links, "n2,n3"])
    with pytest.raises(InputError, match=r"edges.csv, line 42: the edge goes from the graph m0 to the graph m1"):
        made()
    files(in_tmp, edges=["from,to", "a,b"])
    with pytest.raises(InputError, match=r"edges.csv has no column mol, and the node 'a' stands in several graphs"):
        made()


def test_edges_of_nodes_that_are_near(in_tmp):
    rows = [f"m{i},{n},{n * (1 + i % 2)},0,{'ab'[i % 2]}" for i in range(20) for n in range(3)]
    files(in_tmp, nodes=["mol,atom,px,py,kind", *rows])
    data = made(edges=None, positions=["px", "py"], cutoff=1.5)
    assert [one(data, i).num_edges for i in (0, 1)] == [4, 0]
    torch.testing.assert_close(one(data, 0).edge_attr, torch.full((4, 1), 1 / 1.5))
    assert one(data, 0).pos[:, 0].tolist() == [0, 1, 2]
    assert data.num_edge_features == 1
    with pytest.raises(InputError, match=r"No two nodes of a graph are within 0.5 of each other"):
        made(edges=None, positions=["px", "py"], cutoff=0.5)
    files(in_tmp, nodes=["mol,atom,px,py,kind", *rows[:-1], "m19,2,far,0,b"])
    with pytest.raises(InputError, match=r"nodes.csv, line 61: the position px is 'far'|px is 'far', not a number"):
        made(edges=None, positions=["px", "py"], cutoff=1.5)


def test_weights_and_directions_are_kept(in_tmp):
    files(in_tmp)
    data = made(weight="bond", directed=True)
    batch = one(data, 5)
    assert batch.edge_weight.tolist() == [2, 2, 2]
    assert batch.edge_index.tolist() == [[2, 0, 1], [0, 1, 2]]


WRONG = {
    "node": ({"edges": ["mol,from,to", "m0,a,b", "m1,a,z"]}, r"edges.csv, line 3: the graph 'm1' has no node.* 'z'"),
    "other graph": ({"edges": ["mol,from,to", "m99,a,b"]}, r"edges.csv, line 2: the graph 'm99' has no node.* 'a'"),
    "twice": ({"nodes": ["mol,atom,kind", "m0,a,x", "m1,a,y", "m0,a,x"]}, r"line 4: the graph m0 has several nodes a"),
    "no id": ({"nodes": ["mol,atom,kind", "m0,,x"]}, r"nodes.csv, line 2: the node has no atom"),
    "no graph": ({"nodes": ["mol,atom,kind", "m0,a,x", ",b,y"]}, r"nodes.csv, line 3: the node has no mol"),
    "target": ({"nodes": ["mol,atom,kind", "m0,a,x", "m0,b,y"]}, r"line 3: kind is 'y', but 'x' at the first node"),
    "only ids": ({"nodes": ["mol,kind", "m0,x"]}, r"no column of ids of nodes beside mol"),
}


@pytest.mark.parametrize("name", WRONG)
def test_files_that_contradict_themselves(name, in_tmp):
    changed, message = WRONG[name]
    files(in_tmp, **changed)
    with pytest.raises(InputError, match=message):
        made()


GRAPHS = {
    "unlisted": (
        ["mol,kind", *(f"m{i},x" for i in range(39))],
        r"nodes.csv, line 119: the graph 'm39' is not in graphs",
    ),
    "empty": (["mol,kind", *(f"m{i},x" for i in range(41))], r"graph m40 of graphs.csv has no nodes"),
    "twice": (
        ["mol,kind", *(f"m{i % 40},x" for i in range(41))],
        r"graphs.csv, line 42: .*several rows of the graph m0",
    ),
    "no target": (["mol,kinds", *(f"m{i},x" for i in range(40))], r"no column kind for --data.target.*kinds"),
    "no id": (["id,kind", *(f"m{i},x" for i in range(40))], r"graphs.csv has no column mol for --data.graph_id"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_files_of_graphs_that_do_not_fit(name, in_tmp):
    lines, message = GRAPHS[name]
    files(in_tmp, graphs=lines)
    with pytest.raises(InputError, match=message):
        made(graphs="graphs.csv")


def test_other_graphs_are_read_as_the_training_files(in_tmp):
    files(in_tmp)
    data = made(predict_nodes="nodes.csv", predict_edges="edges.csv")
    (in_tmp / "n.csv").write_text("mol,atom,size,color\nz,a,3.5,red\nz,c,3.5,green\nz,b,3.5,blue\n")
    (in_tmp / "e.csv").write_text("mol,from,to,bond\nz,a,b,1\nz,b,c,1\n")
    new = made(predict_nodes="n.csv", predict_edges="e.csv")
    (batch,) = list(new.predict_dataloader())
    like = one(data, 3)
    torch.testing.assert_close(batch.x[0], like.x[0])
    assert batch.x[1, 1:].tolist() == [0, 0], "a color that training does not have"
    assert new.predicted_rows().to_dict("list") == {"mol": ["z"]}
    state = data.state_dict()
    fresh = GraphSetDataModule(nodes="nodes.csv", edges="edges.csv", graph_id="mol", target="kind",
                               predict_nodes="n.csv", predict_edges="e.csv")  # fmt: skip
    for name in ("nodes", "edges"):
        (in_tmp / f"{name}.csv").unlink()
    fresh.load_state_dict(state)
    fresh.setup("predict")
    torch.testing.assert_close(next(iter(fresh.predict_dataloader())).x, batch.x)


def test_a_counter_of_rows_is_no_id(in_tmp):
    texts = files(in_tmp)
    table = pd.read_csv(in_tmp / "nodes.csv")
    table.to_csv(in_tmp / "nodes.csv")
    data = made()
    files(in_tmp, nodes=texts["nodes"])
    torch.testing.assert_close(data.graph.tensors["x"], made().graph.tensors["x"])
