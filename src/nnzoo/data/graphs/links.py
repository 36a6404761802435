"""Links of a graph as samples: which are hidden, and pairs that are not linked to tell them from."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import Data

from nnzoo.data.sampler import BatchIndex
from nnzoo.errors import InputError

AT_LEAST = 4096
"""Pairs that are drawn at once, so that the last free ones of a dense graph are found soon."""


def pair_codes(pairs: Tensor, num_nodes: int) -> Tensor:
    """One number for each pair (2, P), the same for (a, b) and (b, a)."""
    return pairs.min(dim=0).values * num_nodes + pairs.max(dim=0).values


def among(codes: Tensor, known: Tensor) -> Tensor:
    """Which codes are among sorted ones, as booleans."""
    if not len(known):
        return torch.zeros(len(codes), dtype=torch.bool)
    return known[torch.searchsorted(known, codes).clamp(max=len(known) - 1)] == codes


class UnlinkedPairs:
    """Draws pairs of two different nodes that no known edge links, in either direction.

    PyG's sampler draws from global generators, and looks at one direction of the edges that it is given.

    Args:
        num_nodes: Number of nodes.
        known: Codes of the pairs that are linked, see :func:`pair_codes`, sorted.
    """

    def __init__(self, num_nodes: int, known: Tensor) -> None:
        self.num_nodes, self.known = num_nodes, known

    @property
    def count(self) -> int:
        """How many there are, a pair and its reverse being one."""
        return self.num_nodes * (self.num_nodes - 1) // 2 - len(self.known)

    def _some(self, least: int, generator: torch.Generator) -> Tensor:
        size = max(2 * least, AT_LEAST)
        first = torch.randint(self.num_nodes, (size,), generator=generator)
        second = torch.randint(self.num_nodes - 1, (size,), generator=generator)
        pairs = torch.stack([first, second + (second >= first)])
        return pairs[:, ~among(pair_codes(pairs, self.num_nodes), self.known)]

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """So many pairs (2, count), each as probable as any other, with replacement."""
        drawn = torch.empty(2, 0, dtype=torch.int64)
        while drawn.shape[1] < count:
            drawn = torch.cat([drawn, self._some(count - drawn.shape[1], generator)], dim=1)
        return drawn[:, :count]

    def draw_distinct(self, count: int, generator: torch.Generator) -> Tensor:
        """So many pairs (2, count), no two of the same nodes."""
        drawn = torch.empty(2, 0, dtype=torch.int64)
        while drawn.shape[1] < count:
            drawn = torch.cat([drawn, self._some(count - drawn.shape[1], generator)], dim=1)
            # Each where it came first, so that no pair is more probable than another.
            order = pair_codes(drawn, self.num_nodes).argsort(stable=True)
            codes = pair_codes(drawn, self.num_nodes)[order]
            first = torch.ones(len(codes), dtype=torch.bool)
            first[1:] = codes[1:] != codes[:-1]
            drawn = drawn[:, order[first].sort().values]
        return drawn[:, :count]


class LinkSplit(NamedTuple):
    """Links and pairs of the parts train, val and test.

    Attributes:
        links: Linked pairs (2, P) of each part, an undirected one once.
        unlinked: As many pairs (2, P) for val and test that are linked in no part.
        edges: Numbers of the edges that pass messages in training, self-loops among them (E',).
        free: What draws pairs that training does not know to be linked: hidden links may be among them, as whoever
            trains cannot know.
    """

    links: dict[str, Tensor]
    unlinked: dict[str, Tensor]
    edges: Tensor
    free: UnlinkedPairs


def split_links(
    edge_index: Tensor, num_nodes: int, val_fraction: float, test_fraction: float, seed: int, directed: bool
) -> LinkSplit:
    """Splits the pairs of linked nodes at random: all edges between two nodes, of both directions, share a part.

    Args:
        edge_index: Edges (2, E), both directions of undirected ones. Self-loops are in no part.
        num_nodes: Number of nodes.
        val_fraction: Share of the pairs for validation.
        test_fraction: Share of the pairs for the test.
        seed: Of the split and of the pairs that are not linked.
        directed: Whether (a, b) and (b, a) are different links.

    Raises:
        InputError: If there are too few edges, or too few pairs without one.
    """
    generator = torch.Generator().manual_seed(seed)
    codes, loops = pair_codes(edge_index, num_nodes), edge_index[0] == edge_index[1]
    pairs = codes[~loops].unique()
    if not len(pairs):
        raise InputError("The graph has no edges between different nodes: there are no links to learn.")
    sizes = {"val": round(val_fraction * len(pairs)), "test": round(test_fraction * len(pairs))}
    if not all(sizes.values()) or sum(sizes.values()) >= len(pairs):
        raise InputError(
            f"{len(pairs)} linked pairs of nodes leave none for one of training, validation and test: add edges, or "
            "set larger --data.val_fraction and --data.test_fraction."
        )
    drawn = pairs[torch.randperm(len(pairs), generator=generator)]
    pieces = drawn.split([sizes["val"], sizes["test"], len(pairs) - sum(sizes.values())])
    parts = {part: piece.sort().values for part, piece in zip(("val", "test", "train"), pieces, strict=True)}
    links = {part: _links_in(chosen, edge_index, codes, num_nodes, directed) for part, chosen in parts.items()}
    counts = {part: links[part].shape[1] for part in sizes}
    everywhere = UnlinkedPairs(num_nodes, pairs)
    if everywhere.count < sum(counts.values()):
        raise InputError(
            f"{sum(counts.values())} links are held out, and there are {everywhere.count} pairs without an edge to "
            "tell them from: the graph is too dense for that; set smaller --data.val_fraction and --data.test_fraction."
        )
    unlinked = everywhere.draw_distinct(sum(counts.values()), generator)
    if not directed:
        unlinked = unlinked.sort(dim=0).values
    shares = dict(zip(counts, unlinked.split(list(counts.values()), dim=1), strict=True))
    edges = (loops | among(codes, parts["train"])).nonzero()[:, 0]
    return LinkSplit(links, shares, edges, UnlinkedPairs(num_nodes, parts["train"]))


def _links_in(chosen: Tensor, edge_index: Tensor, codes: Tensor, num_nodes: int, directed: bool) -> Tensor:
    """The links between pairs of nodes whose sorted codes are given."""
    if not directed:
        return torch.stack([chosen // num_nodes, chosen % num_nodes])
    edges = edge_index[:, among(codes, chosen) & (edge_index[0] != edge_index[1])]
    ordered = (edges[0] * num_nodes + edges[1]).unique()
    return torch.stack([ordered // num_nodes, ordered % num_nodes])


class LinkDataset(Dataset[Data]):
    """Linked pairs as samples, each beside one that is not linked: ``pairs`` (2, B) and ``unlinked`` (2, B) of a batch.

    Args:
        graph: What passes messages.
        pairs: Linked pairs (2, P), or any to score.
        unlinked: As many fixed ones, what draws them afresh for every batch, or None.
    """

    def __init__(self, graph: Data, pairs: Tensor, unlinked: Tensor | UnlinkedPairs | None) -> None:
        self.graph, self.pairs, self.unlinked = graph, pairs, unlinked

    def __len__(self) -> int:
        return self.pairs.shape[1]

    def __getitems__(self, batch: BatchIndex) -> Data:
        chosen = self.graph.__copy__()
        chosen.pairs = self.pairs[:, batch.samples]
        if isinstance(self.unlinked, UnlinkedPairs):
            # Drawn for the whole global batch, so that they do not depend on the number of devices.
            generator = torch.Generator().manual_seed(batch.seed)
            chosen.unlinked = self.unlinked.draw(batch.size, generator)[:, batch.rows]
        elif self.unlinked is not None:
            chosen.unlinked = self.unlinked[:, batch.samples]
        return chosen


class StartDataset(Dataset[Data]):
    """Nodes as samples, each with its pairs with all nodes: ``starts`` (B,) of a batch.

    Args:
        graph: What passes messages.
        num_nodes: Number of nodes.
    """

    def __init__(self, graph: Data, num_nodes: int) -> None:
        self.graph, self.num_nodes = graph, num_nodes

    def __len__(self) -> int:
        return self.num_nodes

    def __getitems__(self, batch: BatchIndex) -> Data:
        chosen = self.graph.__copy__()
        chosen.starts = batch.samples
        return chosen


def adjacency_ones(edge_index: Tensor, num_nodes: int) -> Tensor:
    """Where the adjacency matrix with self-loops, A + I, is 1 (2, M): parallel edges once."""
    loops = torch.arange(num_nodes) * (num_nodes + 1)
    codes = torch.cat([edge_index[0] * num_nodes + edge_index[1], loops]).unique()
    return torch.stack([codes // num_nodes, codes % num_nodes])
