"""Reading files of texts: CSV and TSV with or without a header, JSONL, and plain text."""

import json
import math
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from nnzoo.data.csv_file import check_columns, check_file, line_of, read_csv
from nnzoo.errors import InputError

TEXT, LABEL = "text", "label"
"""Columns of a file without a header; and how ``text`` and ``target`` are called where nobody names them."""
USUAL_TEXTS = ("text", "sentence", "review", "content", "document", "comment", "body", "message", "question", "premise",
               "sentence1", "text1", "tweet", "phrase", "title", "prompt")  # fmt: skip
USUAL_LABELS = ("label", "labels", "target", "class", "category", "sentiment", "score", "rating", "y", "answer")
JSON_LINES, PLAIN = (".jsonl", ".ndjson", ".json"), (".txt", ".text", "")
OTHERS = (".xlsx", ".xls", ".ods", ".parquet", ".feather", ".arrow", ".docx", ".pdf", ".zip", ".gz")
"""Files that are no texts."""
LOOKED_AT = 200
"""Lines that say how a file is written."""


def read_texts(path: str | Path, option: str, named: Sequence[str] = ()) -> pd.DataFrame:
    """The rows of a file as texts, with an index by which :func:`nnzoo.data.csv_file.line_of` names lines.

    Whether a CSV or TSV file has a header: where columns are named, it must have them in its first line; otherwise the
    first line is a header if one of its fields is a usual name of texts and, of several columns, another one a usual
    name of labels. Without a header the columns are ``text``, ``label``, 3, 4, and so on.

    Args:
        path: The file: .jsonl or .json (an object a line), .txt (one text a line), and all others as CSV or TSV.
        option: The flag that names it, for errors.
        named: Columns that the user has named.

    Returns:
        ``attrs["header"]`` says whether columns have names of their own.

    Raises:
        InputError: If it does not exist or cannot be read.
    """
    check_file(path, option)
    suffix = Path(path).suffix.lower()
    if suffix in OTHERS:
        raise InputError(f"{path} is no CSV, TSV, JSONL or plain text: save it as one of these.")
    try:
        if suffix in JSON_LINES:
            return _read_json_lines(path)
        if suffix in PLAIN:
            return _read_lines(path)
        with Path(path).open(encoding="utf-8-sig") as file:
            lines = [line.rstrip("\r\n") for line in islice(file, LOOKED_AT) if line.strip()]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no UTF-8 text ({error.reason}): save it as UTF-8.") from error
    tabs = {line.count("\t") for line in lines}
    separator = "\t" if suffix in (".tsv", ".tab") or (len(tabs) == 1 and tabs != {0}) else None
    quoted = separator is None or _quotes_fields(path)
    header = bool(named or (lines and _is_header(lines[0], separator)))
    frame = read_csv(path, option, names=() if header else (TEXT, LABEL), separator=separator, quoted=quoted)
    if quoted and any("\n" in text for column in frame for text in frame[column]):
        _check_closed(path, frame.attrs["separator"])
    frame.attrs["header"] = header
    return frame


def _enclosed(separator: str) -> re.Pattern[str]:
    """A field in quotation marks, as CSV has it, with what stands before it."""
    return re.compile(rf'(^|{separator}) *"([^"]*(?:""[^"]*)*)" *(?={separator}|$)', re.MULTILINE)


def _quotes_fields(path: str | Path) -> bool:
    """Whether the quotation marks of a TSV file enclose fields: some begin with one, and all those end with one.

    A field over several lines that holds a tab as well is none: there two lone marks stand in different rows.
    """
    text, enclosed = Path(path).read_text(encoding="utf-8-sig"), _enclosed("\t")
    fields = [match[2] for match in enclosed.finditer(text)]
    if any("\n" in field and "\t" in field for field in fields):
        return False
    return bool(fields) and not re.search(r'(^|\t) *"', enclosed.sub(r"\1", text), re.MULTILINE)


def _check_closed(path: str | Path, separator: str) -> None:
    """Raises InputError if a quotation mark at the start of a field is not closed: rows behind it would be in it."""
    text = Path(path).read_text(encoding="utf-8-sig")
    # What is enclosed leaves its lines, so that those behind keep their numbers.
    rest = _enclosed(separator).sub(lambda match: match[1] + "\n" * match[2].count("\n"), text)
    found = re.search(rf'(^|{separator}) *"', rest, re.MULTILINE)
    if found:
        raise InputError(
            f"{path}, line {rest.count(chr(10), 0, found.end()) + 1}: the quotation mark at the start of a field is "
            'not closed, so the lines behind it would be part of it: enclose the field in marks and write "" for one '
            "that is text, or save the file as TSV."
        )


def _is_header(line: str, separator: str | None) -> bool:
    names = [name.strip().strip('"').lower() for name in re.split(separator or "[,;\t]", line)]
    texts = [name for name in names if name in USUAL_TEXTS]
    return bool(texts) and (
        len(names) == 1 or any(name in USUAL_LABELS + USUAL_TEXTS for name in set(names) - {texts[0]})
    )


def _read_lines(path: str | Path) -> pd.DataFrame:
    """One text a line; empty ones are left out, and said unless they are at the end."""
    # Not splitlines, which takes form feeds and the separators of Unicode for ends of lines too.
    lines = Path(path).read_text(encoding="utf-8-sig").split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise InputError(f"{path} holds no text.")
    kept = [number for number, line in enumerate(lines) if line.strip()]
    if len(kept) < len(lines):
        first = next(number for number, line in enumerate(lines) if not line.strip()) + 1
        rank_zero_warn(f"{path}: {len(lines) - len(kept)} empty lines are left out, the first is line {first}.")
    frame = pd.DataFrame({TEXT: [lines[number].strip() for number in kept]}, index=np.array(kept) - 1)
    frame.attrs["header"] = False
    return frame


def _read_json_lines(path: str | Path) -> pd.DataFrame:
    """An object a line; lists become their entries with a line break between them, null and what is absent empty."""
    rows, numbers = list[dict[str, str]](), list[int]()
    with Path(path).open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}, line {number} is no JSON ({error.msg}): write one object a line.") from error
            if isinstance(row, list) and number == 1 and all(isinstance(one, dict) for one in row):
                raise InputError(
                    f"{path} is one list of objects: write an object a line, as df.to_json(path, orient='records', "
                    "lines=True) of pandas does."
                )
            if not isinstance(row, dict):
                raise InputError(
                    f'{path}, line {number} is no JSON object such as {{"text": ..., "label": ...}}: write one a line.'
                )
            rows.append({name: as_text(value) for name, value in row.items()})
            numbers.append(number - 2)
    if not rows:
        raise InputError(f"{path} has no rows.")
    frame = pd.DataFrame(rows, index=numbers).fillna("")
    frame.attrs["header"] = True
    return frame


def as_text(value: Any) -> str:
    """A value of a JSON file as a text: of a list its entries with a line break between them; null and NaN are empty.

    Half of a pair of surrogates, which is left where texts are cut between them, is no character: U+FFFD stands for it.
    """
    if isinstance(value, list):
        return "\n".join(map(as_text, value))
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace").strip()


def check_header(frame: pd.DataFrame, path: str | Path, flags: str) -> None:
    """Raises InputError if a file has no header with usual names, but so many columns that it needs one.

    Args:
        frame: Its rows.
        path: The file.
        flags: Those that name its columns.
    """
    if not frame.attrs["header"] and len(frame.columns) > 2:
        first = ", ".join(frame.iloc[0, :6].str[:20])
        raise InputError(
            f"{path}: which of its {len(frame.columns)} columns are meant? Name them by {flags} if its first line is a "
            f"header ({first}); if not, put one above it."
        )


def column_of(
    frame: pd.DataFrame, name: str | None, usual: Sequence[str], option: str, path: str | Path, hint: str = ""
) -> str:
    """The column that a user names, or the first of the usual names.

    Args:
        frame: The rows of a file.
        name: What the user says.
        usual: Names that need not be said.
        option: The flag that says it, for errors.
        path: The file, for errors.
        hint: What else the user may want, for errors.

    Raises:
        InputError: If it is not there; the columns that are there are named.
    """
    if name is not None:
        check_columns(frame, [name], f"--data.{option}", path)
        return name
    found = next((column for known in usual for column in frame.columns if str(column).lower() == known), None)
    if found is None:
        shown = ", ".join(map(str, frame.columns[:20]))
        raise InputError(f"{path}: which column is the {option}? Set --data.{option} to one of {shown}{hint}.")
    return found


def check_texts(texts: "pd.Series[str]", path: str | Path) -> None:
    """Raises InputError if a text is empty, naming the first such line."""
    empty = texts.str.strip() == ""
    if empty.any():
        raise InputError(
            f"{path}: {int(empty.sum())} rows have an empty {texts.name}, the first is line {line_of(empty)}: fill it "
            "in or remove them."
        )
