"""Features of many graphs out of the columns of files, by statistics of those to train on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from scipy.spatial import cKDTree
from torch import Tensor

from nnzoo.data.csv_file import as_names, check_columns
from nnzoo.data.graphs.edge_files import arranged, weights_in
from nnzoo.data.graphs.files import Fitted, features_of
from nnzoo.data.graphs.graph_set import GraphSet
from nnzoo.data.graphs.graph_set_files import GraphTables
from nnzoo.errors import InputError


def graphs_of(tables: GraphTables, fitted: Fitted, settings: Mapping[str, Any], train: Tensor, prefix: str) -> GraphSet:
    """Graphs with their features as numbers, by statistics of those to train on, which ``fitted`` then holds.

    Args:
        tables: The files.
        fitted: What the training files fixed.
        settings: Of the datamodule.
        train: Numbers of the graphs to train on; all that matters is in ``fitted`` already where it holds statistics.
        prefix: Of the settings that name the files: "", or "predict_".
    """
    nodes_path, path = (str(settings[f"{prefix}{name}"] or "") for name in ("nodes", "edges"))
    chosen = torch.zeros(len(tables.sizes), dtype=torch.bool)
    chosen[train] = True
    of_node = chosen.repeat_interleave(tables.sizes)
    of_edge = of_node[tables.edge_index[0]]
    x = numbers_in(tables.nodes, fitted["nodes"], settings, of_node, nodes_path)
    of_edges = tables.edges.drop(columns=as_names(settings["weight"] or ()), errors="ignore")
    edge_attr = numbers_in(of_edges, fitted["edges"], settings, of_edge, path)
    edge_index, weight = tables.edge_index, None
    if settings["weight"] is not None:
        check_columns(tables.edges, [settings["weight"]], "--data.weight", path)
        weight = torch.tensor(weights_in(tables.edges[settings["weight"]], path), dtype=torch.float32)
    edge_index, edge_attr, weight = arranged(edge_index, edge_attr, weight, path, settings["directed"])
    named = {"x": x, "edge_attr": edge_attr, "edge_weight": weight}
    if settings["cutoff"] is not None and tables.points is not None:
        edge_index, named["edge_attr"] = within(tables.points, tables.sizes, settings["cutoff"])
    if tables.points is not None:
        named["pos"] = torch.tensor(tables.points, dtype=torch.float32)
    if x is None:
        named["x"], fitted["degrees"] = degrees(edge_index, of_node, fitted.get("degrees"))
    return GraphSet(tables.sizes, edge_index, {name: values for name, values in named.items() if values is not None})


def numbers_in(
    rows: pd.DataFrame, fitted: Fitted, settings: Mapping[str, Any], train: Tensor, path: str
) -> Tensor | None:
    """Columns as numbers, by statistics of the rows to train on; None if there are none that vary."""
    if "preprocessor" not in fitted:
        features_of(rows[train.numpy()], fitted, settings, path)
    return features_of(rows, fitted, settings, path)


def within(points: "np.ndarray[Any, Any]", sizes: Tensor, cutoff: float) -> tuple[Tensor, Tensor]:
    """Edges (2, E) between nodes of a graph that are near each other, and their length as a share of the cut-off."""
    starts = (sizes.cumsum(0) - sizes).tolist()
    parts = [near(points[s : s + n], cutoff) + s for s, n in zip(starts, sizes.tolist(), strict=True)]
    edges = torch.cat(parts, dim=1)
    if not edges.numel():
        raise InputError(f"No two nodes of a graph are within {cutoff} of each other: set a longer --data.cutoff.")
    lengths = np.linalg.norm(points[edges[0].numpy()] - points[edges[1].numpy()], axis=1) / cutoff
    return edges, torch.tensor(lengths, dtype=torch.float32)[:, None]


def degrees(edge_index: Tensor, train: Tensor, most: int | None) -> tuple[Tensor, int]:
    """A column (N, most + 1) for each number of edges into a node; more than in training count as the most there."""
    count = torch.bincount(edge_index[1], minlength=len(train))
    if most is None:
        most = int(count[train].max())
        rank_zero_info(f"The nodes have no features: they are told by the number of their edges, from 0 to {most}.")
    return torch.nn.functional.one_hot(count.clamp(max=most), most + 1).float(), most


def near(points: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", cutoff: float) -> Tensor:
    """Edges (2, E) in both directions between points (N, D) that are not farther from each other than ``cutoff``."""
    pairs = torch.from_numpy(cKDTree(points).query_pairs(cutoff, output_type="ndarray")).long()
    return torch.cat([pairs.T, pairs.flip(1).T], dim=1)
