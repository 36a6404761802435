"""What must be true of a graph, and of how it is drawn, for a graph neural network to learn from it."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor, nn
from torch_geometric.data import Data

from nnzoo.errors import InputError
from nnzoo.nets.graph_convolutions import CONVOLUTIONS, Convolution
from nnzoo.nets.graph_explanation import count_rounds

MUCH = 2**30
"""Bytes of dense features that are worth a warning."""


def warn_of_data(module: Any, data: Any) -> None:
    """Warns of what data know of edges and the convolution does not see, and of sparse features that it makes dense."""
    name, graph = module.hparams["convolution"], getattr(data, "graph", None)
    pagerank = module.hparams.get("propagation") == "pagerank"
    for held, kind in {"edge_weight": "weight", "edge_attr": "features"}.items():
        if getattr(graph, held, None) is not None and CONVOLUTIONS[name].takes != kind:
            able = ", ".join(known for known, convolution in CONVOLUTIONS.items() if convolution.takes == kind)
            what = "weights" if kind == "weight" else "features"
            later = ", which the propagation after it does" if kind == "weight" and pagerank else ""
            rank_zero_warn(f"{name} does not see the {what} of the edges{later}; {able} would.")
    if getattr(data, "known_by_number", False) and not CONVOLUTIONS[name].sparse and 4 * data.num_features**2 > MUCH:
        able = ", ".join(known for known, convolution in CONVOLUTIONS.items() if convolution.sparse)
        rank_zero_warn(
            f"Each of {data.num_features:,} nodes has a column of its own, of which {name} makes a dense matrix of "
            f"{4 * data.num_features**2 / 2**30:.1f} GiB; {able} would not."
        )


def check_rounds(net: nn.Module, convolution: str, pagerank: bool, num_neighbors: Sequence[int]) -> None:
    """Raises InputError if a network's outputs rest on more than the neighbourhoods that training draws.

    Args:
        net: With layers of PyG's MessagePassing.
        convolution: Its name.
        pagerank: Whether outputs go through personalised PageRank.
        num_neighbors: How many neighbours are drawn for each round of messages; none for the whole graph.
    """
    if not num_neighbors:
        return
    if pagerank:
        raise InputError(
            "Personalised PageRank goes over the whole graph, and training would see a part: leave out "
            "--data.num_neighbors, or set --model.propagation none."
        )
    if CONVOLUTIONS[convolution].whole:
        raise InputError(
            f"{convolution} attends to all nodes of the graph, and training would see a part: leave out "
            "--data.num_neighbors, or set another --model.convolution."
        )
    rounds = count_rounds(net)
    if len(num_neighbors) < rounds:
        enough = [*num_neighbors, *[num_neighbors[-1]] * (rounds - len(num_neighbors))]
        raise InputError(
            f"The network has {rounds} rounds of messages, and neighbours are drawn for {len(num_neighbors)}: set "
            f"--data.num_neighbors to a number for each, such as {enough}."
        )


def check_graph(module: Any, batch: Data) -> None:
    """Raises InputError if a module cannot use a graph's edges or features."""
    hparams, nodes, ends = module.hparams, len(batch.x), batch.edge_index
    if batch.x.dim() != 2 or batch.x.shape[1] != hparams["num_features"]:
        raise InputError(f"The model takes {hparams['num_features']} features of a node, got {tuple(batch.x.shape)}.")
    values = batch.x.values() if batch.x.layout == torch.sparse_csr else batch.x
    if not values.isfinite().all():
        raise InputError("Some features of nodes are NaN or infinite: repair or remove them.")
    if ends.numel() and not 0 <= int(ends.min()) <= int(ends.max()) < nodes:
        raise InputError(
            f"Edges end at nodes {int(ends.min())} to {int(ends.max())}, but the {nodes} nodes have numbers from 0 to "
            f"{nodes - 1}: renumber them."
        )
    check_edges(batch, CONVOLUTIONS[hparams["convolution"]], hparams["num_edge_features"])
    if CONVOLUTIONS[hparams["convolution"]].loops or hparams.get("propagation") == "pagerank":
        own = ends[0, ends[0] == ends[1]]
        if len(own) > len(own.unique()):
            raise InputError(
                f"Node {int(own.mode().values)} has several edges to itself, of which no more than one would be seen: "
                "make them one, such as by torch_geometric.utils.coalesce, which adds them up."
            )


def check_spread(module: nn.Module, batch: Data) -> None:
    """Raises InputError if batch norm is to learn from a single node."""
    if batch.num_nodes == 1 and any(isinstance(part, nn.BatchNorm1d) for part in module.modules()):
        raise InputError(
            "A batch of a single node has no spread, by which batch norm (in every layer of gin and gps) divides in "
            "training: put more into a batch, --data.batch_size, or leave such graphs out."
        )


def check_edges(batch: Data, convolution: Convolution, num_edge_features: int) -> None:
    """Raises InputError if weights or features of edges are not such as a convolution takes."""
    ends, attr, weight = batch.edge_index, batch.edge_attr, batch.edge_weight
    count = ends.shape[1]
    if convolution.takes == "features":
        shape = None if attr is None else tuple(attr.shape)
        if shape != (None if num_edge_features == 0 else (count, num_edge_features)):
            raise InputError(
                f"The model takes {num_edge_features} features of an edge, got edge_attr {shape} for {count} edges: "
                "give it edges as in training, or set num_edge_features."
            )
        if attr is not None and not attr.isfinite().all():
            raise InputError("Some features of edges are NaN or infinite: repair or remove them.")
    if weight is not None and (weight.shape != (count,) or not ((weight >= 0) & weight.isfinite()).all()):
        raise InputError(
            f"A weight of an edge is a number of 0 or more, one for each of {count} edges, got edge_weight of shape "
            f"{tuple(weight.shape)}{_range(weight)}: repair it, or give it as a feature, edge_attr."
        )


def _range(values: Tensor) -> str:
    """The least and the greatest value; NaN if there is one."""
    return f" from {float(values.min()):.4g} to {float(values.max()):.4g}" if values.numel() else ""


def check_pairs(batch: Data) -> None:
    """Raises InputError if a batch has neither pairs nor starts, or pairs of nodes that it does not have."""
    if "pairs" not in batch and "starts" not in batch:
        raise InputError(
            "The batch says nothing of links: set batch.pairs and batch.unlinked to the numbers of nodes (2, B) that "
            "are linked and not, as nnzoo.LinkDataModule does."
        )
    nodes = len(batch.x)
    for name in ("pairs", "unlinked"):
        numbers = batch[name] if name in batch else torch.zeros(0)
        if numbers.numel() and not 0 <= int(numbers.min()) <= int(numbers.max()) < nodes:
            raise InputError(f"The {name} name nodes up to {int(numbers.max())}, but the {nodes} nodes go from 0.")
