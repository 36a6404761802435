"""Reading the user's CSV files: one reader, with one set of messages, for tables, sequences, series and strings."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nnzoo.errors import InputError

SEPARATORS = (",", ";", "\t")


def read_csv(path: str | Path, option: str = "csv", texts: bool = False) -> pd.DataFrame:
    """Reads a CSV file with a header, separated by commas, semicolons or tabs.

    With semicolons, numbers may have decimal commas, as spreadsheets write them in many countries.

    Args:
        path: The file.
        option: The flag ``--data.OPTION`` that names it, for errors.
        texts: Keep everything as the text that stands in the file; else numbers are read, spaces at the ends of texts
            are left out, and empty fields, NA, None, nan and the like are missing.

    Raises:
        InputError: If it does not exist, is no CSV or has no rows.
    """
    if not Path(path).is_file():
        raise InputError(f"There is no file {path}: check --data.{option}.")
    settings: dict[str, Any] = {"dtype": str, "keep_default_na": False} if texts else {"skipinitialspace": True}
    try:
        header, separator = _header(path)
        readings = [pd.read_csv(path, sep=separator, **settings)]
        if separator == ";" and not texts:
            readings.append(pd.read_csv(path, sep=separator, decimal=",", **settings))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read as CSV ({reason}): save it as comma-separated UTF-8.") from error
    table = max(readings, key=lambda reading: len(reading.select_dtypes("number").columns))
    if header.duplicated().any():
        raise InputError(
            f"{path} has several columns {header[header.duplicated()].iloc[0]}: give each a name of its own."
        )
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"The rows of {path} have more fields than its header: name every column.")
    if table.empty:
        raise InputError(f"{path} has no rows below its header.")
    table.columns = header.to_list()
    if not texts:
        for column in table.columns[[pd.api.types.is_string_dtype(kind) for kind in table.dtypes]]:
            table[column] = table[column].str.strip()
    return table


def _header(path: str | Path) -> tuple["pd.Series[str]", str]:
    """The names of the columns and what separates them: the mark that makes the most columns."""
    headers = {
        mark: pd.read_csv(path, sep=mark, header=None, nrows=1, dtype=str, skipinitialspace=True).iloc[0]
        for mark in SEPARATORS
    }
    separator = max(SEPARATORS, key=lambda mark: len(headers[mark]))
    return headers[separator].astype(str).str.strip(), separator


def check_columns(table: pd.DataFrame, columns: Sequence[str], option: str, path: str | Path) -> None:
    """Raises InputError naming the nearest column if one that an option names does not exist."""
    for column in columns:
        if column not in table.columns:
            nearest = difflib.get_close_matches(column, list(map(str, table.columns)), n=1)
            hint = f" Did you mean {nearest[0]}?" if nearest else ""
            shown = ", ".join(map(str, table.columns[:20])) + (", ..." if len(table.columns) > 20 else "")
            raise InputError(f"{path} has no column {column} for {option}.{hint} Its columns are {shown}.")
