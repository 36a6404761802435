"""Many graphs in memory: batches as PyG makes them, and digits as pixel graphs."""

import networkx as nx
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch_geometric.data import Batch, Data

from nnzoo import GraphSetDataModule, InputError
from nnzoo.data.graphs.graph_set import GraphSet
from nnzoo.data.sampler import BatchIndex


def graphs(count=6):
    generator = torch.Generator().manual_seed(0)
    made = []
    for size in torch.randint(1, 7, (count,), generator=generator).tolist():
        edges = torch.randint(size, (2, 2 * size), generator=generator)
        order = (edges[1] * size + edges[0]).argsort(stable=True)
        x = torch.randn(size, 2, generator=generator)
        edge_attr = torch.randn(2 * size, 3, generator=generator)
        made.append(
            Data(x=x, edge_index=edges[:, order], edge_attr=edge_attr, y=torch.randint(3, (), generator=generator))
        )
    return made


@pytest.mark.parametrize("chosen", [[0], [4, 1, 1], [5, 4, 3, 2, 1, 0]])
def test_a_batch_is_pygs_own(chosen):
    made = graphs()
    expected = Batch.from_data_list([made[number] for number in chosen])
    found = GraphSet.of_list(made).batch(torch.tensor(chosen), torch.stack([made[number].y for number in chosen]))
    for name in ("x", "edge_index", "edge_attr", "y", "batch", "ptr"):
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)
    assert found.num_graphs == len(chosen)


def test_edges_lie_by_target_with_what_they_carry():
    graph = Data(
        x=torch.zeros(3, 1), edge_index=torch.tensor([[2, 0, 1], [1, 2, 0]]), edge_attr=torch.arange(3.0)[:, None]
    )
    batch = GraphSet.of_list([graph]).batch(torch.tensor([0]), torch.zeros(1))
    assert batch.edge_index.tolist() == [[1, 2, 0], [0, 1, 2]]
    assert batch.edge_attr.flatten().tolist() == [2, 0, 1]


def test_graphs_of_one_node_and_without_edges():
    lonely = Data(x=torch.ones(1, 1), edge_index=torch.empty(2, 0, dtype=torch.long))
    pair = Data(x=torch.ones(2, 1), edge_index=torch.tensor([[0], [1]]))
    batch = GraphSet.of_list([lonely, pair, lonely]).batch(torch.tensor([2, 1, 0]), torch.zeros(3))
    assert batch.batch.tolist() == [0, 1, 1, 2]
    assert batch.edge_index.tolist() == [[1], [2]]


@pytest.mark.parametrize(
    ("sizes", "edges", "message"),
    [
        ([2, 0], [[0], [1]], "Graph 1 has no nodes"),
        ([2, 1], [[0], [2]], "from graph 0 to graph 1"),
        ([2, 1], [[0], [3]], "Edges end at nodes 0 to 3 of 3"),
    ],
)
def test_what_is_no_set_of_graphs(sizes, edges, message):
    with pytest.raises(InputError, match=message):
        GraphSet(torch.tensor(sizes), torch.tensor(edges), {"x": torch.zeros(sum(sizes), 1)})


def made(**settings):
    data = GraphSetDataModule(**settings)
    data.setup()
    return data


def test_digits_are_grids_of_pixels():
    data = made(dataset="digits")
    image = load_digits().images[7]
    batch = data.graph.batch(torch.tensor([7]), torch.zeros(1))
    np.testing.assert_allclose(batch.x[:, 0].reshape(8, 8), image / 16)
    np.testing.assert_allclose(batch.x[:, 1].reshape(8, 8)[3], 3 / 7, rtol=1e-6)
    np.testing.assert_allclose(batch.x[:, 2].reshape(8, 8)[:, 3], 3 / 7, rtol=1e-6)
    straight = nx.convert_node_labels_to_integers(nx.grid_2d_graph(8, 8), ordering="sorted")
    assert made(cutoff=1.0).graph.batch(torch.tensor([7]), torch.zeros(1)).num_edges == 2 * straight.number_of_edges()
    steps = (batch.edge_index // 8).diff(dim=0).abs(), (batch.edge_index % 8).diff(dim=0).abs()
    assert torch.stack(steps).max() == 1
    assert batch.num_edges == 2 * (2 * 7 * 8 + 2 * 7 * 7)


def test_parts_share_all_graphs_and_batches_hold_what_was_asked_for():
    data = made(dataset="digits", batch_size=10)
    samples = torch.cat([data.parts[part].samples for part in ("train", "val", "test")])
    assert sorted(samples.tolist()) == list(range(1797))
    batch = data.parts["train"].__getitems__(BatchIndex(torch.tensor([3, 0]), 0, slice(None), 2))
    assert batch.y.tolist() == data.parts["train"].labels[[3, 0]].tolist()
    assert (data.size_of(batch), len(next(iter(data.train_dataloader())).y)) == (2, 10)


def test_graphs_taken_out_of_a_batch_are_as_they_were():
    data = made(dataset="triangles", walk_steps=2)
    batch = next(iter(data.train_dataloader()))
    few = data.select(batch, slice(3, 5))
    whole = data.select(batch, slice(None))
    torch.testing.assert_close(whole.edge_index, batch.edge_index, rtol=0, atol=0)
    start, end = int(batch.ptr[3]), int(batch.ptr[5])
    torch.testing.assert_close(few.x, batch.x[start:end])
    torch.testing.assert_close(few.walks, batch.walks[start:end])
    assert few.y.tolist() == batch.y[3:5].tolist()
    assert few.edge_index.max() < few.num_nodes


def test_triangles_are_counted():
    data = made(dataset="triangles")
    for number in (0, 17):
        batch = data.graph.batch(torch.tensor([number]), torch.zeros(1))
        adjacency = torch.zeros(batch.num_nodes, batch.num_nodes)
        adjacency[batch.edge_index[0], batch.edge_index[1]] = 1
        assert torch.equal(adjacency, adjacency.T)
        assert data.target[number] == adjacency.matrix_power(3).trace() / 6
        assert torch.equal(batch.x.argmax(1).float(), adjacency.sum(0).clamp(max=batch.x.shape[1] - 1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cutoff": 0.0}, r"distance above 0, got 0.0"),
        ({"walk_steps": -1}, r"walk_steps is a number of 0 or more"),
        ({"predict_edges": __file__}, r"predict_edges needs --data.predict_nodes"),
        ({"predict_graphs": __file__}, r"predict_graphs needs --data.predict_nodes"),
        ({"nodes": __file__}, r"need --data.nodes FILE, --data.graph_id COLUMN"),
        ({"saved": "none.pt"}, r"no file none.pt"),
        ({"dataset": "digits", "graph_id": "g"}, r"graph_id does nothing with dataset digits"),
        ({"nodes": __file__, "graph_id": "g", "target": "y"}, r"give one of both"),
        ({"nodes": __file__, "graph_id": "g", "target": "y", "edges": __file__, "cutoff": 2.0}, r"give one of both"),
    ],
)
def test_settings_that_cannot_be_used(settings, message):
    with pytest.raises(InputError, match=message):
        GraphSetDataModule(**settings)
