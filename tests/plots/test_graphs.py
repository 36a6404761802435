"""Pictures of graphs."""

import numpy as np
import torch

from nnzoo.plots.graphs import around, classified_graph, linked_graph

EDGES = torch.tensor([[0, 1, 2, 3, 5], [1, 2, 3, 4, 6]])


def test_nodes_come_nearest_first():
    assert around(2, EDGES, 7).tolist()[0] == 2
    assert set(around(2, EDGES, 7, most=3).tolist()) == {2, 1, 3}
    assert set(around(5, EDGES, 7).tolist()) == {5, 6}, "what cannot be reached is not shown"


def test_colours_are_true_classes_and_rings_mistakes():
    labels, wrong = torch.tensor([0, 0, 1, 1, -1, 0, 0]), torch.tensor([0, 1, 0, 0, 0, 1, 0], dtype=torch.bool)
    figure = classified_graph(torch.arange(5), EDGES, labels, wrong, ["yes", "no"], "title")
    (axis,) = figure.axes
    lines, *clouds = axis.collections
    counts = {cloud.get_label(): len(cloud.get_offsets()) for cloud in clouds}
    assert counts == {"not known": 1, "yes": 2, "no": 2, "mistake": 1}
    places = {cloud.get_label(): np.asarray(cloud.get_offsets()) for cloud in clouds}
    assert any(np.array_equal(places["mistake"][0], place) for place in places["yes"]), "node 1"
    assert len(lines.get_segments()) == 4, "edges between shown nodes"
    ends = {tuple(point) for segment in lines.get_segments() for point in segment}
    assert ends == {tuple(point) for name in ("not known", "yes", "no") for point in places[name]}


def test_the_strongest_links_are_shown_beside_a_hub():
    """And its neighbours do not take the places of those of others."""
    hub = torch.stack([torch.zeros(200, dtype=torch.long), torch.arange(1, 201)])
    edges = torch.cat([hub, torch.tensor([[300, 301], [303, 304]])], dim=1)
    predicted = torch.tensor([[0, 301, 300], [300, 302, 301]])
    figure = linked_graph(edges, predicted, predicted[:, 1:2], torch.zeros(305, dtype=torch.long), ["paper"], most=20)
    (axis,) = figure.axes
    assert axis.get_title() == "20 of 305 nodes; among them 3 of the 3 strongest links"
    names = {
        lines.get_label(): len(lines.get_segments()) for lines in axis.collections if hasattr(lines, "get_segments")
    }
    assert names["hidden link found"] == 1
    assert names["not in the graph"] == 2
