"""Graph networks with deterministic algorithms alone give the same bits each time.

What PyG does on edges that are a tensor, and what PyTorch makes of it on a GPU under ``use_deterministic_algorithms``:

- Sums and means of all convolutions, readouts and norms, and those in the softmax of attention, are ``scatter_add_``.
  The gradient of what edges take of their ends is ``index_add_``, that of chosen nodes ``index_put_``; ``Interaction``
  adds up with ``index_add``. Without the flag these add by atomic operations, in the order in which threads come; with
  it PyTorch sorts by target (stably, by ``index_put_`` with accumulate) and adds in that order.
- Maxima are ``scatter_reduce_`` with amax, whose result does not depend on an order; PyTorch does not refuse them.
- Products with sparse features go row by row.

None takes the path over compressed rows (``segment``), which needs another kind of edges. On a CPU all of this is in
order anyway: what can be seen here is that no operation refuses, that none is among those which would on a GPU, and
that two passes are equal to the bit. ``tests/test_gpu.py`` compares whole runs on a GPU.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch_geometric.utils import erdos_renyi_graph

from nnzoo import GraphDataModule, LinkDataModule
from nnzoo.data.graphs.graph import target_order
from nnzoo.nets.gnn import GraphEncoder
from nnzoo.nets.gnn_graphs import GraphNet
from nnzoo.nets.graph_convolutions import CONVOLUTIONS
from nnzoo.nets.sparse_features import sparse_where_worthwhile

NODES = 60
REFUSED = ("scatter_reduce", "put_.", "bincount", "histc", "kthvalue", "median", "segment_reduce", "_segment_reduce")
"""Operations that PyTorch refuses on a GPU, or has no order for, unless they take a maximum or count whole numbers."""
pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.fixture(autouse=True)
def deterministic():
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


class Refused(TorchDispatchMode):
    """Keeps the operations on numbers with a fraction that would be refused on a GPU."""

    def __init__(self):
        super().__init__()
        self.seen, self.found = set(), set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func).removeprefix("aten.")
        self.seen.add(name)
        allowed = {"amax", "amin"} & {value for value in (*args, *(kwargs or {}).values()) if isinstance(value, str)}
        if name.startswith(REFUSED) and args[0].is_floating_point() and not allowed:
            self.found.add(name)
        return func(*args, **(kwargs or {}))


def three_graphs():
    torch.manual_seed(0)
    edges = torch.cat([erdos_renyi_graph(20, 0.3) + start for start in (0, 20, 40)], dim=1)
    edges = edges[:, target_order(edges, NODES)]
    return torch.randn(NODES, 8), edges, torch.arange(3).repeat_interleave(20)


def passes(build, *inputs):
    """Outputs and gradients of two passes from one seed."""
    found = []
    for _ in range(2):
        torch.manual_seed(1)
        net = build()
        with Refused() as watched:
            out = net(*inputs)
            out.square().sum().backward()
        assert not watched.found
        assert watched.seen
        found.append([out.detach(), *(parameter.grad for parameter in net.parameters() if parameter.grad is not None)])
    return found


def assert_same_bits(first, second):
    assert len(first) == len(second) > 1
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


@pytest.mark.parametrize("norm", ["batch", "graph"])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name, norm):
    x, edges, batch = three_graphs()
    settings = {"convolution": name, "norm": norm, "dropout": 0.2, "attention_dropout": 0.0}
    build = lambda: GraphEncoder(8, [16, 16], heads=1, virtual_node=True, **settings)  # noqa: E731
    assert_same_bits(*passes(build, x, edges, None, None, batch))


@pytest.mark.parametrize("name", [name for name, kind in CONVOLUTIONS.items() if kind.takes == "features"])
def test_convolutions_with_features_of_edges(name):
    x, edges, batch = three_graphs()
    build = lambda: GraphEncoder(8, [16, 16], convolution=name, edge_features=3)  # noqa: E731
    assert_same_bits(*passes(build, x, edges, torch.randn(edges.shape[1], 3), None, batch))


@pytest.mark.parametrize("readout", ["mean", "sum", "max", "attention"])
def test_readouts(readout):
    x, edges, batch = three_graphs()
    build = lambda: GraphNet(GraphEncoder(8, [16, 16], convolution="gin", jump="max"), 4, readout, 8)  # noqa: E731
    assert_same_bits(*passes(build, x, edges, batch, 3))


@pytest.mark.parametrize("name", ["gcn", "gat", "sage"])
def test_sparse_features(name):
    x, edges, _ = three_graphs()
    few = sparse_where_worthwhile(torch.cat([torch.zeros(NODES, 200), x * (x > 1)], dim=1))
    assert few.layout == torch.sparse_csr
    assert_same_bits(*passes(lambda: GraphEncoder(208, [16], convolution=name, dropout=0.5), few, edges))


@pytest.mark.parametrize("settings", [{}, {"num_neighbors": [4, 3]}, {"labels_per_class": 3, "num_neighbors": [2]}])
def test_the_edges_of_a_batch_lie_by_target(settings):
    """So that what is added up for a node lies together; gcn and gat put self-loops after them."""
    data = GraphDataModule(dataset="digits", batch_size=40, **settings)
    data.setup("fit")
    for _, batch in zip(range(3), data.train_dataloader(), strict=False):
        assert (batch.edge_index[1].diff() >= 0).all()
        assert batch.edge_index.shape[1] > 10


def test_the_edges_that_training_of_links_sees_lie_by_target():
    data = LinkDataModule(dataset="digits", batch_size=400)
    data.setup("fit")
    assert (next(iter(data.train_dataloader())).edge_index[1].diff() >= 0).all()
