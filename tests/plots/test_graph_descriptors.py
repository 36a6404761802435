"""Matrices and central nodes of graphs against closed forms."""

import numpy as np
import pytest
import torch

from nnzoo.plots.graph_descriptors import descriptor_figure, descriptors

PATH = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
STAR = torch.tensor([[0, 0, 0, 0], [1, 2, 3, 4]])
COMPLETE = torch.combinations(torch.arange(5)).T


def test_a_path():
    found = descriptors(PATH, 5)
    where = np.arange(5)
    np.testing.assert_array_equal(found.adjacency, abs(where[:, None] - where) == 1)
    np.testing.assert_array_equal(found.degrees, np.diag([1, 2, 2, 2, 1]))
    np.testing.assert_array_equal(found.distances, abs(where[:, None] - where))
    np.testing.assert_allclose(found.proximity[0], 1 / np.arange(1, 6))
    # Through node i go i (4 - i) of the 6 pairs of others.
    np.testing.assert_allclose(found.betweenness, where * (4 - where) / 6)
    eigenvalues = np.linalg.eigvalsh(found.laplacian)
    np.testing.assert_allclose(eigenvalues, 2 - 2 * np.cos(np.pi * where / 5), atol=1e-9)


def test_a_star():
    found = descriptors(STAR, 5)
    np.testing.assert_array_equal(found.degrees, np.diag([4, 1, 1, 1, 1]))
    np.testing.assert_array_equal(found.laplacian[0], [4, -1, -1, -1, -1])
    np.testing.assert_array_equal(found.distances[1], [1, 0, 2, 2, 2])
    np.testing.assert_array_equal(found.betweenness, [1, 0, 0, 0, 0])
    np.testing.assert_allclose(np.linalg.eigvalsh(found.laplacian), [0, 1, 1, 1, 5], atol=1e-9)


def test_a_complete_graph():
    found = descriptors(COMPLETE, 5)
    np.testing.assert_array_equal(found.laplacian, 5 * np.eye(5) - 1)
    np.testing.assert_array_equal(found.proximity, (1 + np.eye(5)) / 2)
    np.testing.assert_array_equal(found.betweenness, np.zeros(5))


def test_both_directions_of_an_edge_are_one_and_of_parallel_ones_the_heaviest_counts():
    edges, weight = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 2]]), torch.tensor([0.5, 2.0, 3.0, 7.0])
    found = descriptors(edges, 3, weight)
    np.testing.assert_array_equal(found.adjacency, [[0, 2, 0], [2, 0, 3], [0, 3, 7]])
    np.testing.assert_array_equal(found.degrees, np.diag([2, 5, 10]))
    np.testing.assert_array_equal(found.laplacian, [[2, -2, 0], [-2, 5, -3], [0, -3, 3]])
    np.testing.assert_array_equal(found.laplacian, found.degrees - found.adjacency)


def test_what_no_way_leads_to_is_not_near():
    found = descriptors(torch.tensor([[0], [1]]), 3)
    assert found.distances[0, 2] == np.inf
    assert found.proximity[0, 2] == 0
    assert not found.laplacian[2].any()


def test_rows_of_matrices_are_sorted_by_class():
    classes = torch.tensor([1, 0, 1, 0, -1])
    figure = descriptor_figure(STAR, classes, ["a", "b"], "title")
    panels = {axis.get_title(): axis for axis in figure.axes}
    order = [4, 1, 3, 0, 2]  # not known, a, a, b, b
    found = descriptors(STAR, 5)
    for name, matrix in (
        ("adjacency matrix A", found.adjacency),
        ("degree matrix D", found.degrees),
        ("Laplacian L = D − A", found.laplacian),  # noqa: RUF001
        ("proximity 1 / (1 + edges between)", found.proximity),
    ):
        np.testing.assert_array_equal(panels[name].images[0].get_array(), matrix[order][:, order])
    bars = panels["betweenness centrality"].patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], found.betweenness[order])
    # a bar of its class beside each row and above each column
    expected = [bar.get_facecolor() for bar in bars]
    assert len(set(expected)) == 3
    for beside in panels["adjacency matrix A"].collections:
        assert [tuple(color) for color in beside.get_facecolors()] == expected
    legend = panels["the graph; size: betweenness"].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["not known", "a", "b"]


@pytest.mark.parametrize("values", [torch.tensor([3.0, 1.0, 2.0, torch.nan]), torch.full((4,), torch.nan)])
def test_nodes_with_numbers_are_sorted_by_them(values):
    figure = descriptor_figure(torch.tensor([[0, 0], [1, 2]]), values, (), "title", value_name="age")
    panels = {axis.get_title(): axis for axis in figure.axes}
    found = descriptors(torch.tensor([[0, 0], [1, 2]]), 4)
    order = [1, 2, 0, 3] if values.isfinite().any() else [0, 1, 2, 3]
    shown = panels["adjacency matrix A"].images[0].get_array()
    np.testing.assert_array_equal(shown, found.adjacency[order][:, order])
    assert any(axis.get_ylabel() == "age" for axis in figure.axes)


def test_a_graph_without_edges_can_be_drawn(tmp_path):
    none = torch.empty(2, 0, dtype=torch.long)
    descriptor_figure(none, torch.tensor([0]), ["a"], "title").savefig(tmp_path / "one.png")
    assert descriptors(none, 2).laplacian.tolist() == [[0, 0], [0, 0]]
