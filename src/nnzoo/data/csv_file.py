"""Reading the user's CSV files: one reader, with one set of messages, for tables, sequences, series and strings."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from nnzoo.errors import InputError

SEPARATORS = (",", ";", "\t")


def read_csv(path: str | Path, option: str = "csv", texts: bool = False) -> pd.DataFrame:
    """Reads a CSV file with a header, separated by commas, semicolons or tabs.

    With semicolons, numbers may have decimal commas, as spreadsheets write them in many countries.

    Args:
        path: The file.
        option: The flag ``--data.OPTION`` that names it, for errors.
        texts: Keep everything as the text that stands in the file. Otherwise columns of numbers are read as such, where
            empty fields, NA, None, nan and the like are missing; in columns of texts only empty fields are, and spaces
            at the ends are left out.

    Raises:
        InputError: If it does not exist, is no CSV or has no rows.
    """
    if not Path(path).is_file():
        raise no_file(path, option)
    try:
        header, separator = _header(path)
        written = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
        decimals = [] if texts else [".", ","] if separator == ";" else ["."]
        readings = [pd.read_csv(path, sep=separator, skipinitialspace=True, decimal=mark) for mark in decimals]
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path} cannot be read as CSV ({reason}): save it as comma-separated UTF-8.") from error
    table = max(readings, key=lambda reading: len(reading.select_dtypes("number").columns), default=written)
    if header.duplicated().any():
        raise InputError(
            f"{path} has several columns {header[header.duplicated()].iloc[0]}: give each a name of its own."
        )
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"The rows of {path} have more fields than its header: name every column.")
    if table.empty:
        raise InputError(f"{path} has no rows below its header.")
    table.columns = written.columns = header.to_list()
    for column in table.select_dtypes(exclude=["number", "bool"]).columns if not texts else []:
        stripped = written[column].str.strip()  # a class may be called None, and a place NA
        table[column] = stripped.where(stripped != "")
    # A comma at the end of every line makes a last column of nothing.
    return table.drop(columns=[column for column in table.columns if not column and table[column].isna().all()])


def no_file(path: str | Path, option: str) -> InputError:
    """The error that there is no such file, and where a relative path was looked for."""
    sought = "" if Path(path).is_absolute() else f" in {Path.cwd()} (paths count from the folder a run is started in)"
    return InputError(f"There is no file {path}{sought}: check --data.{option}.")


def _header(path: str | Path) -> tuple["pd.Series[str]", str]:
    """The names of the columns and what separates them: the mark that makes the most columns."""
    headers = {
        mark: pd.read_csv(path, sep=mark, header=None, nrows=1, dtype=str, skipinitialspace=True).iloc[0]
        for mark in SEPARATORS
    }
    separator = max(SEPARATORS, key=lambda mark: len(headers[mark]))
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
