"""Graphs are predicted with the run folder alone, without the files it was trained on."""

import pytest

from support.found import case
from support.home import predictions, taken_home

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def test_other_graphs_have_the_classes_that_they_have_where_the_training_files_are(in_tmp, monkeypatch, tmp_path):
    case("gnn_graphs").files()
    (in_tmp / "n.csv").write_text("g,id,size\n7,a,1\n7,b,3\n7,c,2\n8,a,1\n")
    (in_tmp / "e.csv").write_text("g,from,to\n7,a,b\n7,b,c\n")
    flags = ["--data.predict_nodes", str(in_tmp / "n.csv"), "--data.predict_edges", str(in_tmp / "e.csv")]
    checkpoint = taken_home("gnn_graphs", case("gnn_graphs").trained_on, monkeypatch, tmp_path)
    found = predictions("gnn_graphs", checkpoint, *flags)
    assert found["g"].tolist() == ["7", "8"]
    assert set(found["predicted"]) <= {"path", "ring"}
    monkeypatch.chdir(in_tmp)
    there = predictions("gnn_graphs", str(next(in_tmp.rglob("best.ckpt"))), *flags)
    assert there["p(ring)"].tolist() == found["p(ring)"].tolist()


def test_nodes_of_another_graph_are_predicted_likewise(in_tmp, monkeypatch, tmp_path):
    case("gnn").files()
    (in_tmp / "n.csv").write_text("id,size\nx,1\ny,3\n")
    (in_tmp / "e.csv").write_text("from,to\nx,y\n")
    flags = ["--data.predict_nodes", str(in_tmp / "n.csv"), "--data.predict_edges", str(in_tmp / "e.csv")]
    checkpoint = taken_home("gnn", case("gnn").trained_on, monkeypatch, tmp_path)
    found = predictions("gnn", checkpoint, *flags)
    assert found["id"].tolist() == ["x", "y"]
    assert set(found["predicted"]) <= {"left", "right"}
