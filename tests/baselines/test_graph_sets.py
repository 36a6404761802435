"""Baselines of graphs."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch_geometric.data import Data

from nnzoo.baselines.graph_sets import GraphSetBaselines, Machine, first_labels, summaries
from nnzoo.data.graphs.graph_set import GraphSet


class Rings:
    """Six-rings and pairs of three-rings, whose nodes say nothing; or with ``tails``, paths in their place."""

    task = "classification"

    def __init__(self, paths):
        ring = [(i, (i + 1) % 6) for i in range(6)]
        other = ring[:5] if paths else [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]
        edges = [torch.tensor([*e, *[(b, a) for a, b in e]]).T for e in (ring, other)]
        self.graph = GraphSet.of_list([Data(x=torch.ones(6, 1), edge_index=edges[i % 2]) for i in range(60)])

    def arrays(self, part):
        rows = np.arange(60)[{"train": slice(0, 40), "val": slice(40, 50), "test": slice(50, 60)}[part]]
        return rows, rows % 2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("paths", [True, False])
def test_the_kernel_is_right_where_subtrees_differ_and_only_there(paths):
    scores = GraphSetBaselines(rounds=2).scores(None, Rings(paths))
    assert set(scores) == {"linear", "mlp", "wl"}
    assert scores["wl"]["accuracy"] == (1.0 if paths else 0.5)
    assert scores["wl"]["auroc"] == (1.0 if paths else 0.5)


@pytest.mark.filterwarnings("ignore")
def test_numbers_are_regressed_too():
    data = Rings(True)
    data.task = "regression"
    scores = GraphSetBaselines(rounds=1).scores(None, data)
    assert scores["wl"]["rmse"] < 0.2
    assert scores["linear"]["rmse"] < 0.2, "the number of edges tells"
    assert set(scores["mlp"]) == {"rmse", "mae", "r2"}


def test_large_sets_leave_out_the_kernel():
    assert set(GraphSetBaselines(max_graphs=39).scores(None, Rings(True))) == {"linear", "mlp"}


def test_summaries_are_means_and_sizes():
    graphs = [Data(x=torch.tensor([[1.0], [3.0]]), edge_index=torch.tensor([[0], [1]])),
              Data(x=torch.tensor([[7.0]]), edge_index=torch.empty(2, 0).long())]  # fmt: skip
    assert summaries(GraphSet.of_list(graphs)).tolist() == [[2, 2, 1], [7, 1, 0]]


def test_many_different_features_are_grouped_by_training_nodes():
    features = np.random.default_rng(0).normal(size=(300, 2))
    known = np.arange(300) < 200
    labels = first_labels(features, known)
    assert labels.max() < 32
    changed = features.copy()
    changed[~known] += 100
    assert (first_labels(changed, known)[known] == labels[known]).all()
    few = first_labels(np.array([[1.0], [0.0], [1.0]]), np.array([True, True, True]))
    assert few[0] == few[2] != few[1]


def test_the_positive_class_has_the_second_column():
    inputs = np.array([[-2.0], [-1.0], [1.0], [3.0]])
    target = np.array([0, 0, 1, 1])
    machine = Machine(kernel="linear").fit(inputs, target)
    assert (machine.predict_proba(inputs).argmax(1) == target).all()
    order = LogisticRegression().fit(inputs, target).predict_proba(inputs)[:, 1].argsort()
    assert (machine.predict_proba(inputs)[:, 1].argsort() == order).all()
