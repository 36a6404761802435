"""Rows of texts with what is known of them, as sources give them."""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn

from nnzoo.data.csv_file import check_columns
from nnzoo.data.text.files import (
    LABEL,
    TEXT,
    USUAL_LABELS,
    USUAL_TEXTS,
    check_header,
    check_texts,
    column_of,
    read_texts,
)
from nnzoo.errors import InputError

SECOND_TEXTS = {
    "sentence1": ("sentence2",),
    "text1": ("text2",),
    "premise": ("hypothesis",),
    "question": ("sentence", "context", "passage"),
    "sentence": ("question",),
}
"""Usual names of second texts, by those of first ones."""
ENOUGH = 8
"""Rows that tell whether the first one is odd."""


class Columns(NamedTuple):
    """Which columns of a file are what.

    Attributes:
        text: The column of texts.
        pair: That of second texts, if there are any.
        target: Those of labels.
    """

    text: str
    pair: str | None
    target: list[str]


class TextRows(NamedTuple):
    """Texts of one part.

    Attributes:
        texts: The texts.
        pairs: Second texts, if there are any.
        target: Columns of labels as they are written; none if they are not known.
        written: The rows as they stand in their file.
        path: The file, or the name of the data set, for errors.
    """

    texts: list[str]
    pairs: list[str] | None
    target: pd.DataFrame
    written: pd.DataFrame
    path: str


def rows_of(frame: pd.DataFrame, columns: Columns, path: str, labelled: bool = True) -> TextRows:
    """The rows of a file.

    Raises:
        InputError: If a column is not there, or a text is empty.
    """
    check_columns(frame, [columns.text], "--data.text", path)
    check_texts(frame[columns.text], path)
    pairs = None
    if columns.pair is not None:
        check_columns(frame, [columns.pair], "--data.text_pair", path)
        check_texts(frame[columns.pair], path)
        pairs = frame[columns.pair].tolist()
    if labelled:
        check_columns(frame, columns.target, "--data.target", path)
    target = frame[columns.target] if labelled else frame[[]]
    return TextRows(frame[columns.text].tolist(), pairs, target, frame, path)


def read_training(
    path: str, option: str, text: str | None, pair: str | None, target: list[str]
) -> tuple[pd.DataFrame, Columns]:
    """The rows of a file to train on, and which of its columns are what.

    Raises:
        InputError: If that cannot be told.
    """
    named = [name for name in (text, pair, *target) if name is not None]
    frame = read_texts(path, option, named)
    header = frame.attrs["header"]
    if len(frame.columns) < 2:
        raise InputError(
            f"{path} has texts but no labels: give a CSV, TSV or JSONL file with a column of each, or train a language "
            "model on it."
        )
    if not header:
        _check_first_line(frame, path)
        rank_zero_info(f"{path} has no header: its first column is the text, its second the label.")
        return frame, Columns(TEXT, None, [LABEL])
    found = column_of(frame, text, USUAL_TEXTS, "text", path)
    labels = target or [
        column_of(frame.drop(columns=[found, *([pair] if pair in frame else [])]), None, USUAL_LABELS, "target", path)
    ]
    columns = Columns(found, pair, labels)
    say_which(list(frame.columns), columns, text, path)
    return frame, columns


def say_which(names: Sequence[str], columns: Columns, named: str | None, path: str) -> None:
    """Says which columns are taken where there are others, and warns if the texts seem to be pairs.

    Args:
        names: Of all columns.
        columns: Those that are taken.
        named: The column of texts if the user has named it.
        path: The file, or the name of the data set.
    """
    second = [name for name in names if name.lower() in SECOND_TEXTS.get(columns.text.lower(), ())]
    if second and columns.pair is None and named is None:
        rank_zero_warn(
            f"{path}: {second[0]} is left out, only {columns.text} is read: add --data.text_pair {second[0]} if these "
            "are pairs of texts."
        )
    others = set(names) - {columns.text, columns.pair, *columns.target}
    if others:
        rank_zero_info(f"{path}: the text is {columns.text}, the label {', '.join(columns.target)}.")


def read_new(path: str, option: str, columns: Columns, header: bool) -> pd.DataFrame:
    """The rows of a further file, whose columns are those of the training file; of plain text the one column.

    The first line of a file of one column is a header if it is the training file's name of texts, or a usual one.

    Args:
        path: The file.
        option: The flag that names it.
        columns: Of the training file.
        header: Whether the training file has one.
    """
    frame = read_texts(path, option, [columns.text] if header else [])
    if len(frame.columns) == 1 and columns.text not in frame.columns and columns.pair is None:
        frame = read_texts(path, option)
        if len(frame.columns) == 1:
            frame = frame.set_axis([columns.text], axis=1)
    return frame


def _check_first_line(frame: pd.DataFrame, path: str) -> None:
    """Raises InputError if the first line may be a header after all: its label is not like any other."""
    check_header(frame, path, "--data.text and --data.target")
    first, others = frame[LABEL].iloc[0], frame[LABEL].iloc[1:]
    numbers = pd.to_numeric(frame[LABEL].str.replace(",", ".", n=1, regex=False), errors="coerce").notna()
    odd_one = len(others) > 0 and numbers.iloc[1:].all() and not numbers.iloc[0]
    alone = len(others) >= ENOUGH and first not in set(others) and others.value_counts().min() > 1
    if odd_one or alone:
        raise InputError(
            f"{path}: is its first line a header? No other line has a label such as {first!r}: if it is, name its "
            f"columns by --data.text {frame[TEXT].iloc[0]!r} --data.target {first!r}; if not, put the line text, label "
            "above it."
        )
