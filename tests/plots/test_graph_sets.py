"""Pictures of several graphs."""

import torch
from torch_geometric.data import Batch, Data

from nnzoo.plots.graph_sets import MOST_NODES, graph_grid


def graphs(count, size=5, **more):
    edges = torch.tensor([[0, 1, 2, 2, 3], [1, 0, 1, 2, 4]])
    return Batch.from_data_list([Data(x=torch.rand(size, 2), edge_index=edges, **more) for _ in range(count)])


def test_each_graph_has_its_nodes_edges_and_title():
    figure = graph_grid(graphs(3), ["a", "b", "c"], [False, True, False], "some")
    axes = figure.axes
    assert [axis.get_title() for axis in axes] == ["a", "b", "c"]
    assert [axis.title.get_color() for axis in axes] == ["black", "tab:red", "black"]
    for axis in axes:
        lines, nodes = axis.collections
        assert len(lines.get_segments()) == 4, "both directions of one edge are one line"
        assert len(nodes.get_offsets()) == 5


def test_nodes_lie_where_they_are():
    pos = torch.rand(5, 3)
    (axis,) = graph_grid(graphs(1, pos=pos), ["a"], [False], "some").axes
    assert torch.allclose(torch.tensor(axis.collections[1].get_offsets()).float(), pos[:, :2])


def test_the_feature_that_varies_is_the_color():
    batch = graphs(2)
    batch.x[:, 0] = 3.0
    axis = graph_grid(batch, ["a", "b"], [False] * 2, "some").axes[1]
    assert torch.allclose(torch.tensor(axis.collections[1].get_array()).float(), batch.x[5:, 1])


def test_large_graphs_are_shown_in_part_and_many_not_at_all():
    figure = graph_grid(graphs(15, size=MOST_NODES + 50), list(map(str, range(15))), [False] * 15, "some")
    assert len(figure.axes) == 12
    assert len(figure.axes[0].collections[1].get_offsets()) == MOST_NODES
