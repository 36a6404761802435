"""What graph networks refuse of graphs, and warn of."""

import lightning as L
import pytest
import torch
from torch_geometric.data import Batch, Data

from nnzoo import GraphClassifier, GraphDataModule, InputError, LinkDataModule, LinkPredictor, NodeClassifier
from nnzoo.modules import graph_checks
from support.quiet import QUIET

EDGES = torch.tensor([[0, 1, 2, 3, 4], [1, 2, 3, 4, 0]])
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*Each epoch leaves out")


def graph(**changed):
    torch.manual_seed(0)
    return Data(**{"x": torch.randn(5, 3), "edge_index": EDGES, "y": torch.arange(5) % 2, **changed})


def module(**settings):
    return NodeClassifier(**{"num_features": 3, "num_classes": 2, "hidden": [4], "head": "linear", **settings})


def fit(model, data):
    L.Trainer(**{**QUIET, "max_epochs": 1, "limit_train_batches": 1, "limit_val_batches": 0}).fit(model, data)


REACH = {
    "pagerank": ({"propagation": "pagerank"}, [5], r"PageRank goes over the whole graph.*--data.num_neighbors"),
    "gps": ({"convolution": "gps"}, [5], r"gps attends to all nodes.*leave out --data.num_neighbors"),
    "layers": ({"hidden": [4, 4, 4]}, [6, 5], r"3 rounds of messages.* drawn for 2: .* such as \[6, 5, 5\]"),
    "head": ({"head": "convolution"}, [5], r"2 rounds of messages.* drawn for 1: .* such as \[5, 5\]"),
}


@pytest.mark.parametrize("name", REACH)
def test_networks_that_reach_further_than_neighbours_are_drawn_are_refused(name):
    settings, sizes, message = REACH[name]
    data = GraphDataModule(dataset="digits", num_neighbors=sizes)
    with pytest.raises(InputError, match=message):
        fit(module(num_features=64, num_classes=10, **settings), data)


@pytest.mark.parametrize(
    ("settings", "sizes"), [({}, [5]), ({"head": "convolution"}, [5, 5]), ({"hidden": [4]}, [3, 3])]
)
def test_networks_that_see_what_is_drawn_are_trained(settings, sizes):
    fit(module(num_features=64, num_classes=10, **settings), GraphDataModule(dataset="digits", num_neighbors=sizes))


def test_links_warn_of_edges_that_a_convolution_does_not_see(in_tmp):
    lines = [f"n{i},n{(i + step) % 20},{i % 5},{i % 3}\n" for i in range(20) for step in (1, 3)]
    (in_tmp / "edges.csv").write_text("a,b,w,c\n" + "".join(lines))
    data = LinkDataModule(edges="edges.csv", weight="w")
    with pytest.warns(UserWarning, match=r"gcn does not see the features of the edges; gat, gatv2, gin"):
        fit(LinkPredictor(num_features=20, num_edge_features=1, hidden=[4], latent_dim=2), data)
    with pytest.warns(UserWarning, match=r"gat does not see the weights of the edges; gcn would"):
        fit(LinkPredictor(num_features=20, num_edge_features=1, convolution="gat", hidden=[4], latent_dim=2), data)


@pytest.mark.parametrize("convolution", ["gin", "sage"])
def test_what_makes_columns_of_nodes_dense_is_said(convolution, in_tmp, monkeypatch, recwarn):
    (in_tmp / "edges.csv").write_text("a,b\n" + "".join(f"n{i},n{(i + s) % 20}\n" for i in range(20) for s in (1, 3)))
    monkeypatch.setattr(graph_checks, "MUCH", 4 * 20 * 20 - 1)
    model = LinkPredictor(num_features=20, hidden=[4], latent_dim=2, convolution=convolution)
    fit(model, LinkDataModule(edges="edges.csv"))
    texts = " ".join(str(warning.message) for warning in recwarn)
    said = "Each of 20 nodes has a column of its own, of which gin makes a dense matrix of 0.0 GiB; gcn, gat, sage"
    assert (said in texts) == (convolution == "gin")


FEATURED = {"convolution": "gat", "num_edge_features": 1}
WRONG = {
    "absent": (FEATURED, {}, r"takes 1 features of an edge, got edge_attr None for 5 edges"),
    "unasked": ({"convolution": "gat"}, {"edge_attr": torch.ones(5, 3)}, r"takes 0 features of an edge, .*\(5, 3\)"),
    "width": (FEATURED, {"edge_attr": torch.ones(5, 2)}, r"takes 1 features of an edge, got edge_attr \(5, 2\)"),
    "rows": (FEATURED, {"edge_attr": torch.ones(4, 1)}, r"got edge_attr \(4, 1\) for 5 edges"),
    "nan": (FEATURED, {"edge_attr": torch.full((5, 1), torch.nan)}, r"features of edges are NaN"),
    "negative": ({}, {"edge_weight": torch.tensor([1, 2, -0.5, 1, 1])}, r"0 or more, .*\(5,\) from -0.5 to 2"),
    "infinite": ({}, {"edge_weight": torch.tensor([1, 2, torch.inf, 1, 1])}, r"from 1 to inf"),
    "few": ({}, {"edge_weight": torch.ones(4)}, r"one for each of 5 edges, got edge_weight of shape \(4,\)"),
    "loops": ({}, {"edge_index": torch.tensor([[0, 2, 2], [1, 2, 2]])}, r"Node 2 has several edges to itself"),
}


@pytest.mark.parametrize("name", WRONG)
def test_edges_that_do_not_fit_are_named(name):
    settings, changed, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        module(**settings).training_step(graph(**changed), 0)


def test_links_are_held_to_the_same():
    pairs = {"pairs": torch.tensor([[0], [1]]), "unlinked": torch.tensor([[0], [2]]), "y": torch.full((5,), -1)}
    model = LinkPredictor(num_features=3, hidden=[4], latent_dim=2)
    with pytest.raises(InputError, match=r"A weight of an edge is a number of 0 or more"):
        model.training_step(graph(**pairs, edge_weight=-torch.ones(5)), 0)


@pytest.mark.parametrize(
    ("settings", "refused"),
    [({"convolution": "sage", "propagation": "pagerank"}, True), ({"convolution": "sage"}, False), ({}, True)],
)
def test_several_edges_of_a_node_to_itself_are_refused_where_one_would_be_kept(settings, refused):
    batch = graph(edge_index=torch.tensor([[0, 1, 2, 2], [1, 0, 2, 2]]))
    if refused:
        with pytest.raises(InputError, match=r"make them one, such as by torch_geometric.utils.coalesce"):
            module(**settings).training_step(batch, 0)
    else:
        assert module(**settings).training_step(batch, 0).isfinite()
    assert module(**settings).training_step(graph(edge_index=torch.tensor([[0, 1, 2], [1, 0, 2]])), 0).isfinite()


@pytest.mark.parametrize(
    ("settings", "refused"), [({"convolution": "gin"}, True), ({"norm": "batch"}, True), ({}, False)]
)
def test_a_single_node_has_no_spread(settings, refused):
    """Whichever batch of an epoch it is."""
    one = Batch.from_data_list([Data(x=torch.ones(1, 3), edge_index=torch.zeros(2, 0).long(), y=torch.tensor(0))])
    model = GraphClassifier(num_features=3, num_classes=2, hidden=[4], **settings)
    if refused:
        with pytest.raises(InputError, match=r"batch of a single node has no spread, by which batch norm"):
            model.training_step(one, 7)
    else:
        assert model.training_step(one, 7).isfinite()
    assert model.eval().predict_step(one, 0).isfinite().all()
