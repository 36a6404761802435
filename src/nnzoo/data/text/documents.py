"""Documents for language models, out of files: plain text, folders of it, columns of texts, prompts with answers."""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn

from nnzoo.data.csv_file import check_columns
from nnzoo.data.text.files import PLAIN, USUAL_TEXTS, check_texts, column_of, read_texts
from nnzoo.errors import InputError

Unit = Literal["file", "paragraph", "line"]
BREAKS = {"paragraph": re.compile(r"\n[ \t]*\n\s*"), "line": re.compile(r"\n\s*")}
"""What stands between documents of plain text."""
PROMPTS = ("prompt", "question")
"""Columns beside which answers are to be expected."""


class Documents(NamedTuple):
    """Documents of one part.

    Attributes:
        texts: The documents, (text,) each; of instructions (prompt, answer).
        whole: Whether it is one running text, which is cut into parts rather than shuffled.
    """

    texts: list[tuple[str, ...]]
    whole: bool = False


def read_documents(
    path: str, option: str, text: str | None, prompt: str | None, answer: str | None, unit: Unit
) -> Documents:
    """The documents of a file, or of the .txt files in a folder in the order of their names.

    Raises:
        InputError: If there are none, a column is not there, or one is empty.
    """
    if Path(path).is_dir():
        files = sorted(file for file in Path(path).rglob("*") if file.suffix.lower() == ".txt" and file.is_file())
        if not files:
            raise InputError(f"The folder {path} has no .txt files: set --data.{option} to one that has, or to a file.")
        return Documents([(piece,) for file in files for piece in _pieces(file, unit)])
    if Path(path).suffix.lower() in PLAIN:
        pieces = _pieces(Path(path), unit)
        return Documents([(piece,) for piece in pieces], whole=unit == "file")
    frame = read_texts(path, option, [name for name in (text, prompt, answer) if name is not None])
    if prompt is not None and answer is not None:
        for name, column in (("prompt", prompt), ("answer", answer)):
            check_columns(frame, [column], f"--data.{name}", path)
            check_texts(frame[column], path)
        return Documents(list(zip(frame[prompt].tolist(), frame[answer].tolist(), strict=True)))
    column = _column_read(frame, text, path)
    check_texts(frame[column], path)
    return Documents([(text,) for text in frame[column].tolist()])


def _column_read(frame: pd.DataFrame, text: str | None, path: str) -> str:
    """The column of texts; said where nobody has named it, as answers to prompts would be lost silently."""
    usual = [name for name in USUAL_TEXTS if len(frame.columns) == 1 or name not in PROMPTS]
    hint = "; of prompts with answers, both --data.prompt and --data.answer"
    column = column_of(frame, text, usual, "text", path, hint)
    if not frame.attrs["header"] and len(frame.columns) > 1:
        rank_zero_warn(
            f"{path} has no header: of its {len(frame.columns)} columns the first alone is read, such as "
            f"{frame[column].iloc[0][:40]!r}. If its lines are whole texts, save it as .txt; if the first one is a "
            f"header, name a column by --data.text{hint}."
        )
    elif text is None and len(frame.columns) > 1:
        rank_zero_info(f"{path}: the column {column} is read alone; name another by --data.text{hint}.")
    return column


def _pieces(path: Path, unit: Unit) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text ({error.reason}): save it as UTF-8.") from error
    pieces = [text] if unit == "file" else BREAKS[unit].split(text)
    if not text:
        raise InputError(f"{path} is empty: remove it, or write the text into it.")
    return [piece for piece in pieces if piece]


def cut(text: str, fractions: Sequence[float]) -> list[str]:
    """A running text as parts one after the other, cut at ends of paragraphs, or of lines where these are too long.

    Args:
        text: The whole.
        fractions: Share of each part but the first, which gets the rest.

    Raises:
        InputError: If a part would be empty.
    """
    place, cuts = len(text), list[int]()
    for fraction in reversed(fractions):
        place -= int(fraction * len(text))
        ends = [text.rfind(mark, 0, place) + len(mark) for mark in ("\n\n", "\n", " ")]
        near = (end for end in ends if place - end < 0.2 * fraction * len(text))
        cuts.append(next(near, place))
        place = cuts[-1]
    bounds = [0, *reversed(cuts), len(text)]
    parts = [text[start:end].strip() for start, end in pairwise(bounds)]
    if not all(parts):
        raise InputError("The text is too short to be cut into parts to train on, to validate and to test.")
    return parts
