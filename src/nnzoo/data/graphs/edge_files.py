"""Edges in files of the user's own: which columns hold their ends, and which nodes these are."""

import re
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from nnzoo.data.columns import UNNAMED, sorted_names, without_counter
from nnzoo.data.csv_file import as_names, check_columns, line_of, read_csv
from nnzoo.data.graphs.graph import both_ways
from nnzoo.errors import InputError


def read_edge_table(path: str, option: str, ends: Any) -> pd.DataFrame:
    """A table of edges, without a first column that numbers them, as ``df.to_csv()`` and R write one.

    It would be taken for the first end of each edge, unless ``ends`` are named.
    """
    table = read_csv(path, option)
    first = str(table.columns[0])
    if len(table.columns) > 2 and first not in as_names(ends) and table[first].is_unique:
        return without_counter(table, path, set(table.columns) - {first})
    return table


def with_ids_first(nodes: pd.DataFrame, ends: pd.DataFrame, path: str, target: str | None) -> pd.DataFrame:
    """A table of nodes without a first column of no name, where the next one holds the ids that stand in edges.

    Args:
        nodes: The table.
        ends: Both ends of all edges.
        path: Of the nodes.
        target: What is no id.

    Raises:
        InputError: If either column may hold them.
    """
    if len(nodes.columns) < 2 or not re.fullmatch(UNNAMED, str(nodes.columns[0])) or nodes.columns[1] == target:
        return nodes
    first, second = (nodes.iloc[:, number] for number in (0, 1))
    used = set(ends.to_numpy().ravel())
    fits_first, fits_second = (ids.is_unique and used <= set(ids) for ids in (first, second))
    if fits_first and fits_second and first.tolist() != second.tolist():
        raise InputError(
            f"The ids of {path} may be its first column, which has no name, or {second.name}: remove the first if it "
            "only numbers the rows, or else give it a name."
        )
    return without_counter(nodes, path, set(nodes.columns) - {first.name}) if fits_second else nodes


def ends_of(table: pd.DataFrame, ends: list[str], path: str) -> pd.DataFrame:
    """The nodes at which edges end, as a table of ids in their order."""
    for end in ends:
        if (table[end] == "").any():
            raise InputError(f"{path}, line {line_of(table[end] == '')}: the edge has no {end}: give it one.")
    return pd.DataFrame({"node": sorted_names(set(table[ends].to_numpy().ravel()))})


def edge_columns(table: pd.DataFrame, ends: Any, path: str) -> list[str]:
    """The two columns of ids of the edges."""
    named = as_names(ends)
    if named:
        check_columns(table, named, "--data.ends", path)
    if len(table.columns) == 1:
        raise InputError(
            f"{path} has one column only, {table.columns[0]!r}: separate the two ids of each edge by a comma, a "
            "semicolon or a tab."
        )
    columns = named or [str(column) for column in table.columns[:2]]
    if len(columns) != 2:
        raise InputError(
            f"Edges have two ends, {path} has {len(columns)} columns for them: set --data.ends [FROM, TO]."
        )
    return columns


def edges_between(
    table: pd.DataFrame, ends: list[str], ids: "pd.Series[str]", edges_path: str, nodes_path: str
) -> Tensor:
    """The numbers of the nodes at both ends of each edge (2, E).

    Raises:
        InputError: If an end is missing or no node, or the header of the file is an edge itself.
    """
    if set(ends) <= set(ids):
        raise InputError(
            f"The first line of {edges_path} names the columns, but {','.join(ends)} reads as an edge: put a line such "
            "as from,to above it, or in its place if it is none."
        )
    for end in ends:
        if (table[end] == "").any():
            raise InputError(f"{edges_path}, line {line_of(table[end] == '')}: the edge has no {end}: give it one.")
    return torch.stack([numbers_of(table[end], ids, edges_path, nodes_path) for end in ends])


def numbers_of(ends: "pd.Series[str]", ids: "pd.Series[str]", edges_path: str, nodes_path: str) -> Tensor:
    """The number of the node at each edge's end (E,)."""
    found = pd.Index(ids).get_indexer(ends)
    unknown = pd.Series(found < 0, ends.index)
    if unknown.any():
        text = str(ends[unknown].iloc[0])
        alike = next((other for other in ids if bare(other) == bare(text)), None)
        if alike is not None:
            raise InputError(
                f"{edges_path}, line {line_of(unknown)}: no node has the id {text!r}, one has {alike!r} "
                f"({unknown.sum()} edges end at none): ids are compared as texts, write them as in {nodes_path}."
            )
        raise InputError(
            f"{edges_path}, line {line_of(unknown)}: no node has the id {text!r} ({unknown.sum()} edges end at none): "
            f"add a row to {nodes_path}, or remove the edge."
        )
    return torch.from_numpy(found)


def bare(text: str) -> str:
    """An id without what programs change in it: capitals, spaces, leading zeros, decimals of a whole number."""
    return re.sub(r"^0+(?=\d)|(?<=\d)\.0*$", "", re.sub(r"\s+", "", text.casefold()))


def weights_in(column: "pd.Series[Any]", path: str) -> "np.ndarray[Any, Any]":
    """Weights of edges; raises InputError if one is missing or negative."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = pd.Series(~(np.isfinite(numbers) & (numbers >= 0)), column.index)
    if wrong.any():
        raise InputError(
            f"{path}, line {line_of(wrong)}: the weight {column[wrong].iloc[0]} is no number of 0 or more: repair it."
        )
    return numbers


def arranged(
    edge_index: Tensor, edge_attr: Tensor | None, weight: Tensor | None, path: str, directed: bool
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Every edge once, and unless ``directed`` in both directions; with other features or weight it is another edge."""
    ends = edge_index if directed else edge_index.sort(dim=0).values
    features = [part.reshape(len(part), -1) for part in (edge_attr, weight) if part is not None]
    parts = [part.double() for part in (ends.T, *features)]
    seen = pd.DataFrame(torch.cat(parts, dim=1).numpy()).duplicated().to_numpy()
    again = pd.DataFrame(ends.T.numpy()).duplicated().to_numpy() & ~seen
    turned, advice = ("", "") if directed else (", or in both directions,", " (--data.directed true gives them one)")
    if seen.any():
        why = "" if directed else f", as edges have no direction{advice}"
        rank_zero_warn(
            f"{path}: {seen.sum()} of {len(seen)} edges stand there twice{turned} with the same values: they count "
            f"once{why}."
        )
    if again.any():
        why = "" if directed else f", and edges have no direction{advice}"
        rank_zero_warn(
            f"{path}: {again.sum()} of {len(again)} edges stand there twice{turned} with other values: they count "
            f"each, so that weights add up{why}."
        )
    kept = torch.from_numpy(np.flatnonzero(~seen))
    if directed:
        ends = ends[:, kept]
    else:
        ends, numbers = both_ways(ends[:, kept])
        kept = kept[numbers]
    edge_attr, weight = (None if part is None else part[kept] for part in (edge_attr, weight))
    return ends, edge_attr, weight
