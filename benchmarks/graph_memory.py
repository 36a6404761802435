"""Memory of a training step on random graphs, one with 10 times as many nodes and edges as the other.

    python benchmarks/graph_memory.py
    python benchmarks/graph_memory.py --nodes 2000 --factors 1 10 50

Each step, forward and backward, runs in a process of its own; what counts is by how much its peak of resident memory
grows in the step. Nodes have 32 features and 8 edges on average; ``gnn`` is a GCN that classifies all of them, ``links
sampled`` a graph autoencoder that sees each link beside a drawn pair, ``links in blocks`` one whose loss goes over all
pairs of some nodes (``--data.negatives all``), block by block. Where memory is linear, MiB for 1,000 edges stay the
same; a matrix of all pairs in float32 is given to compare.

Measured on a CPU in MiB, with 5,000 nodes (40,000 edges) and with 50,000 (400,000): gnn 48 and 300, links sampled 20
and 231, links in blocks 48 and 273; the matrix would take 95 and 9,537. Blocks hold 16 MiB each, whatever the graph.
"""

import argparse
import resource
import subprocess
import sys

import torch
from torch_geometric.data import Data

from nnzoo import LinkPredictor, NodeClassifier
from nnzoo.data.graphs.dataset import NodeDataset
from nnzoo.data.graphs.graph import both_ways, target_order
from nnzoo.data.graphs.links import LinkDataset, StartDataset, adjacency_ones, split_links
from nnzoo.data.sampler import BatchIndex
from nnzoo.modules.base import ZooModule

FEATURES, DEGREE, STARTS = 32, 8, 1000
KINDS = ("gnn", "links sampled", "links in blocks")
Datasets = NodeDataset | LinkDataset | StartDataset


def random_graph(nodes: int) -> Data:
    """Edges between random pairs of nodes, in both directions."""
    torch.manual_seed(0)
    edges, _ = both_ways(torch.randint(nodes, (2, DEGREE * nodes // 2)))
    return Data(
        x=torch.randn(nodes, FEATURES),
        edge_index=edges[:, target_order(edges, nodes)].contiguous(),
        y=torch.arange(nodes) % 3,
    )


def task(kind: str, nodes: int) -> tuple[ZooModule, Datasets, int]:
    """A module, its samples, and how many of them are in a step."""
    graph = random_graph(nodes)
    if kind == "gnn":
        return NodeClassifier(num_features=FEATURES, num_classes=3), NodeDataset(graph, torch.arange(nodes)), nodes
    module = LinkPredictor(num_features=FEATURES)
    if kind == "links in blocks":
        graph.ones = adjacency_ones(graph.edge_index, nodes)
        return module, StartDataset(graph, nodes), STARTS
    split = split_links(graph.edge_index, nodes, 0.05, 0.1, 0, directed=False)
    dataset = LinkDataset(graph, split.links["train"], split.free)
    return module, dataset, len(dataset)


def peak() -> float:
    """The most memory that the process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def step(kind: str, nodes: int) -> float:
    """By how many MiB a step raises the peak; one on a small graph has loaded what any step needs."""
    for size in (200, nodes):
        module, dataset, count = task(kind, size)
        count = min(count, len(dataset))
        index = BatchIndex(torch.arange(count), 0, slice(None), count)
        before = peak()
        module.contract_loss(dataset.__getitems__(index)).backward()
    return peak() - before


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=5000, help="of the smallest graph")
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--one", nargs=2, metavar=("KIND", "NODES"), help="a single step, as the processes run it")
    args = parser.parse_args()
    if args.one:
        print(step(args.one[0], int(args.one[1])))
        return
    print(f"{'':16} {'nodes':>9} {'edges':>10} {'MiB':>8} {'per 1,000 edges':>16} {'all pairs, MiB':>16}")
    for kind in KINDS:
        for nodes in (args.nodes * factor for factor in args.factors):
            command = [sys.executable, __file__, "--one", kind, str(nodes)]
            found = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            edges, pairs = DEGREE * nodes, nodes**2 * 4 / 2**20
            share = 1000 * found / edges
            print(f"{kind:16} {nodes:9,} {edges:10,} {found:8.1f} {share:16.3f} {pairs:16,.0f}", flush=True)


if __name__ == "__main__":
    main()
