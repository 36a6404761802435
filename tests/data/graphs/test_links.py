"""Splits of links, and pairs that are not linked."""

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.utils import erdos_renyi_graph

from nnzoo import InputError
from nnzoo.data.graphs.links import LinkDataset, UnlinkedPairs, adjacency_ones, pair_codes, split_links
from nnzoo.data.sampler import BatchIndex

NODES = 40


def graph(directed=False, seed=0):
    torch.manual_seed(seed)
    edges = erdos_renyi_graph(NODES, 0.15, directed=directed)
    return torch.cat([edges, torch.tensor([[3, 7, 7], [3, 7, 7]])], dim=1)  # self-loops, one of them twice


def split(edges, directed=False, seed=0, val=0.1, test=0.2):
    return split_links(edges, NODES, val, test, seed, directed)


def both(pairs):
    """Pairs and their mirror images."""
    return {tuple(pair) for pair in torch.cat([pairs, pairs.flip(0)], dim=1).T.tolist()}


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_sets_and_their_mirror_images_are_disjoint(directed, seed):
    """PyG #10706: (a, b) among validation and (b, a) among test negatives; DGL #5536: one direction in each part."""
    edges = graph(directed, seed)
    links, unlinked, kept, _ = split(edges, directed, seed)
    sets = [both(pairs) for pairs in (*links.values(), *unlinked.values())]
    assert sum(map(len, sets)) == len(set().union(*sets))
    known = both(edges)
    assert not any(pair in known for pairs in unlinked.values() for pair in both(pairs))
    assert not any(a == b for pairs in sets for a, b in pairs)
    hidden = both(links["val"]) | both(links["test"])
    assert not hidden & both(edges[:, kept]), "neither direction of a hidden link passes messages"
    assert both(edges[:, kept]) | hidden == known, "all others do, self-loops too"


@pytest.mark.parametrize("directed", [False, True])
def test_links_are_counted_once_and_compared_with_as_many(directed):
    """graph_star #7: links in both directions beside negatives in one, which lifts the average precision."""
    edges = graph(directed)
    links, unlinked, _, _ = split(edges, directed)
    for part in ("val", "test"):
        assert links[part].shape == unlinked[part].shape
    edges = edges[:, edges[0] != edges[1]]
    total = len({tuple(pair) for pair in edges.T.tolist()}) if directed else len(both(edges)) // 2
    assert sum(pairs.shape[1] for pairs in links.values()) == total
    if directed:
        assert {tuple(pair) for pairs in links.values() for pair in pairs.T.tolist()} == both(edges) & {
            tuple(pair) for pair in edges.T.tolist()
        }
    else:
        assert links["val"].shape[1] == round(0.1 * total)
        assert links["test"].shape[1] == round(0.2 * total)


def test_parallel_edges_share_a_part():
    edges = graph()
    links, _, kept, _ = split(torch.cat([edges, edges], dim=1))
    again, _, _, _ = split(edges)
    assert all(torch.equal(links[part], again[part]) for part in links)
    assert len(kept) % 2 == 0


def test_a_split_follows_from_its_seed_alone():
    edges = graph()
    first = split(edges)
    torch.manual_seed(5)
    second, other = split(edges[:, torch.randperm(edges.shape[1])]), split(edges, seed=1)
    for part in ("val", "test"):
        assert torch.equal(first.links[part], second.links[part])
        assert torch.equal(first.unlinked[part], second.unlinked[part])
        assert not torch.equal(first.links[part], other.links[part])
        assert not torch.equal(first.unlinked[part], other.unlinked[part])


def test_unlinked_pairs_of_training_may_be_hidden_links():
    """PyG #6946: left out, a pair that is never drawn would be known for a link."""
    links, _, _, free = split(graph())
    assert free.count == NODES * (NODES - 1) // 2 - links["train"].shape[1]
    drawn = free.draw(200_000, torch.Generator().manual_seed(0))
    assert both(links["val"]) | both(links["test"]) <= both(drawn)
    counts = pair_codes(drawn, NODES).bincount()
    counts = counts[counts > 0]
    assert len(counts) == free.count, "all pairs without a training edge"
    expected = 200_000 / free.count
    assert ((counts - expected) ** 2 / expected).sum() < free.count + 5 * (2 * free.count) ** 0.5, "equally often"


def test_unlinked_pairs_of_nearly_complete_graphs_are_found():
    whole = torch.combinations(torch.arange(30)).T
    known = pair_codes(whole[:, 3:], 30).sort().values
    free = UnlinkedPairs(30, known)
    assert free.count == 3
    drawn = free.draw_distinct(3, torch.Generator().manual_seed(0))
    assert both(drawn) == both(whole[:, :3])


def test_negatives_are_fresh_in_every_batch_and_shared_out_over_devices():
    edges = graph()
    links, _, _, free = split(edges)
    data = LinkDataset(Data(edge_index=edges), links["train"], free)
    samples = torch.arange(6)
    whole = data.__getitems__(BatchIndex(samples, 1, slice(None), 6))
    again = data.__getitems__(BatchIndex(samples, 1, slice(None), 6))
    other = data.__getitems__(BatchIndex(samples, 2, slice(None), 6))
    second = data.__getitems__(BatchIndex(samples[1::2], 1, slice(1, None, 2), 6))
    assert torch.equal(whole.unlinked, again.unlinked)
    assert not torch.equal(whole.unlinked, other.unlinked)
    assert torch.equal(second.unlinked, whole.unlinked[:, 1::2])
    assert torch.equal(second.pairs, whole.pairs[:, 1::2])


def test_ones_of_the_adjacency_matrix():
    edges = torch.tensor([[0, 1, 0, 2], [1, 0, 1, 2]])
    expected = torch.eye(4)
    expected[0, 1] = expected[1, 0] = 1
    found = torch.zeros(4, 4)
    ones = adjacency_ones(edges, 4)
    found[ones[0], ones[1]] += 1
    assert torch.equal(found, expected)
    assert ones.shape[1] == int(expected.sum())


LINE = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
WRONG = {
    "no edges": (torch.tensor([[1], [1]]), 0.1, r"no edges between different nodes"),
    "few": (LINE, 0.2, r"2 linked pairs of nodes leave none"),
    "none": (LINE, 0.0, r"2 linked pairs of nodes leave none"),
    "all": (LINE, 0.5, r"2 linked pairs of nodes leave none"),
    "dense": (torch.combinations(torch.arange(NODES)).T, 0.1, r"156 links are held out, and there are 0 pairs"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_split_is_named(name):
    """PyG #10590: a share of 0 leaves every edge in every part."""
    edges, share, message = WRONG[name]
    with pytest.raises(InputError, match=message):
        split_links(edges, NODES, share, share, 0, False)
