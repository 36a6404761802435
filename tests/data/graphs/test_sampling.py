"""Drawn neighbourhoods."""

import pytest
import torch
from torch_geometric.data import Data

from nnzoo.data.graphs.graph import target_order
from nnzoo.data.graphs.sampling import NeighborSampler, subgraph


def graph(nodes=60, edges=600):
    generator = torch.Generator().manual_seed(0)
    ends = torch.randint(nodes, (2, edges), generator=generator)
    ends = ends[:, target_order(ends, nodes)]
    return Data(x=torch.randn(nodes, 3), edge_index=ends, y=torch.arange(nodes), edge_weight=torch.arange(600.0))


@pytest.mark.parametrize("counts", [[3], [3, 2], [1000, 1000]])
def test_each_reached_node_has_as_many_neighbours_as_asked_for_or_all(counts):
    data = graph()
    sampler, seeds = NeighborSampler(data.edge_index, 60, counts), torch.tensor([5, 17, 2])
    nodes, edges = sampler(seeds, seed=1)
    assert torch.equal(nodes[:3], seeds)
    assert len(nodes.unique()) == len(nodes)
    assert len(edges.unique()) == len(edges), "drawn without replacement"
    degrees = torch.bincount(data.edge_index[1], minlength=60)
    drawn = torch.bincount(data.edge_index[1, edges], minlength=60)
    assert torch.equal(drawn[seeds], degrees[seeds].clamp(max=counts[0]))
    assert torch.isin(data.edge_index[:, edges], nodes).all()


def test_draws_are_even_and_follow_from_the_seed():
    data = graph()
    sampler = NeighborSampler(data.edge_index, 60, [2])
    node = int(torch.bincount(data.edge_index[1], minlength=60).argmax())
    counts = torch.zeros(600)
    for seed in range(3000):
        counts[sampler(torch.tensor([node]), seed)[1]] += 1
    into = counts[data.edge_index[1] == node]
    expected = 2 * 3000 / len(into)
    assert (into - expected).abs().max() < 5 * expected**0.5
    again = [sampler(torch.tensor([node]), 7)[1] for _ in range(2)]
    assert torch.equal(*again)


def test_a_part_of_a_graph_keeps_what_belongs_to_nodes_and_edges():
    data = graph()
    nodes, edges = NeighborSampler(data.edge_index, 60, [4, 4])(torch.tensor([3, 9]), 0)
    part = subgraph(data, nodes, edges)
    assert torch.equal(part.x, data.x[nodes])
    assert torch.equal(part.y, nodes)
    assert torch.equal(part.y[part.edge_index], data.edge_index[:, edges])
    assert torch.equal(part.edge_weight, edges.float())


def test_a_part_of_sparse_features_stays_sparse():
    data = graph()
    data.x = torch.randn(60, 40) * (torch.rand(60, 40) < 0.05)  # some rows are empty
    nodes, edges = NeighborSampler(data.edge_index, 60, [4, 4])(torch.tensor([3, 9]), 0)
    expected = data.x[nodes]
    data.x = data.x.to_sparse_csr()
    part = subgraph(data, nodes, edges)
    assert part.x.layout == torch.sparse_csr
    assert torch.equal(part.x.to_dense(), expected)
    assert hasattr(part.x, "by_column")
