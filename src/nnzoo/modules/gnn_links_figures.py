"""Pictures of graph autoencoders: scores, embeddings, and the missing links that they find."""

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from torch_geometric.data import Data

from nnzoo.modules.graph_figures import descriptors_of
from nnzoo.nets.gnn_links import strongest
from nnzoo.plots.graph_descriptors import MOST
from nnzoo.plots.graphs import around, linked_graph
from nnzoo.plots.latent import latent_space
from nnzoo.plots.links import score_histogram

MAX_PICTURED = 2**26
"""Pairs of which a picture shows the strongest; of more, those of every n-th node."""


def link_figures(module: Any, batch: Data, facts: Mapping[str, Any]) -> dict[str, Figure]:
    """Pictures by their names.

    Args:
        module: A :class:`nnzoo.modules.gnn_links.LinkPredictor`.
        batch: Held-out links, and as many pairs that are not linked.
        facts: What the datamodule knows.
    """
    codes = module.embed(batch)
    linked, unlinked = (module.scores(codes, pairs).cpu() for pairs in (batch.pairs, batch.unlinked))
    step = 1 + len(codes) ** 2 // MAX_PICTURED  # for graphs whose pairs would take long
    starts = torch.arange(0, len(codes), step, device=codes.device)
    hidden = facts.get("hidden_links", batch.pairs)
    most = min(100, hidden.shape[1])
    pairs, _ = strongest(module.decoder, codes, starts, batch.edge_index, most, module.hparams["directed"])
    classes, labels = facts.get("classes", ()), batch.y
    known = labels >= 0 if (labels >= 0).any() else slice(None)
    title = "embeddings of the nodes"
    graph = (batch.edge_index.cpu(), pairs.cpu(), hidden.cpu(), labels.cpu(), classes)
    seen = around(int(batch.pairs[0, 0]), batch.edge_index.cpu(), len(codes), MOST)
    return {
        "scores": score_histogram(linked, unlinked),
        "embeddings": latent_space(codes[known], labels[known].clamp(min=0), classes, title),
        "graph": linked_graph(*graph),
        "descriptors": descriptors_of(batch, seen, labels.cpu(), classes, "known links"),
    }
