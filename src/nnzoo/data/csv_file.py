"""Reading the user's CSV files: one reader, with one set of messages, for all rooms of data."""

import csv
import difflib
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from nnzoo.errors import InputError

SEPARATORS = (",", ";", "\t")


def read_csv(
    path: str | Path,
    option: str = "csv",
    strip: bool = True,
    names: Sequence[str] = (),
    separator: str | None = None,
    quoted: bool = True,
) -> pd.DataFrame:
    """Reads a CSV file with a header, separated by commas, semicolons or tabs, as the texts that stand in it.

    What a column holds is not for a single file to say: :mod:`nnzoo.data.columns` reads numbers and dates from the
    texts.

    Args:
        path: The file.
        option: The flag ``--data.OPTION`` that names it, for errors.
        strip: Leave out spaces around each text; otherwise only those after a separator.
        names: Of the columns of a file without a header; those of further columns are numbers.
        separator: What separates the columns; the mark that makes the most columns of the first line if None.
        quoted: Whether quotation marks enclose fields; otherwise they are text.

    Returns:
        Columns of texts, an empty one where the file has nothing. The index counts lines: the row of index i begins in
        line i + 2 of the file. ``attrs["separator"]`` is what separates the columns.

    Raises:
        InputError: If it does not exist, is no CSV or has no rows.
    """
    check_file(path, option)
    try:
        how: Any = {"dtype": str, "keep_default_na": False, "skipinitialspace": True}
        how["quoting"] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
        header, separator = header_of(path, [separator] if separator else SEPARATORS, how)
        before = blank_lines_before_header(path)
        settings: Any = {**how, "sep": separator, "header": None if names else 0}
        table = pd.read_csv(path, skiprows=before, skip_blank_lines=False, **settings)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read as CSV ({reason}): save it as comma-separated UTF-8.") from error
    if names:
        header = pd.Series([*names[: len(header)], *map(str, range(len(names) + 1, len(header) + 1))])
    if header.duplicated().any():
        raise InputError(
            f"{path} has several columns {header[header.duplicated()].iloc[0]}: give each a name of its own."
        )
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"The rows of {path} have more fields than its header: name every column.")
    table = table.fillna("")  # a line that ends early
    table.columns = pd.Index(header.to_list())
    further = _further_lines(table, path) if quoted else 0
    table.index = pd.Index(np.arange(len(table)) + further + before - (1 if names else 0))
    if strip:
        table = table.apply(_stripped)
    filled = (table != "").any(axis=1).to_numpy()
    if not filled.any():
        raise InputError(f"{path} has no rows{'' if names else ' below its header'}.")
    inner = ~filled & (np.arange(len(table)) < filled.nonzero()[0][-1])
    if inner.any():
        first = line_of(pd.Series(inner, table.index))
        rank_zero_warn(f"{path}: {inner.sum()} rows without any value are left out, the first is line {first}.")
    table = table[filled]
    # A comma at the end of every line makes a last column of nothing.
    table = table.drop(columns=[column for column in table.columns if not column and (table[column] == "").all()])
    table.attrs["separator"] = separator
    return table


def check_file(path: str | Path | None, option: str) -> None:
    """Raises InputError if there is no such file, saying where a relative path was looked for; None is no file to be.

    A file that is read late, such as one to test on, is so refused before there is a run folder.
    """
    if path is None or Path(path).is_file():
        return
    sought = "" if Path(path).is_absolute() else f" in {Path.cwd()} (paths count from the folder a run is started in)"
    raise InputError(f"There is no file {path}{sought}: check --data.{option}.")


def line_of(rows: "pd.Series[bool]") -> int:
    """Line of the file of the first row that is True."""
    return int(rows.index[int(rows.to_numpy().argmax())]) + 2


def joined(texts: "pd.Series[str]") -> str:
    """All texts of a column in one, each between two zero characters: looked through at once, they take no time."""
    # Iterating a pandas column of texts costs ten times as much as a list of them.
    return "\0" + "\0".join(texts.to_numpy(dtype=object).tolist()) + "\0"


def _stripped(texts: "pd.Series[str]") -> "pd.Series[str]":
    return texts.str.strip() if re.search(r"\s\0|\0\s", joined(texts)) else texts


def _further_lines(table: pd.DataFrame, path: str | Path) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """How many line breaks stand in the fields of the rows before each row: in quotation marks only."""
    breaks = np.zeros(len(table) + 1, np.int64)
    for column in table if b'"' in Path(path).read_bytes() else ():
        if "\n" in joined(table[column]):
            breaks[1:] += table[column].str.count("\n")
    return breaks.cumsum()[:-1]


def blank_lines_before_header(path: str | Path) -> int:
    """How many lines of spaces stand above the header."""
    with Path(path).open(encoding="utf-8-sig") as file:
        return sum(1 for _ in itertools.takewhile(lambda line: not line.strip(), file))


def header_of(path: str | Path, marks: Sequence[str], how: Any) -> tuple["pd.Series[str]", str]:
    """The names of the columns and what separates them: the mark that makes the most columns."""
    headers = {mark: pd.read_csv(path, sep=mark, header=None, nrows=1, **how).iloc[0] for mark in marks}
    separator = max(marks, key=lambda mark: len(headers[mark]))
    return headers[separator].fillna("").astype(str).str.strip(), separator


def as_names(columns: str | Sequence[str]) -> list[str]:
    """Names of columns, of which one may stand alone, as ``--data.drop id`` does."""
    return [columns] if isinstance(columns, str) else list(columns)


def check_columns(table: pd.DataFrame, columns: Sequence[str], option: str, path: str | Path) -> None:
    """Raises InputError naming the nearest column if one that an option names does not exist."""
    for column in columns:
        if column not in table.columns:
            nearest = difflib.get_close_matches(column, list(map(str, table.columns)), n=1)
            hint = f" Did you mean {nearest[0]}?" if nearest else ""
            shown = ", ".join(map(str, table.columns[:20])) + (", ..." if len(table.columns) > 20 else "")
            raise InputError(f"{path} has no column {column} for {option}.{hint} Its columns are {shown}.")
