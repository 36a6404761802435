"""Encodings of nodes against matrix powers and eigenvectors."""

import networkx as nx
import numpy as np
import pytest
import torch

from nnzoo.data.graphs.encodings import add_encodings, laplacian, walks
from nnzoo.data.graphs.graph_set import GraphSet


def test_walks_are_diagonals_of_powers():
    edges = torch.tensor([[0, 1, 1, 2, 2, 0, 0, 1], [1, 0, 2, 1, 0, 2, 1, 0]])  # 0 and 1 are linked twice
    adjacency = torch.zeros(4, 4).index_put((edges[0], edges[1]), torch.ones(8))
    step = adjacency / adjacency.sum(1, keepdim=True).clamp(min=1)
    expected = torch.stack([step.matrix_power(power).diagonal() for power in (1, 2, 3)], dim=1)
    torch.testing.assert_close(walks(edges, 4, 3), expected)
    assert walks(edges, 4, 3)[3].tolist() == [0, 0, 0], "nowhere to go"


def test_eigenvectors_are_those_of_the_laplacian():
    graph = nx.barbell_graph(4, 1)
    edges = torch.tensor(list(graph.edges)).T  # one direction only
    matrix = nx.normalized_laplacian_matrix(graph, nodelist=range(9)).toarray()
    found = laplacian(edges, 9, 3).double().numpy()
    values, _ = np.linalg.eigh(matrix)
    np.testing.assert_allclose(matrix @ found, found * values[1:4], atol=1e-6)
    np.testing.assert_allclose((found**2).sum(0), 1, atol=1e-6)


def test_signs_do_not_depend_on_the_order_of_nodes_where_the_graph_has_no_symmetry():
    graph = nx.lollipop_graph(4, 3)
    edges, order = torch.tensor(list(graph.edges)).T, torch.randperm(7, generator=torch.Generator().manual_seed(1))
    found = laplacian(edges, 7, 2)
    assert (found.pow(3).sum(0) > 0).all()
    torch.testing.assert_close(laplacian(order.argsort()[edges], 7, 2), found[order], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("graph", "alone"), [(nx.path_graph(9), True), (nx.cycle_graph(9), False)])
def test_of_symmetric_graphs_the_order_of_nodes_decides(graph, alone):
    """A stated limit: a path keeps its vector up to the sign, a ring the plane of a pair of vectors alone."""
    edges, generator = torch.tensor(list(graph.edges)).T, torch.Generator().manual_seed(1)
    first = laplacian(edges, 9, 2)
    changes, turned = [], []
    for _ in range(8):
        order = torch.randperm(9, generator=generator)
        found, expected = laplacian(order.argsort()[edges], 9, 2), first[order]
        torch.testing.assert_close(found @ found.T, expected @ expected.T, atol=1e-5, rtol=1e-4)
        changes.append(float((found - expected).abs().max()))
        turned.append(float(torch.minimum((found - expected).abs(), (found + expected).abs()).max()))
    assert max(changes) > 0.1
    assert (max(turned) < 1e-5) == alone


def test_small_graphs_have_zeros_and_no_generator_is_touched():
    sizes, edges = torch.tensor([1, 2]), torch.tensor([[1, 2], [2, 1]])
    graphs = GraphSet(sizes, edges, {"x": torch.zeros(3, 1)})
    before = torch.random.get_rng_state()
    state = np.random.get_state()[1].copy()  # noqa: NPY002 - the one that SciPy would draw from
    add_encodings(graphs, 2, 3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert graphs.tensors["walks"].tolist() == [[0, 0], [0, 1], [0, 1]]
    found = graphs.tensors["eigenvectors"]
    assert found.shape == (3, 3)
    assert not found[:, 1:].any()
    assert found[1:, 0].abs().tolist() == [torch.tensor(0.5).sqrt()] * 2
