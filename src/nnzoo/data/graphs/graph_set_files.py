"""Many graphs in files of the user's own: tables of nodes, of edges and of graphs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor

from nnzoo.data.columns import formats_of, read_columns, without_counter
from nnzoo.data.csv_file import as_names, check_columns, line_of, read_csv
from nnzoo.data.graphs.edge_files import edge_columns, edges_between, read_edge_table
from nnzoo.data.graphs.files import Fitted, fit_formats, formats_in
from nnzoo.errors import InputError

Paths = Mapping[str, str | None]
"""Files of ``nodes``, ``edges`` and ``graphs``; those that are not given are None."""


@dataclass
class GraphTables:
    """Nodes, edges and graphs as their files have them, nodes in the order of their graphs.

    Attributes:
        written: The graphs: a column of ids, and what else is written of them.
        target: What is known of each graph (G,).
        sizes: Nodes of each graph (G,).
        nodes: Columns of features of the nodes (N rows).
        edges: Columns of features of the edges (E rows).
        edge_index: Edges (2, E), by numbers of nodes in the whole file.
        points: Positions of the nodes (N, D).
    """

    written: pd.DataFrame
    target: "pd.Series[Any]"
    sizes: Tensor
    nodes: pd.DataFrame
    edges: pd.DataFrame
    edge_index: Tensor
    points: "np.ndarray[Any, Any] | None"


class GraphFiles:
    """Tables of nodes, edges and graphs, as the texts that stand in them.

    Args:
        settings: Of the datamodule.
        paths: The files.
        training: Whether these are the files to train on, which decide.
    """

    def __init__(self, settings: Mapping[str, Any], paths: Paths, training: bool) -> None:
        self.settings, self.key, self.name = settings, settings["graph_id"], settings["target"]
        self.nodes_path, self.edges_path, self.graphs_path = (
            str(paths[name] or "") for name in ("nodes", "edges", "graphs")
        )
        prefix = "" if training else "predict_"
        self.nodes = read_csv(self.nodes_path, f"{prefix}nodes")
        self.edges = pd.DataFrame()
        if self.edges_path:
            self.edges = read_edge_table(self.edges_path, f"{prefix}edges", settings["ends"])
        self.graphs = read_csv(self.graphs_path, f"{prefix}graphs") if self.graphs_path else None
        check_columns(self.nodes, [self.key], "--data.graph_id", self.nodes_path)
        self.nodes = without_counter(self.nodes, self.nodes_path, {self.key, self.name})
        if self.graphs is not None:
            self.graphs = without_counter(self.graphs, self.graphs_path, {self.key, self.name})
        self.drop = as_names(settings["drop"])
        if training:
            for column in self.drop:
                tables = (self.nodes, self.edges, self.graphs)
                table = next((t for t in tables if t is not None and column in t), self.nodes)
                check_columns(table, [column], "--data.drop", self.nodes_path)
            holder, path = (self.nodes, self.nodes_path) if self.graphs is None else (self.graphs, self.graphs_path)
            check_columns(holder, [self.name], "--data.target", path)
        others = [str(column) for column in self.nodes if column not in (self.key, self.name)]
        if not others:
            raise InputError(f"{self.nodes_path} has no column of ids of nodes beside {self.key}: add one.")
        self.node_id = others[0]

    def listed(self) -> tuple[pd.DataFrame, "pd.Series[Any]"]:
        """The graphs as they are written, a row for each, and the text of the target, empty where there is none."""
        key, name = self.key, self.name
        if self.graphs is not None:
            check_columns(self.graphs, [key], "--data.graph_id", self.graphs_path)
            check_ids(self.graphs[key], self.graphs_path, "graph")
            target = self.graphs[name] if name in self.graphs else pd.Series("", self.graphs.index, name=name)
            return self.graphs, target
        if (self.nodes[key] == "").any():
            raise InputError(
                f"{self.nodes_path}, line {line_of(self.nodes[key] == '')}: the node has no {key}: give it one."
            )
        first = self.nodes.drop_duplicates(key)
        if name not in self.nodes:
            return first[[key]], pd.Series("", first.index, name=name)
        known = pd.Series(first[name].to_numpy(), first[key])
        other = self.nodes[name] != known[self.nodes[key]].to_numpy()
        if other.any():
            row = self.nodes[other].iloc[0]
            raise InputError(
                f"{self.nodes_path}, line {line_of(other)}: {name} is {row[name]!r}, but {known[row[key]]!r} at the "
                f"first node of the graph {row[key]}: a graph has one target; write it into --data.graphs FILE."
            )
        return first[[key, name]], first[name]

    def sorted_nodes(self, ids: "pd.Index[Any]") -> tuple[pd.DataFrame, "np.ndarray[Any, Any]"]:
        """The nodes in the order of their graphs, and the number of the graph of each."""
        graph = ids.get_indexer(self.nodes[self.key])
        unknown = pd.Series(graph < 0, self.nodes.index)
        if unknown.any():
            raise InputError(
                f"{self.nodes_path}, line {line_of(unknown)}: the graph {self.nodes[self.key][unknown].iloc[0]!r} is "
                f"not in {self.graphs_path}: add a row there, with an empty {self.name} if it is not known."
            )
        empty = np.bincount(graph, minlength=len(ids)) == 0
        if empty.any():
            others = f" (nor have {empty.sum() - 1} others)" if empty.sum() > 1 else ""
            raise InputError(
                f"The graph {ids[empty][0]} of {self.graphs_path} has no nodes in {self.nodes_path}{others}: add "
                "nodes, or remove it."
            )
        order = np.argsort(graph, kind="stable")
        nodes = self.nodes.iloc[order]
        missing, twice = nodes[self.node_id] == "", nodes.duplicated([self.key, self.node_id])
        if missing.any():
            raise InputError(
                f"{self.nodes_path}, line {line_of(missing)}: the node has no {self.node_id}: give it one."
            )
        if twice.any():
            row = nodes[twice].iloc[0]
            raise InputError(
                f"{self.nodes_path}, line {line_of(twice)}: the graph {row[self.key]} has several nodes "
                f"{row[self.node_id]}: the first column but {self.key}, {self.node_id}, holds their ids."
            )
        return nodes, graph[order]

    def edge_numbers(self, nodes: pd.DataFrame) -> tuple[Tensor, pd.DataFrame]:
        """Edges (2, E) by the numbers of sorted nodes, and their other columns."""
        if not self.edges_path:
            return torch.empty(2, 0, dtype=torch.long), self.edges
        edges, key, path = self.edges, self.key, self.edges_path
        ends = edge_columns(edges.drop(columns=key, errors="ignore"), self.settings["ends"], path)
        rest = edges.drop(columns={key, self.name, *ends, *self.drop}, errors="ignore")
        rest = without_counter(rest, path, {self.settings["weight"]})
        if key not in edges:
            again = nodes[self.node_id].duplicated()
            if again.any():
                raise InputError(
                    f"{path} has no column {key}, and the node {nodes[self.node_id][again].iloc[0]!r} stands in "
                    f"several graphs of {self.nodes_path}: add the column, so that it is known which one is meant."
                )
            found = edges_between(edges, ends, nodes[self.node_id], path, self.nodes_path)
            self._check_within(edges, nodes, found)
            return found, rest
        known = pd.MultiIndex.from_frame(nodes[[key, self.node_id]])
        numbers = []
        for end in ends:
            found_there = known.get_indexer(pd.MultiIndex.from_frame(edges[[key, end]]))
            unknown = pd.Series(found_there < 0, edges.index)
            if unknown.any():
                row = edges[unknown].iloc[0]
                raise InputError(
                    f"{path}, line {line_of(unknown)}: the graph {row[key]!r} has no node with the id {row[end]!r} "
                    f"({unknown.sum()} edges end at none): add a row to {self.nodes_path}, or remove the edge."
                )
            numbers.append(torch.from_numpy(found_there))
        return torch.stack(numbers), rest

    def _check_within(self, edges: pd.DataFrame, nodes: pd.DataFrame, ends: Tensor) -> None:
        """Raises InputError if an edge goes from one graph to another."""
        graphs = [nodes[self.key].to_numpy()[numbers.numpy()] for numbers in ends]
        across = pd.Series(graphs[0] != graphs[1], edges.index)
        if across.any():
            first = int(across.to_numpy().argmax())
            raise InputError(
                f"{self.edges_path}, line {line_of(across)}: the edge goes from the graph {graphs[0][first]} to the "
                f"graph {graphs[1][first]}: its ends must lie in one graph."
            )


def check_ids(ids: "pd.Series[str]", path: str, what: str) -> None:
    """Raises InputError if an id is missing or stands twice."""
    if (ids == "").any():
        raise InputError(f"{path}, line {line_of(ids == '')}: the {what} has no {ids.name}: give it one.")
    twice = ids.duplicated()
    if twice.any():
        raise InputError(f"{path}, line {line_of(twice)}: there are several rows of the {what} {ids[twice].iloc[0]}.")


def read_tables(settings: Mapping[str, Any], paths: Paths, fitted: Fitted | None) -> tuple[GraphTables, Fitted]:
    """Graphs in files, where ``graph_id`` is the column of each file that says which graph a row belongs to.

    The first other column of nodes holds their ids, which may stand again in other graphs. The target is a column of
    graphs, or, where there is no such file, of nodes, with one value in each graph.

    Args:
        settings: Of the datamodule.
        paths: The files.
        fitted: What the training files fixed; None for these themselves.

    Raises:
        InputError: If a file or column is missing, an id stands twice, an edge ends at no node of its graph, a graph
            has no nodes, or the files contradict each other.
    """
    files = GraphFiles(settings, paths, fitted is None)
    written, texts = files.listed()
    nodes, graph = files.sorted_nodes(pd.Index(written[files.key]))
    edge_index, edges = files.edge_numbers(nodes)
    positions = as_names(settings["positions"])
    features = nodes.drop(columns={files.key, files.name, files.node_id, *positions, *files.drop}, errors="ignore")
    target_path = files.graphs_path or files.nodes_path
    unused = [str(column) for column in written if column not in (files.key, files.name)]
    if fitted is None and unused:
        rank_zero_info(f"{target_path}: {', '.join(unused)} are of whole graphs, and so no features of nodes.")
    if fitted is None:
        fitted = {
            "nodes": fit_formats(features, files.nodes_path, settings),
            "edges": fit_formats(edges, files.edges_path, settings),
            "target": fit_formats(texts.to_frame(), target_path, settings),
        }
    tables = GraphTables(
        written=written.reset_index(drop=True),
        target=read_columns(texts.to_frame(), formats_in(fitted["target"]), target_path)[files.name],
        sizes=torch.from_numpy(np.bincount(graph, minlength=len(written))),
        nodes=read_columns(features, formats_in(fitted["nodes"]), files.nodes_path),
        edges=read_columns(edges, formats_in(fitted["edges"]), files.edges_path),
        edge_index=edge_index,
        points=positions_in(nodes, positions, files.nodes_path),
    )
    return tables, fitted


def positions_in(nodes: pd.DataFrame, columns: list[str], path: str) -> "np.ndarray[Any, Any] | None":
    """Positions (N, D) of the nodes; None where no columns hold them."""
    if not columns:
        return None
    check_columns(nodes, columns, "--data.positions", path)
    points = read_columns(nodes[columns], formats_of(nodes[columns], path), path)
    for column in columns:
        wrong = ~pd.to_numeric(points[column], errors="coerce").abs().lt(np.inf)
        if wrong.any():
            raise InputError(
                f"{path}, line {line_of(wrong)}: the position {column} is {nodes[column][wrong].iloc[0]!r}, no number: "
                "repair it."
            )
    return points.to_numpy(dtype=np.float64)
