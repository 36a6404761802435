"""Graphs in files of the user's own: a table of nodes and a table of edges between their ids."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor

from nnzoo.data.columns import Format, Formats, formats_of, read_columns, warn_of_new, without_counter
from nnzoo.data.csv_file import as_names, check_columns, line_of, read_csv
from nnzoo.data.graphs.edge_files import (
    arranged,
    edge_columns,
    edges_between,
    ends_of,
    read_edge_table,
    weights_in,
    with_ids_first,
)
from nnzoo.data.graphs.graph import Graph
from nnzoo.data.tables.preprocessor import Preprocessor
from nnzoo.errors import InputError
from nnzoo.nets.sparse_features import identity

Fitted = dict[str, Any]
"""What the training files fix: formats and statistics of the columns of nodes and of edges, as plain values."""


def read_graph(
    settings: Mapping[str, Any], nodes_path: str | None, edges_path: str, fitted: Fitted | None
) -> tuple[Graph, Fitted]:
    """The graph of a table of nodes and a table of edges.

    The first column of nodes holds their ids, and the first two of edges, or those that ``ends`` names, the ids of both
    ends; ids are texts. Other columns are features: numbers are standardised, texts become a column for each category,
    by statistics of all nodes and edges of the training files. The target may be missing of some nodes, or of all where
    none is named; without a table of nodes these are the ends of the edges.

    Args:
        settings: Of the datamodule.
        nodes_path: Table of nodes; None for the ends of the edges.
        edges_path: Table of edges.
        fitted: What the training files fixed; None for these themselves.

    Raises:
        InputError: If a file or column is missing, an id stands twice, or an edge ends at no node.
    """
    training = fitted is None
    options = ("nodes", "edges") if training else ("predict_nodes", "predict_edges")
    name, drop = settings["target"], as_names(settings["drop"])
    table = read_edge_table(edges_path, options[1], settings["ends"])
    ends = edge_columns(table, settings["ends"], edges_path)
    written = ends_of(table, ends, edges_path) if nodes_path is None else read_csv(nodes_path, options[0])
    nodes_path = edges_path if nodes_path is None else nodes_path
    written = with_ids_first(written, table[ends], nodes_path, name)
    if training:
        for column in drop:
            check_columns(written if column in written else table, [column], "--data.drop", nodes_path)
        check_columns(written, as_names(name or ()), "--data.target", nodes_path)
    key = str(written.columns[0])
    if key == name:
        raise InputError(f"The first column of {nodes_path} holds ids of nodes, but it is the target {name}: move it.")
    ids = written[key]
    check_ids(ids, nodes_path)
    edge_index = edges_between(table, ends, ids, edges_path, nodes_path)
    frame = written.drop(columns=[key, *drop], errors="ignore")
    rest = table.drop(columns=[*ends, *drop], errors="ignore")
    if fitted is None:
        rest = without_counter(rest, edges_path, {settings["weight"]})
        fitted = {"nodes": fit_formats(frame, nodes_path, settings), "edges": fit_formats(rest, edges_path, settings)}
    features, target = read_nodes(frame, nodes_path, name, fitted, settings)
    edge_attr, weight = read_edges(rest, edges_path, fitted, settings)
    x = identity(len(ids)) if features is None else features
    if features is None and training:
        rank_zero_info(
            f"{nodes_path} has no features of nodes: each node is known by a column of its own, so that such "
            "a model can predict the nodes of this graph only."
        )
    edge_index, edge_attr, weight = arranged(edge_index, edge_attr, weight, edges_path, settings["directed"])
    graph = Graph(x, edge_index, target, ["train"] * len(ids), edge_attr, weight, written.reset_index(drop=True))
    return graph, fitted


def fit_formats(frame: pd.DataFrame, path: str, settings: Mapping[str, Any]) -> Fitted:
    """Formats of the columns of one of the training files."""
    texts = {column for column in as_names(settings["categorical"]) if column in frame}
    if settings["task"] == "classification":
        texts.update(as_names(settings["target"] or ()))
    return {"formats": {column: known.plain() for column, known in formats_of(frame, path, texts).items()}}


def formats_in(fitted: Fitted) -> Formats:
    """Formats out of plain values."""
    return {column: Format.from_plain(values) for column, values in fitted["formats"].items()}


def read_nodes(
    frame: pd.DataFrame, path: str, name: str | None, fitted: Fitted, settings: Mapping[str, Any]
) -> tuple[Tensor | None, "pd.Series[Any]"]:
    """Features (N, F) of the nodes, None if there are no columns for them, and their target."""
    formats = formats_in(fitted["nodes"])
    known = formats if name in frame else {column: format for column, format in formats.items() if column != name}
    rows = read_columns(frame, known, path)
    target = rows[name] if name in rows else pd.Series(np.nan, rows.index, name=name)
    return features_of(
        rows.drop(columns=as_names(name or ()), errors="ignore"), fitted["nodes"], settings, path
    ), target


def read_edges(
    frame: pd.DataFrame, path: str, fitted: Fitted, settings: Mapping[str, Any]
) -> tuple[Tensor | None, Tensor | None]:
    """Features (E, D) of the edges and their weights (E,), None where there are no columns for them."""
    rows = read_columns(frame, formats_in(fitted["edges"]), path)
    name, weight = settings["weight"], None
    if name is not None:
        check_columns(rows, [name], "--data.weight", path)
        weight = torch.tensor(weights_in(rows[name], path), dtype=torch.float32)
    return features_of(rows.drop(columns=as_names(name or ())), fitted["edges"], settings, path), weight


def features_of(rows: pd.DataFrame, fitted: Fitted, settings: Mapping[str, Any], path: str) -> Tensor | None:
    """Columns as numbers: standardised ones, and a column for each category; None if none tells anything."""
    if "preprocessor" not in fitted:
        categorical = [column for column in as_names(settings["categorical"]) if column in rows]
        found = Preprocessor.fit(rows, categorical, required=False)
        fitted["preprocessor"] = found.plain() if found.numeric or found.categories else None
    if fitted["preprocessor"] is None:
        return None
    known = Preprocessor(**fitted["preprocessor"])
    for column, names in known.categories.items():
        warn_of_new(rows[column], names, path)
    columns = known(rows)
    # Code 0, a category that training does not have, is a row of zeros.
    coded = [np.eye(count + 1, dtype=np.float32)[codes][:, 1:]
             for count, codes in zip(known.cardinalities, columns.categories.T, strict=True)]  # fmt: skip
    return torch.from_numpy(np.concatenate([columns.numeric, *coded], axis=1))


def column_names(fitted: Fitted) -> list[str]:
    """Names of the features that :func:`features_of` makes of columns; none where it makes none."""
    if fitted.get("preprocessor") is None:
        return []
    known = Preprocessor(**fitted["preprocessor"])
    gaps = [f"{known.numeric[number]} missing" for number in known.indicators]
    categories = [f"{column}: {name}" for column, names in known.categories.items() for name in names]
    return [*known.numeric, *gaps, *categories]


def check_ids(ids: "pd.Series[str]", path: str) -> None:
    """Raises InputError if an id is missing or stands twice."""
    if (ids == "").any():
        raise InputError(f"{path}, line {line_of(ids == '')}: the node has no {ids.name}: give it one.")
    if ids.duplicated().any():
        twice = ids.duplicated()
        raise InputError(
            f"{path}, line {line_of(twice)}: there are several nodes {ids[twice].iloc[0]}: the first column holds ids."
        )
