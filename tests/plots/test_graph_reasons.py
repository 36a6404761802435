"""Pictures of weights on edges."""

import numpy as np
import torch

from nnzoo.plots.graph_reasons import attention_graph, attention_grid, explanation_figure

EDGES = torch.tensor([[0, 1, 1, 2, 0], [1, 0, 2, 1, 0]])
WEIGHTS = torch.tensor([0.4, 0.1, 0.9, 0.2, 0.9])


def drawn(axis):
    """Ends of the halves of edges as points, by their colours; places of the nodes in order are not known."""
    _, halves, *_ = axis.collections
    return halves.get_segments(), halves.get_colors(), halves.get_linewidths()


def test_a_half_ends_at_the_target_in_the_colour_of_the_weight():
    labels = torch.tensor([0, 1, 1, 0])
    figure = attention_graph(torch.tensor([0, 1, 2]), EDGES, WEIGHTS, labels, ["a", "b"], "title")
    axis = figure.axes[0]
    _, _, rings, circles, star, *_ = axis.collections
    points = np.concatenate([star.get_offsets(), circles.get_offsets()])  # nodes 0, 1, 2
    segments, colors, widths = drawn(axis)
    order = [1, 3, 0, 2]  # light ones below
    assert len(segments) == 4
    for segment, edge in zip(segments, order, strict=True):
        source, target = points[EDGES[:, edge].numpy()]
        np.testing.assert_allclose(segment, [(source + target) / 2, target])
    assert (np.diff(widths) > 0).all()
    np.testing.assert_allclose(rings.get_offsets(), points[:1])
    np.testing.assert_allclose(rings.get_facecolors()[0], colors[-1], err_msg="both of weight 0.9")
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["the node", "a", "b"]
    assert figure.axes[-1].get_ylabel() == "attention"


def test_edges_to_nodes_that_are_not_shown_are_not():
    figure = attention_graph(torch.tensor([0, 1]), EDGES, WEIGHTS, torch.zeros(3), (), "title", "age")
    assert len(drawn(figure.axes[0])[0]) == 2
    assert {"age", "attention"} <= {axis.get_ylabel() for axis in figure.axes}


def test_graphs_side_by_side():
    points = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])
    graphs = [(EDGES, WEIGHTS, torch.rand(3), points), (EDGES[:, :2], WEIGHTS[:2], torch.rand(2), None)]
    figure = attention_grid(graphs, ["one", "two"], "title")
    assert [axis.get_title() for axis in figure.axes[:2]] == ["one", "two"]
    assert drawn(figure.axes[0])[0][-1].tolist() == [[1.5, 0], [2, 0]], "the heaviest, from 1 to 2"


def test_the_most_important_edges_and_features_are_shown():
    importance = torch.tensor([0.4, 0.0, 0.9, 0.2, 0.0])
    features = torch.tensor([0.1, 0.9, 0.5])
    shared = (features, ["x", "y", "z"], torch.zeros(9, dtype=torch.long), ["a"], "title")
    figure = explanation_figure(EDGES, importance, *shared, center=2, most=2, most_features=2)
    axis, bars = figure.axes[:2]
    assert len(drawn(axis)[0]) == 2
    assert sum(len(cloud.get_offsets()) for cloud in axis.collections[2:4]) == 3
    assert [label.get_text() for label in bars.get_yticklabels()] == ["y", "z"]
    np.testing.assert_allclose([bar.get_width() for bar in bars.patches], [0.9, 0.5])
    assert bars.yaxis_inverted(), "the first is on top"
    assert bars.get_title() == "the most important of 3 features"


def test_a_node_that_rests_on_no_edge_is_shown_alone(tmp_path):
    labels = torch.zeros(9, dtype=torch.long)
    figure = explanation_figure(EDGES, torch.zeros(5), torch.zeros(2), (), labels, ["a"], "title", center=4)
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["feature 0", "feature 1"]
    figure.savefig(tmp_path / "alone.png")
