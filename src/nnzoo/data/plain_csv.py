"""Reading columns of plain numbers as numbers at once, where :mod:`nnzoo.data.columns` would read them the same.

Texts of millions of numbers take ten times the memory and the time of these. So a look at the first rows says which
columns are numbers, and one parse reads them; where what only texts can show might matter, the file is read as texts.
"""

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnzoo.data.columns import COUNTERS, UNNAMED
from nnzoo.data.csv_file import SEPARATORS, blank_lines_before_header, check_file, header_of, read_csv
from nnzoo.data.numbers import MISSING

PLAIN_KEY = "plain"
"""Of the ``attrs`` of a frame: of each column of numbers, the first one as written and whether they have points."""
SAMPLE = 1000
"""Rows that say which columns may be numbers."""
CHUNK = 10_000
"""Rows that are read at once."""
BLOCK = 1 << 20
"""Bytes that are looked through at once."""
WHOLE = re.compile(r"[+-]?[1-9]\d{0,14}|0")
DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
EITHER = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
"""What may be a decimal number or have a separator of thousands."""


def read_table(path: str | Path, option: str = "csv", texts: Collection[str] = ()) -> pd.DataFrame:
    """Reads a file as :func:`nnzoo.data.csv_file.read_csv` does, but columns of plain numbers as float64, NaN if empty.

    Args:
        path: The file.
        option: The flag ``--data.OPTION`` that names it, for errors.
        texts: Columns to read as texts whatever they hold.

    Returns:
        Columns of numbers, which ``attrs["plain"]`` names, and of texts.

    Raises:
        InputError: If it does not exist, is no CSV or has no rows.
    """
    check_file(path, option)
    try:
        frame = _read_numbers(Path(path), texts)
    except (ValueError, OverflowError):  # a number that is none, or no CSV at all, which read_csv says in a sentence
        frame = None
    return read_csv(path, option) if frame is None else frame


def _read_numbers(path: Path, texts: Collection[str]) -> pd.DataFrame | None:
    """The columns of a file with numbers among them; None if it has none, or has to be read as texts."""
    settings: Any = {"keep_default_na": False, "skipinitialspace": True}
    header, separator = header_of(path, SEPARATORS, {"dtype": str, "quoting": csv.QUOTE_MINIMAL, **settings})
    names, before = header.to_list(), blank_lines_before_header(path)
    settings |= {
        "sep": separator,
        "skiprows": before,
        "skip_blank_lines": False,
        "header": 0,
        "names": range(len(names)),
    }
    sample = pd.read_csv(path, dtype=str, nrows=SAMPLE, **settings)
    if header.duplicated().any() or not isinstance(sample.index, pd.RangeIndex):
        return None
    found = {number: _plain(sample[number].fillna("").str.strip().to_list()) for number in sample}
    texts = {*texts, *COUNTERS, *(name for name in names if re.fullmatch(UNNAMED, name))}
    likely = {number: known for number, known in found.items() if known and names[number] not in texts}
    plain, rows = plain_columns(path, before + 1, separator, len(names)) if likely else (None, 0)
    if plain is None or not plain[list(likely)].any():
        return None
    likely = {number: known for number, known in likely.items() if plain[number]}
    kinds = {number: (np.float64 if likely[number][1] else np.int64) if number in likely else str for number in sample}
    missing = {number: sorted(MISSING) for number, (_, decimal) in likely.items() if decimal}
    if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
        settings["float_precision"] = "round_trip"  # to the last bit, as later ones do by themselves
    reader = pd.read_csv(path, dtype=kinds, na_values=missing, chunksize=CHUNK, **settings)
    with reader as chunks, np.errstate(invalid="ignore"):  # an infinite number among whole ones, which is seen below
        table = _joined(chunks, list(likely), rows)
    if table is None:
        return None
    table.index = pd.RangeIndex(before, before + rows)
    table.columns = pd.Index(names)
    table = table.drop(columns=[name for name in names if not name and (table[name] == "").all()])
    table.attrs.update({"separator": separator, PLAIN_KEY: {names[number]: known for number, known in likely.items()}})
    return table


def _joined(chunks: Iterable[pd.DataFrame], plain: Sequence[int], rows: int) -> pd.DataFrame | None:
    """All rows, whose numbers stand once in memory; None if they are not so many, or need a look at the texts."""
    numbers, texts, done = np.empty((len(plain), rows)), [], 0
    for chunk in chunks:
        others = chunk.drop(columns=plain).apply(lambda column: column.str.strip())
        texts.append(others)
        if done + len(chunk) > rows:
            return None
        here = numbers[:, done : done + len(chunk)]
        here[:] = chunk[plain].to_numpy(np.float64).T
        done += len(chunk)
        # Infinite, or a whole number that double precision may not hold.
        if (here >= 2**53).any() or (here <= -(2**53)).any():
            return None
        if (np.isnan(here).all(axis=0) & (others == "").all(axis=1)).any():
            return None
    if done != rows:
        return None
    written = pd.concat(texts, ignore_index=True)
    columns = {number: written[number] if number in written else numbers[plain.index(number)]
               for number in range(len(plain) + written.shape[1])}  # fmt: skip
    return pd.DataFrame(columns, copy=False)


def _plain(texts: Sequence[str]) -> tuple[str, bool] | None:
    """The first of a column's numbers and whether they have points; None if they are not plain beyond doubt."""
    present = [text for text in texts if text not in MISSING]
    if not present:
        return None
    if all(map(DECIMAL.fullmatch, present)) and any("." in text and not EITHER.fullmatch(text) for text in present):
        return present[0], True
    return (present[0], False) if len(present) == len(texts) and all(map(WHOLE.fullmatch, present)) else None


def plain_columns(path: Path, above: int, separator: str, count: int) -> tuple[NDArray[np.bool_] | None, int]:
    """Which columns have no field that begins as codes do, such as 007, or with a space or quotation mark.

    Args:
        path: The file.
        above: Lines above the first row.
        separator: What separates the columns.
        count: How many columns there are.

    Returns:
        For each column, or None unless every line is a row with a field for each, quoted in whole or not at all; and
        the number of rows.
    """
    plain, rows = np.ones(count, dtype=bool), 0
    mark = ord(separator)
    for block in _lines(path, above):
        bytes_ = np.frombuffer(block + b"\n\n", np.uint8)  # two more, to look ahead of the last field
        ends = np.flatnonzero((bytes_[:-2] == mark) | (bytes_[:-2] == ord("\n")))
        last = bytes_[ends] == ord("\n")
        rows += int(last.sum())
        if len(ends) != last.sum() * count or not last[count - 1 :: count].all():
            return None, rows
        starts = np.concatenate([[0], ends[:-1] + 1])
        first, second, third = (bytes_[starts + place] for place in range(3))
        quoted, returned = first == ord('"'), bytes_[ends - 1] == ord("\r")
        closed = bytes_[ends - 1 - returned] == ord('"')
        if block.count(b'"') != 2 * quoted.sum() or not closed[quoted].all() or block.count(b"\r") != returned.sum():
            return None, rows
        zero = (first == ord("0")) & _digit(second)
        signed = ((first == ord("-")) | (first == ord("+"))) & (second == ord("0")) & (third != ord("."))
        odd = zero | signed | quoted | (first == ord(" "))
        plain &= ~odd.reshape(-1, count).any(axis=0)
    return plain, rows


def _digit(characters: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (characters >= ord("0")) & (characters <= ord("9"))


def _lines(path: Path, above: int) -> Iterator[bytes]:
    """A file's bytes in blocks of whole lines, each with its end, below the first lines."""
    with path.open("rb") as file:
        for _ in range(above):
            file.readline()
        while block := file.read(BLOCK):
            block += file.readline()
            yield block if block.endswith(b"\n") else block + b"\n"
