"""Graphs that were saved with PyG, read without running code of theirs."""

import pickle
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch_geometric.data import Data
from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
from torch_geometric.data.separate import separate
from torch_geometric.data.storage import GlobalStorage

from nnzoo.data.csv_file import check_file
from nnzoo.errors import InputError

HOLDERS: list[Any] = [Data, DataEdgeAttr, DataTensorAttr, GlobalStorage]
"""What graphs are made of besides tensors; it runs nothing."""


def read_saved(path: str | Path, option: str) -> Any:
    """What a file holds: tensors, and ``Data`` and lists, tuples and dicts of them.

    Args:
        path: By ``torch.save``.
        option: The flag ``--data.OPTION`` that names it, for errors.

    Raises:
        InputError: If there is something else in it, which could run code.
    """
    check_file(path, option)
    try:
        with torch.serialization.safe_globals(HOLDERS):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError) as error:
        raise InputError(
            f"{path} cannot be read without running code in it ({type(error).__name__}): save graphs by torch.save as "
            "torch_geometric.data.Data that holds tensors alone, or as a list of them."
        ) from error
    return list(_separate(found)) if isinstance(found, tuple) and len(found) >= 2 else found


def load_saved(path: str | Path, option: str) -> list[Data]:
    """The graphs of a file, with float32 features.

    Args:
        path: A list of ``Data`` by ``torch.save``, or what ``InMemoryDataset.save`` writes.
        option: The flag ``--data.OPTION`` that names it, for errors.

    Raises:
        InputError: If it holds something else, or graphs that do not go together.
    """
    graphs = read_saved(path, option)
    if not (isinstance(graphs, list) and graphs and all(isinstance(graph, Data) for graph in graphs)):
        raise InputError(f"{path} holds no list of torch_geometric.data.Data, nor an InMemoryDataset: save it so.")
    return [checked(graph, f"Graph {number} of {path}", graphs[0]) for number, graph in enumerate(graphs)]


def _separate(found: tuple[Any, ...]) -> list[Data]:
    """The graphs of an ``InMemoryDataset``, which are saved as one beside where each begins."""
    whole, slices = found[:2]
    whole = Data.from_dict(whole) if isinstance(whole, dict) else whole
    if slices is None:
        return [whole]
    count = len(slices["edge_index"]) - 1
    return [separate(cls=Data, batch=whole, idx=number, slice_dict=slices, decrement=False) for number in range(count)]


def checked(graph: Data, where: str, first: Data) -> Data:
    """One graph with what is used of it; raises InputError if it cannot be, or differs from the first."""
    nodes = graph.num_nodes or 0
    if not nodes:
        raise InputError(f"{where} has no nodes: leave it out.")
    if graph.edge_index is None or graph.edge_index.dim() != 2 or len(graph.edge_index) != 2:
        raise InputError(f"{where} has no edge_index (2, E): give it one, of no columns if it has no edges.")
    if graph.edge_index.is_floating_point():
        raise InputError(f"{where} has an edge_index of {graph.edge_index.dtype}: make it one of whole numbers.")
    ends = graph.edge_index.long()
    if len(wrong := ends[(ends < 0) | (ends >= nodes)]):
        raise InputError(f"{where} has {nodes} nodes, but an edge ends at node {int(wrong[0])}: renumber them.")
    kept: dict[str, Any] = {"edge_index": ends, "num_nodes": nodes}
    for name in ("x", "edge_attr", "edge_weight", "pos"):
        value, other = graph.get(name), first.get(name)
        if (value is None) != (other is None):
            raise InputError(f"{where} has {'no' if value is None else 'a'} {name}, unlike graph 0: make them alike.")
        if value is None:
            continue
        value = (value if value.layout == torch.strided else value.to_dense()).float()
        value = value.reshape(-1) if name == "edge_weight" or value.dim() < 2 else value.flatten(1)
        value = value if name == "edge_weight" or value.dim() == 2 else value[:, None]
        if name != "edge_weight" and value.shape[1] != other.reshape(len(other), -1).shape[1] and len(other):
            raise InputError(f"{where} has a {name} of another width than graph 0: make them alike.")
        if len(value) != (ends.shape[1] if name.startswith("edge") else nodes):
            raise InputError(f"{where} has a {name} of {len(value)} rows for {nodes} nodes, {ends.shape[1]} edges.")
        if not value.isfinite().all():
            raise InputError(f"{where} has NaN or infinite values in {name}: repair or remove it.")
        if name == "edge_weight" and (value < 0).any():
            raise InputError(f"{where} has a negative edge_weight: make it 0 or more, or save it as an edge_attr.")
        kept[name] = value
    return Data(**kept, y=graph.y)


def saved_targets(graphs: list[Data], path: str | Path) -> "pd.Series[Any]":
    """The target ``y`` of each graph: a number, whole for classes; missing where a graph has none."""
    values = []
    for number, graph in enumerate(graphs):
        if graph.y is not None and torch.as_tensor(graph.y).numel() != 1:
            shape = tuple(torch.as_tensor(graph.y).shape)
            raise InputError(f"Graph {number} of {path} has a target y of shape {shape}: save one number for each.")
        values.append(float("nan") if graph.y is None else torch.as_tensor(graph.y).item())
    target = pd.Series(values, name="y")
    if target.isna().all():
        raise InputError(f"No graph of {path} has a target y: add one to each that is to be learned from.")
    return target
