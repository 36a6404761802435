"""Graphs of collections, of chemistry, and of PyG's own files."""

import sys

import pytest
import torch
from torch_geometric.data import Data, InMemoryDataset
from torch_geometric.utils import from_smiles

from nnzoo import GraphSetDataModule, InputError
from nnzoo.baselines.graph_sets import subtree_counts
from nnzoo.data.graphs.graph_set import GraphSet


def made(**settings):
    data = GraphSetDataModule(**settings)
    data.setup()
    return data


def write_collection(folder, node_labels=True):
    """TUDataset's files of twelve rings of 3 nodes and twelve paths of 4, in turn."""
    folder.mkdir(parents=True)
    sizes = [3, 4] * 12
    starts = [sum(sizes[:number]) for number in range(24)]
    lines = {"A": [], "graph_indicator": [], "node_labels": [], "graph_labels": []}
    for number, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        ends = [(i, (i + 1) % size) for i in range(size if size == 3 else 3)]
        lines["A"] += [f"{start + a + 1}, {start + b + 1}" for pair in ends for a, b in (pair, pair[::-1])]
        lines["graph_indicator"] += [str(number + 1)] * size
        lines["node_labels"] += [str(i % 2) for i in range(size)]
        lines["graph_labels"].append(str(1 - 2 * (number % 2)))
    for name, rows in lines.items():
        if name != "node_labels" or node_labels:
            (folder / f"{folder.parent.name}_{name}.txt").write_text("\n".join(rows) + "\n")


def test_a_collection_in_its_own_files(tmp_path):
    write_collection(tmp_path / "MUTAG" / "raw")
    data = made(dataset="mutag", root=str(tmp_path))
    assert (len(data.graph), data.num_features, data.classes) == (24, 2, ["0", "1"])
    batch = data.graph.batch(torch.tensor([1]), torch.zeros(1))
    assert batch.edge_index.tolist() == [[1, 0, 2, 1, 3, 2], [0, 1, 1, 2, 2, 3]]
    assert batch.x.tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    assert data.target.tolist() == ["1", "0"] * 12, "labels 1 and -1 in their order"


def test_without_labels_nodes_have_their_degree(tmp_path):
    write_collection(tmp_path / "IMDB-BINARY" / "raw", node_labels=False)
    data = made(dataset="imdb_binary", root=str(tmp_path))
    batch = data.graph.batch(torch.tensor([1]), torch.zeros(1))
    assert batch.x.argmax(1).tolist() == [1, 2, 2, 1]


def test_a_collection_that_is_not_there_is_named(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("torch_geometric.datasets.tu_dataset.TUDataset.download", offline)
    with pytest.raises(InputError, match=r"NCI1 is neither in .* nor could it be downloaded \(OSError\).*NCI1_\*.txt"):
        GraphSetDataModule(dataset="nci1", root=str(tmp_path)).prepare_data()
    assert not list(tmp_path.iterdir()), "no empty folder that looks like the data"


def saved_graphs(count=20, **changed):
    return [
        Data(**{"x": torch.full((3, 2), float(i)), "edge_index": torch.tensor([[0, 1], [1, 2]]),
                "y": torch.tensor([i % 2]), **changed})
        for i in range(count)
    ]  # fmt: skip


class Own(InMemoryDataset):
    def __init__(self, graphs):
        super().__init__()
        self.data, self.slices = self.collate(graphs)


@pytest.mark.parametrize("kind", ["list", "dataset"])
def test_saved_graphs_are_taken_as_they_are(kind, tmp_path):
    graphs = saved_graphs()
    path = str(tmp_path / "graphs.pt")
    torch.save(graphs, path) if kind == "list" else Own.save(graphs, path)
    data = made(saved=path)
    assert (data.task, data.classes, len(data.graph)) == ("classification", ["0", "1"], 20)
    batch = data.graph.batch(torch.tensor([7, 3]), torch.zeros(2))
    assert batch.x[:, 0].tolist() == [7, 7, 7, 3, 3, 3]
    assert batch.edge_index.tolist() == [[0, 1, 3, 4], [1, 2, 4, 5]]


def test_graphs_without_a_target_are_predicted_alone(tmp_path):
    graphs = saved_graphs()
    graphs[4].y = None
    torch.save(graphs, tmp_path / "graphs.pt")
    rows = made(saved=str(tmp_path / "graphs.pt")).predicted_rows()
    assert rows["part"][4] == ""
    assert (rows["part"] == "").sum() == 1


class Runs:
    def __reduce__(self):
        return (print, ("code of the file ran",))


BROKEN = {
    "code": ([Runs()], r"cannot be read without running code in it"),
    "kind": ({"x": torch.zeros(2)}, r"holds no list of torch_geometric.data.Data"),
    "edge": (saved_graphs(edge_index=torch.tensor([[0], [3]])), r"has 3 nodes, but an edge ends at node 3"),
    "nan": (saved_graphs(x=torch.full((3, 1), torch.nan)), r"Graph 0 of .* has NaN or infinite values in x"),
    "weight": (saved_graphs(edge_weight=torch.tensor([1.0, -1.0])),
               r"Graph 0 of .* has a negative edge_weight: make it 0"),
    "empty": ([*saved_graphs(2), *saved_graphs(1, x=torch.empty(0, 2), edge_index=torch.empty(2, 0).long())],
              r"Graph 2 of .* has no nodes"),
    "width": ([*saved_graphs(2), *saved_graphs(1, x=torch.zeros(3, 5))], r"Graph 2 of .* x of another width"),
    "missing": ([*saved_graphs(2), *saved_graphs(1, x=None, num_nodes=3)], r"Graph 2 of .* has no x, unlike graph 0"),
    "targets": (saved_graphs(y=torch.zeros(1, 12)), r"target y of shape \(1, 12\): save one number for each"),
    "no target": (saved_graphs(y=None), r"No graph of .* has a target y"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_saved_files_that_cannot_be_used(name, tmp_path, capsys):
    found, message = BROKEN[name]
    torch.save(found, tmp_path / "graphs.pt")
    with pytest.raises(InputError, match=message):
        made(saved=str(tmp_path / "graphs.pt"))
    assert "ran" not in capsys.readouterr().out


MOLECULES = ["C", "CC", "CCO", "c1ccccc1", "CC(=O)O", "N", "O", "C#N", "[Na+].[Cl-]", "F/C=C/F"]


def write_molecules(folder, smiles):
    rows = "".join(f"{text},{number}.5\n" for number, text in enumerate(smiles))
    (folder / "m.csv").write_text("drug,logp\n" + rows)


def test_molecules_have_pygs_features_one_hot(in_tmp):
    pytest.importorskip("rdkit")
    write_molecules(in_tmp, MOLECULES)
    data = made(molecules="m.csv", smiles="drug", target="logp")
    assert data.task == "regression"
    starts = torch.tensor([119, 9, 11, 12, 9, 5, 8, 2, 2]).cumsum(0)
    for number, text in enumerate(MOLECULES):
        expected, found = from_smiles(text), data.graph.batch(torch.tensor([number]), torch.zeros(1))
        parts = found.x.tensor_split(starts[:-1], dim=1)
        assert torch.equal(torch.stack([part.argmax(1) for part in parts], dim=1), expected.x)
        assert (found.x.sum(1) == 9).all()
        assert found.num_edges == expected.num_edges
    assert data.num_edge_features == 22 + 6 + 2
    assert data.predicted_rows()["drug"].tolist() == MOLECULES


def test_what_is_no_molecule_is_named(in_tmp):
    pytest.importorskip("rdkit")
    write_molecules(in_tmp, [*MOLECULES, "C1CC", "CCO"])
    with pytest.raises(InputError, match=r"m.csv, line 12: 'C1CC' is no molecule in SMILES"):
        made(molecules="m.csv", smiles="drug", target="logp")


def test_the_same_molecule_twice_is_said(in_tmp):
    pytest.importorskip("rdkit")
    write_molecules(in_tmp, [*MOLECULES, "OCC"])
    with pytest.warns(UserWarning, match=r"1 rows are molecules of other rows"):
        made(molecules="m.csv", smiles="drug", target="logp")


def test_without_rdkit_it_is_said_what_to_install(in_tmp, monkeypatch):
    monkeypatch.setitem(sys.modules, "rdkit", None)
    write_molecules(in_tmp, MOLECULES)
    with pytest.raises(InputError, match=r'rdkit, which is not installed: pip install "nnzoo\[molecules\]"'):
        GraphSetDataModule(molecules="m.csv", smiles="drug", target="logp")


def graphs_of(*edges, nodes):
    graphs = [Data(x=torch.ones(nodes, 1), edge_index=torch.tensor([*e, *[(b, a) for a, b in e]]).T) for e in edges]
    return GraphSet.of_list(graphs)


def test_subtrees_tell_what_weisfeiler_and_leman_can_tell_and_no_more():
    ring = [(i, (i + 1) % 6) for i in range(6)]
    two_rings = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]
    path = [(i, i + 1) for i in range(5)]
    counts = [level.toarray() for level in subtree_counts(graphs_of(ring, two_rings, path, nodes=6), [0, 1, 2], 3)]
    for level in counts:
        assert (level[0] == level[1]).all(), "the known pair that no round tells apart"
        assert (level.sum(1) == 6).all()
    assert (counts[0][0] == counts[0][2]).all()
    assert all((level[0] != level[2]).any() for level in counts[1:])
    assert [level.shape[1] for level in counts] == [1, 2, 3, 4]


def test_labels_that_training_does_not_have_are_not_counted():
    ring, path = [(i, (i + 1) % 6) for i in range(6)], [(i, i + 1) for i in range(5)]
    counts = [level.toarray() for level in subtree_counts(graphs_of(ring, path, nodes=6), [0], 2)]
    assert [level.shape[1] for level in counts] == [1, 1, 1]
    assert [int(level[1].sum()) for level in counts] == [6, 4, 2], "inner nodes alone look as in a ring"
