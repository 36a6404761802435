"""A graph of the user's own that was saved with PyG, whose nodes are the samples."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor
from torch_geometric.data import Data

from nnzoo.data.graphs.graph import Graph
from nnzoo.data.graphs.graph_source import GraphSource
from nnzoo.data.graphs.saved import checked, read_saved
from nnzoo.data.splits import PARTS
from nnzoo.data.tables.target import Task, task_of
from nnzoo.errors import InputError
from nnzoo.nets.sparse_features import identity


class Saved(GraphSource):
    """A ``torch_geometric.data.Data``, or the dict of its tensors, by ``torch.save``.

    Taken as they are: ``edge_index``, ``x``, ``edge_attr`` and ``edge_weight``. ``y`` is the target: whole numbers are
    classes, of which -1 is unknown; others are regressed on, of which NaN is unknown. ``train_mask``, ``val_mask`` and
    ``test_mask`` give the parts; nodes in none of them are in no part, and a part without a mask is drawn from train.
    """

    name = "saved"
    uses: ClassVar[Sequence[str]] = ("saved", "task", "test_fraction", "labels_per_class", "predict_saved")
    needs_target = True
    """Whether there is nothing to learn without ``y``."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if not settings["saved"]:
            raise InputError("--data.dataset saved needs --data.saved FILE.")

    def load(self) -> Graph:
        """The graph of the file, its nodes by their numbers."""
        path = self.settings["saved"]
        data, graph = self._read("saved")
        self.fitted = edges_of(data)
        if (data.x is None) and self.needs_target:
            rank_zero_info(
                f"{path} has no features x of nodes: each node is known by a column of its own, so that such a model "
                "can predict the nodes of this graph only."
            )
        if alone := without_opposite(data.edge_index, len(graph.x)):
            rank_zero_info(
                f"{path}: {alone:,} of {data.num_edges:,} edges have no opposite, and pass messages in their direction "
                "only; if the graph has none, save it after torch_geometric.transforms.ToUndirected()."
            )
        known = graph.target.dropna()
        if graph.task == "regression" and self.settings["task"] == "auto" and task_of(known) == "classification":
            rank_zero_info(
                f"{path}: y holds {known.nunique()} whole numbers as floats, which are regressed on; for classes "
                "set --data.task classification or save them as integers."
            )
        if self.needs_target and graph.task is None:
            raise InputError(f"{path} has no target y of the nodes: add one, -1 or NaN where nothing is known.")
        return graph

    def load_new(self) -> Graph:
        """The graph of ``predict_saved``, of which the target and the masks do not matter."""
        data, graph = self._read("predict_saved")
        if self.fitted is not None and edges_of(data) != self.fitted:
            raise InputError(
                f"{self.settings['predict_saved']} has edges of other features or weights than the graph that training "
                "had: give them the same edge_attr and edge_weight."
            )
        return graph

    def _read(self, option: str) -> tuple[Data, Graph]:
        path, training = self.settings[option], option == "saved"
        found = one_graph(read_saved(path, option), path)
        nodes = nodes_of(found)
        found.num_nodes = nodes
        data = checked(found, path, found)
        if data.x is not None and not data.x.shape[1]:
            data.x = None
        x = identity(nodes) if data.x is None else data.x
        target, task = target_of(found.y if training else None, nodes, path)
        official = parts_of(found, target, path) if training and task else ["train"] * nodes
        if self.settings["labels_per_class"] is not None and set(official) != {"train"}:
            raise InputError(f"{path} has masks, which say what is trained on: leave out --data.labels_per_class.")
        return data, Graph(x, data.edge_index, target, official, data.edge_attr, data.edge_weight, task=task)


def one_graph(found: Any, path: str) -> Data:
    """The only graph of what a file holds; raises InputError if it holds none, or several."""
    if isinstance(found, list) and len(found) > 1 and all(isinstance(graph, Data) for graph in found):
        raise InputError(f"{path} holds {len(found)} graphs: save one of them, or learn from all with gnn_graphs.")
    found = found[0] if isinstance(found, list) and len(found) == 1 else found
    if isinstance(found, dict) and isinstance(found.get("edge_index"), Tensor):
        found = Data.from_dict(found)
    if not isinstance(found, Data):
        raise InputError(f"{path} holds no torch_geometric.data.Data, nor a dict with edge_index: save the graph so.")
    for name in ("x", "y", "edge_index", "edge_attr", "edge_weight", *(f"{part}_mask" for part in PARTS)):
        if found.get(name) is not None and not isinstance(found[name], Tensor):
            raise InputError(f"{path} has {name} of the type {type(found[name]).__name__}: save it as a tensor.")
    return found


def nodes_of(graph: Data) -> int:
    """Number of nodes; PyG would count them by the edges where there is no x, and miss the last ones without any."""
    if graph.x is not None:
        return len(graph.x)
    if "num_nodes" in graph or graph.y is None or not graph.y.dim():
        return int(graph.num_nodes or 0)
    return len(graph.y)


def edges_of(data: Data) -> dict[str, Any]:
    """What edges have besides their ends, as plain values."""
    width = None if data.edge_attr is None else data.edge_attr.shape[1]
    return {"edge_attr": width, "edge_weight": data.edge_weight is not None}


def target_of(y: Tensor | None, nodes: int, path: str) -> "tuple[pd.Series[Any], Task | None]":
    """The target of each node, NaN where it is unknown, and what it is for; nothing of it if ``y`` is None."""
    if y is None:
        return pd.Series(np.full(nodes, np.nan), name="y"), None
    shape = tuple(y.shape)
    if len(shape) == 2 and shape[1] > 1 and shape[0] == nodes and ((y == 0) | (y == 1)).all() and (y.sum(1) == 1).all():
        raise InputError(f"{path} has a one-hot y of shape {shape}: save the number of each class, y.argmax(1).")
    if shape not in {(nodes,), (nodes, 1)}:
        raise InputError(f"{path} has a y of shape {shape} for {nodes} nodes: save one number for each node.")
    whole, numbers = not y.is_floating_point(), y.reshape(-1).double()
    if whole and (numbers < -1).any():
        raise InputError(f"{path} has the class {int(numbers.min())} in y: classes are numbers from 0, or -1, unknown.")
    if numbers.isinf().any():
        raise InputError(f"{path} has an infinite y: make it NaN where nothing is known.")
    if whole:
        numbers[numbers == -1] = torch.nan
    if numbers.isnan().all():
        raise InputError(f"{path} knows y of no node: it is -1 or NaN everywhere.")
    return pd.Series(numbers.numpy(), name="y"), "classification" if whole else "regression"


def parts_of(graph: Data, target: "pd.Series[Any]", path: str) -> list[str]:
    """The part that the masks give each node: "train" if there are no masks, "" where none holds."""
    known, nodes = torch.tensor(target.notna().to_numpy()), len(target)
    masks: dict[str, Tensor] = {}
    for part in PARTS:
        name, mask = f"{part}_mask", graph.get(f"{part}_mask")
        if mask is None:
            continue
        if mask.dim() == 2 and len(mask) == nodes and mask.shape[1] > 1:
            raise InputError(f"{path} has {mask.shape[1]} splits in {name}: save one of them, such as {name}[:, 0].")
        if mask.dtype != torch.bool or mask.numel() != nodes:
            raise InputError(
                f"{path} has a {name} of {mask.dtype} and shape {tuple(mask.shape)}: save a truth value for each of "
                f"its {nodes} nodes."
            )
        masks[part] = mask.reshape(-1)
        if not (masks[part] & known).any():
            raise InputError(f"{path} has a {name} without any node whose y is known: leave it out, or mark some.")
    if not masks:
        return ["train"] * nodes
    if "train" not in masks:
        raise InputError(f"{path} has a {next(iter(masks))}_mask but no train_mask: save that, too.")
    count = torch.stack(list(masks.values())).sum(0)
    if (count > 1).any():
        node = int((count > 1).nonzero()[0])
        both = " and ".join(f"{part}_mask" for part, mask in masks.items() if mask[node])
        raise InputError(f"{path} has node {node} in {both}: leave it in one of them.")
    official = np.full(nodes, "", dtype=object)
    for part, mask in masks.items():
        official[mask.numpy()] = part
    return official.tolist()


def without_opposite(edge_index: Tensor, num_nodes: int) -> int:
    """How many edges (2, E) have none in the opposite direction, of those that do not end where they start."""
    codes, turned = (ends[0] * num_nodes + ends[1] for ends in (edge_index, edge_index.flip(0)))
    return int((~torch.isin(codes, turned)).sum())
