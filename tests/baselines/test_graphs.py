"""Label spreading over graphs with weights, directions and parts that no label reaches, against scikit-learn's."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.semi_supervised import LabelSpreading

from nnzoo import GraphDataModule
from nnzoo.baselines.graphs import Spread, spreading

NODES = 30


def weighted(seed=0):
    """A connected graph with weights from 0.1 to 5, as a symmetric matrix."""
    graph = nx.connected_watts_strogatz_graph(NODES, 4, 0.3, seed=seed)
    matrix = sp.csr_matrix(nx.to_scipy_sparse_array(graph, dtype=np.float64))
    upper = sp.triu(matrix).tocoo()
    upper.data = np.random.default_rng(seed).uniform(0.1, 5, len(upper.data))
    return (upper + upper.T).tocsr()


def test_shares_are_scikit_learns_on_the_weights():
    matrix, known = weighted(), np.arange(0, NODES, 5)
    targets = torch.arange(NODES) % 3
    found = Spread(matrix, targets, 0.5, 3).fit(known[:, None], targets[known].numpy())
    labels = np.full(NODES, -1)
    labels[known] = targets[known]
    other = LabelSpreading(kernel=lambda x, y: matrix.toarray(), alpha=0.5, max_iter=1000, tol=1e-12)
    other.fit(np.arange(NODES)[:, None], labels)
    every = np.arange(NODES)[:, None]
    np.testing.assert_allclose(found.predict_proba(every), other.label_distributions_, atol=1e-5)
    assert (found.predict(every) == other.transduction_).all()
    plain = Spread((matrix > 0).astype(float), targets, 0.5, 3).fit(known[:, None], targets[known].numpy())
    assert np.abs(plain.predict_proba(every) - other.label_distributions_).max() > 0.01, "weights count"


def two_paths():
    """0 - 1 - 2 and 3 - 4, which nothing links."""
    return sp.csr_matrix(nx.to_scipy_sparse_array(nx.disjoint_union(nx.path_graph(3), nx.path_graph(2)), dtype=float))


def test_nodes_that_no_label_reaches_get_the_shares_in_training():
    targets, known = torch.tensor([1, 1, 0, 0, 0]), np.array([[0], [1], [2]])
    found = Spread(two_paths(), targets, 0.9, 2).fit(known, targets[:3].numpy())
    np.testing.assert_allclose(found.predict_proba(np.array([[3], [4]])), [[1 / 3, 2 / 3]] * 2, rtol=1e-6)
    assert found.predict(np.array([[3], [4]])).tolist() == [1, 1]


def test_a_class_that_training_lacks_has_a_column():
    targets, known = torch.tensor([0, 1, 0, 2, 2]), np.array([[0], [1], [2]])
    shares = Spread(two_paths(), targets, 0.9, 3).fit(known, targets[:3].numpy()).predict_proba(np.arange(5)[:, None])
    assert shares.shape == (5, 3)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-6)
    assert not shares[:, 2].any()


def spread_mean(matrix, values, known, alpha, rounds=100):
    """The spread sum over the spread count, in float64 by NumPy."""
    scale = 1 / np.sqrt(matrix.sum(1))
    scaled = scale[:, None] * matrix * scale
    start = np.stack([np.where(known, values, 0), known.astype(float)], axis=1)
    spread = start
    for _ in range(rounds):
        spread = alpha * scaled @ spread + (1 - alpha) * start
    return spread[:, 0] / spread[:, 1]


@pytest.mark.parametrize("matrix", [weighted().toarray(), nx.to_numpy_array(nx.star_graph(NODES - 1))])
def test_numbers_are_the_spread_mean(matrix):
    """At the hub of a star the spread sums are above 1."""
    values = np.random.default_rng(1).normal(3, 2, NODES)
    known = np.arange(NODES) % 5 > 0
    targets = torch.tensor(values, dtype=torch.float32)
    found = Spread(sp.csr_matrix(matrix), targets, 0.8, 0).fit(np.flatnonzero(known)[:, None], values[known])
    np.testing.assert_allclose(found.predict(np.arange(NODES)[:, None]), spread_mean(matrix, values, known, 0.8), 1e-4)


def test_numbers_that_nothing_reaches_are_the_mean():
    targets = torch.tensor([1.0, 2.0, 6.0, 0.0, 0.0])
    found = Spread(two_paths(), targets, 0.9, 0).fit(np.array([[0], [1], [2]]), targets[:3].numpy())
    assert found.predict(np.array([[3]])).tolist() == [3.0]


def test_directions_do_not_count(in_tmp):
    lines = [f"{i},{(i * 7 + 1) % NODES},{1 + i % 5}\n" for i in range(NODES)]
    (in_tmp / "edges.csv").write_text("a,b,w\n" + "".join(lines))
    (in_tmp / "nodes.csv").write_text("id,y\n" + "".join(f"{i},{'pqr'[i % 3]}\n" for i in range(NODES)))
    shares = []
    for directed in (False, True):
        data = GraphDataModule(edges="edges.csv", nodes="nodes.csv", target="y", weight="w", directed=directed)
        data.setup()
        rows, targets = ({part: data.arrays(part)[place] for part in ("train", "val", "test")} for place in (0, 1))
        model, numbers = next(spreading(data, rows, targets))
        shares.append(model.fit(numbers[rows["train"]], targets["train"]).predict_proba(numbers))
    np.testing.assert_allclose(*shares, rtol=1e-6)
