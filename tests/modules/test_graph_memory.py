"""Training on a graph keeps nothing for each pair of nodes."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch_geometric.data import Data

from nnzoo import LinkPredictor, NodeClassifier
from nnzoo.data.graphs.dataset import NodeDataset
from nnzoo.data.graphs.graph import both_ways, target_order
from nnzoo.data.graphs.links import LinkDataset, StartDataset, adjacency_ones, split_links
from nnzoo.data.graphs.sampling import NeighborSampler
from nnzoo.data.sampler import BatchIndex
from nnzoo.nets import gnn_links
from nnzoo.nets.sparse_features import identity, sparse_where_worthwhile

NODES, EDGES = 2000, 4000
ALL_PAIRS = NODES**2  # bytes, if a pair took one only
pytestmark = pytest.mark.filterwarnings("ignore:.*")


class Largest(TorchDispatchMode):
    """Keeps the size of the largest memory that an operation's result lies in."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        found = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(found):
            if isinstance(leaf, torch.Tensor):
                parts = [leaf.values(), leaf.col_indices()] if leaf.layout == torch.sparse_csr else [leaf]
                self.bytes = max([self.bytes, *(part.untyped_storage().nbytes() for part in parts)])
        return found


def random_graph(x=None):
    torch.manual_seed(0)
    edges, _ = both_ways(torch.randint(NODES, (2, EDGES)))
    edges = edges[:, target_order(edges, NODES)]
    x = torch.randn(NODES, 8) if x is None else sparse_where_worthwhile(x)
    return Data(x=x, edge_index=edges, y=torch.arange(NODES) % 3)


def largest_in_a_step(module, dataset, count):
    index = BatchIndex(torch.arange(count), 0, slice(None), count)
    with Largest() as seen:
        module.contract_loss(dataset.__getitems__(index)).backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    return seen.bytes


@pytest.mark.parametrize("convolution", ["gcn", "gat", "gatv2", "sage", "gin", "transformer", "interaction"])
@pytest.mark.parametrize("sampled", [False, True])
def test_nodes(convolution, sampled):
    graph = random_graph()
    sampler = NeighborSampler(graph.edge_index, NODES, [5, 5]) if sampled else None
    head = "convolution" if convolution == "gcn" else "linear"
    module = NodeClassifier(num_features=8, num_classes=3, convolution=convolution, hidden=[8], head=head)
    assert largest_in_a_step(module, NodeDataset(graph, torch.arange(NODES), sampler), 50) < ALL_PAIRS


@pytest.mark.parametrize("convolution", ["gcn", "gat", "sage"])
@pytest.mark.parametrize("sampled", [False, True])
def test_nodes_without_features(convolution, sampled):
    """They have a column each."""
    graph = random_graph(identity(NODES))
    sampler = NeighborSampler(graph.edge_index, NODES, [5, 5]) if sampled else None
    module = NodeClassifier(num_features=NODES, num_classes=3, convolution=convolution, hidden=[8], dropout=0.5)
    assert largest_in_a_step(module, NodeDataset(graph, torch.arange(NODES), sampler), 50) < ALL_PAIRS


@pytest.mark.parametrize("decoder", ["inner_product", "mlp"])
def test_links_beside_drawn_pairs(decoder):
    graph = random_graph(identity(NODES))  # a column for each node
    split = split_links(graph.edge_index, NODES, 0.1, 0.1, 0, directed=False)
    module = LinkPredictor(num_features=NODES, hidden=[8], latent_dim=4, decoder=decoder)
    dataset = LinkDataset(graph, split.links["train"], split.free)
    assert largest_in_a_step(module, dataset, len(dataset)) < ALL_PAIRS


@pytest.mark.parametrize("decoder", ["inner_product", "mlp"])
def test_links_beside_all_pairs_hold_a_block_of_them(decoder, monkeypatch):
    graph = random_graph()
    graph.ones = adjacency_ones(graph.edge_index, NODES)
    module = LinkPredictor(num_features=8, hidden=[8], latent_dim=4, decoder=decoder)
    monkeypatch.setattr(gnn_links, "MAX_VALUES", 50 * NODES)
    assert largest_in_a_step(module, StartDataset(graph, NODES), NODES) < ALL_PAIRS
    monkeypatch.setattr(gnn_links, "MAX_VALUES", 8 * ALL_PAIRS)
    assert largest_in_a_step(module, StartDataset(graph, NODES), NODES) >= 4 * ALL_PAIRS, "what is looked for"
