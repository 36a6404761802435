"""Baselines of links against networkx."""

import networkx as nx
import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from nnzoo import LinkBaselines, LinkDataModule
from nnzoo.baselines.links import (
    adamic_adar,
    areas,
    common_neighbours,
    inner_product,
    preferential_attachment,
    unit_rows,
)


@pytest.fixture(scope="module")
def club():
    """The karate club, and all its pairs that are not linked."""
    graph = nx.karate_club_graph()
    pairs = np.array(list(nx.non_edges(graph)))
    return graph, nx.to_scipy_sparse_array(graph, weight=None, format="csr"), pairs.T


INDICES = {
    common_neighbours: lambda graph, pairs: [len(list(nx.common_neighbors(graph, a, b))) for a, b in pairs],
    adamic_adar: lambda graph, pairs: [value for _, _, value in nx.adamic_adar_index(graph, pairs)],
    preferential_attachment: lambda graph, pairs: [value for _, _, value in nx.preferential_attachment(graph, pairs)],
}


@pytest.mark.parametrize("index", INDICES)
def test_indices_are_networkxs(index, club):
    graph, adjacency, pairs = club
    np.testing.assert_allclose(index(adjacency)(*pairs), INDICES[index](graph, pairs.T.tolist()))


def test_the_cosine_is_scikit_learns():
    features = np.random.default_rng(0).normal(size=(6, 3))
    features[2] = 0
    pairs = np.array([[0, 1, 2], [3, 4, 5]])
    expected = cosine_similarity(features)[pairs[0], pairs[1]]
    np.testing.assert_allclose(inner_product(unit_rows(features))(*pairs), expected)


def test_areas_of_a_perfect_and_of_a_useless_score():
    linked, unlinked = np.array([[0, 1], [1, 2]]), np.array([[0, 1], [3, 4]])
    assert areas(lambda first, second: -abs(first - second), linked, unlinked) == {
        "auroc": 1.0,
        "average_precision": 1.0,
    }
    assert areas(lambda first, second: 0 * first, linked, unlinked) == {"auroc": 0.5, "average_precision": 0.5}


def test_scores_come_from_the_training_graph_alone():
    data = LinkDataModule(dataset="digits", nearest=5)
    data.setup()
    found = LinkBaselines().scores(None, data)
    assert set(found) == {"common_neighbours", "adamic_adar", "preferential_attachment", "cosine", "spectral"}
    graph = nx.Graph(data.links.links["train"].T.tolist())
    graph.add_nodes_from(range(data.graph.num_nodes))
    scores = [[len(list(nx.common_neighbors(graph, a, b))) for a, b in pairs["test"].T.tolist()]
              for pairs in (data.links.links, data.links.unlinked)]  # fmt: skip
    wins = np.array(scores[0])[:, None] - np.array(scores[1])[None]
    assert found["common_neighbours"]["auroc"] == pytest.approx((wins > 0).mean() + (wins == 0).mean() / 2)
    assert found["spectral"]["nmi"] > 0.5
    assert found["cosine"]["auroc"] > 0.98
    without = LinkDataModule(dataset="digits", nearest=5, node_features="identity")
    without.setup()
    few = LinkBaselines(max_nodes=10).scores(None, without)
    assert set(few) == {"common_neighbours", "adamic_adar", "preferential_attachment"}
