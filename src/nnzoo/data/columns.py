"""What each column of a user's file holds: the training file decides, and all other files are read accordingly.

A parser that looks at one file at a time takes the same column for whole numbers in one file and for decimal ones in
the next, as soon as a cell is empty; a category is then another one. So the training file fixes the :class:`Format` of
each column, and what does not fit it in another file is named with its line.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from nnzoo.data.csv_file import check_columns, line_of
from nnzoo.data.numbers import MISSING, Reading, Style, plain_reading, reading_of
from nnzoo.data.times import dates_among, is_day_first, read_times
from nnzoo.errors import InputError

POINT = Style()
Kind = Literal["number", "truth", "date", "text"]
ENOUGH = 20
"""Different numbers of a column that cannot be a few codes."""
USUAL_DECIMAL = {",": ".", "\t": ".", ";": ","}
"""Decimal mark of files by what separates their columns."""
TRUTHS = {"true": "True", "false": "False", "1": "True", "0": "False", "1.0": "True", "0.0": "False"}
COUNTERS = ("rownames", "row_names", "index")
"""Names under which R and pandas write the numbers of rows, beside those of no name."""
UNNAMED = r"(Unnamed: 0(\.\d+)?)?"
"""What pandas calls them where a file without a name for them was read and written again, once or several times."""


@dataclass(frozen=True)
class Format:
    """What a column holds and how it is written, as the training file has it.

    Attributes:
        kind: number | truth (True and False) | date | text.
        style: How numbers are written.
        day_first: Whether dates have the day before the month; None where nothing tells.
        whole: Whether texts are whole numbers, so that 1.0, which pandas makes of 1 beside an empty cell, means 1.
        example: A value as written.
    """

    kind: Kind
    style: Style = POINT
    day_first: bool | None = None
    whole: bool = False
    example: str = ""

    def read(self, texts: "pd.Series[str]", path: str | Path) -> "pd.Series[Any]":
        """The values of a column: float64, dates, or texts (of truth values True and False); NaN where one is missing.

        Raises:
            InputError: If a value does not fit, naming its line.
        """
        if pd.api.types.is_float_dtype(texts):
            return texts  # read as plain numbers, as which training has them too
        if self.kind == "text":
            if self.whole:
                texts = texts.str.replace(r"^([+-]?\d+)\.0*$", r"\1", regex=True)
            return texts.where(texts != "")
        missing = texts.isin(MISSING)
        if self.kind == "date":
            present = texts[~missing]
            if present.empty:
                return pd.Series(pd.NaT, texts.index, "datetime64[ns]", texts.name)
            times = read_times(present, path, self.day_first)
            if not pd.api.types.is_datetime64_any_dtype(times):  # numbers, as spreadsheets count days
                raise self._misfit(texts, ~missing, path)
            if times.dt.tz is not None:
                times = times.dt.tz_localize(None)  # in UTC, beside files that have no offsets
            return times.reindex(texts.index)
        values = self.style.read(texts) if self.kind == "number" else texts.str.lower().map(TRUTHS)
        wrong = values.isna() & ~missing
        if wrong.any():
            raise self._misfit(texts, wrong, path)
        return values

    def _misfit(self, texts: "pd.Series[str]", wrong: "pd.Series[bool]", path: str | Path) -> InputError:
        """The error that a value does not fit, for the first of those that are ``wrong``."""
        name = {"number": "a number", "date": "a date"}.get(self.kind, "True or False")
        return InputError(
            f"{path}, line {line_of(wrong)}: {texts.name} is {texts[wrong].iloc[0]!r}, not {name} as in the training "
            f"file, such as {self.example}: write it like that, or leave the field empty if it is missing."
        )

    def marks(self) -> list[str]:
        """How numbers are written, in words, where it is not plain."""
        style = self.style
        marks = [f"in {style.unit}"] * bool(style.unit) + ["decimal comma"] * (style.decimal == ",")
        return marks + [f"thousands {style.thousands!r}"] * bool(style.thousands)

    def described(self) -> str:
        """Kind and marks in words, for a report of the columns."""
        return ", ".join([self.kind, *self.marks()])

    def plain(self) -> dict[str, Any]:
        """As a dictionary that a checkpoint can keep."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Format":
        """What :meth:`plain` returned."""
        return cls(**{**values, "style": Style(**values["style"])})


Formats = dict[str, Format]


def formats_of(frame: pd.DataFrame, path: str | Path, texts: Collection[str] = ()) -> Formats:
    """What the columns of a training file hold.

    Numbers may have decimal points or commas, separators of thousands, and one currency, percent sign or unit. What
    could be either, such as 1.234, is decided by the other columns and by what separates these, or refused. Digits with
    leading zeros, and whole numbers that double precision cannot hold, are texts.

    Args:
        frame: As :func:`nnzoo.data.csv_file.read_csv` or :func:`nnzoo.data.plain_csv.read_table` gives it.
        path: The file, for errors.
        texts: Columns that are texts, whatever they look like.

    Raises:
        InputError: If a column is numbers or dates but for a few values, or can be read in two ways.
    """
    plain = frame.attrs.get("plain", {})
    present = {name: pd.Series(plain[name][0]) if name in plain else _present(frame[name]) for name in frame.columns}
    free = [name for name in frame.columns if name not in texts and len(present[name])]
    truths = [name for name in free if _are_truths(present[name])]
    readings = {name: Reading([POINT], marked=plain[name][1]) if name in plain
                else plain_reading(present[name]) or reading_of(present[name].unique())
                for name in free if name not in truths}  # fmt: skip
    numbers = {name: reading for name, reading in readings.items() if _is_numeric(reading, present[name], name, path)}
    marks = {mark for reading in numbers.values() if len(reading.decimals) == 1 for mark in reading.decimals}
    return {
        name: Format("truth", example=present[name].iloc[0]) if name in truths
        else Format("number", _style(numbers[name], marks, frame, name, path), example=present[name].iloc[0])
        if name in numbers else _dates_or_texts(present[name], name in free, path)
        for name in frame.columns
    }  # fmt: skip


def _dates_or_texts(present: "pd.Series[str]", free: bool, path: str | Path) -> Format:
    """The format of a column that holds no numbers; it is texts unless it is ``free``."""
    example = "" if present.empty else str(present.iloc[0])
    dates = dates_among(present)
    if free and dates.all():
        return Format("date", day_first=is_day_first(present, path), example=example)
    if free and present[dates].nunique() > ENOUGH and present[~dates].nunique() <= 0.1 * present.nunique():
        raise InputError(
            f"{path}, line {line_of(~dates)}: {present.name} is {present[~dates].iloc[0]!r}, not a date as in the "
            f"other rows, such as {present[dates].iloc[0]}: repair it, leave the field empty if it is missing, or say "
            f"that the column holds categories with --data.categorical {present.name}."
        )
    whole = not present.empty and present.str.fullmatch(r"[+-]?(0|[1-9]\d*)(\.0*)?").all()
    return Format("text", whole=bool(whole), example=example)


def written_otherwise(formats: Formats) -> list[str]:
    """The columns of a training file that are no plain numbers, and in later files have to be read as texts."""
    return [name for name, known in formats.items() if known.kind != "number" or known.style != POINT]


def read_columns(frame: pd.DataFrame, formats: Formats, path: str | Path) -> pd.DataFrame:
    """The columns of a file, which must be there, read as the training file has them.

    Args:
        frame: As :func:`nnzoo.data.csv_file.read_csv` gives it; other columns are left alone.
        formats: Of :func:`formats_of`.
        path: The file, for errors.
    """
    check_columns(frame, list(formats), "the same columns as in training", path)
    columns = {name: known.read(frame[name], path) for name, known in formats.items()}
    return pd.DataFrame(columns, index=frame.index, copy=False)


def without_counter(frame: pd.DataFrame, path: str | Path, named: Collection[str | None] = ()) -> pd.DataFrame:
    """The frame without a column that numbers its rows, as ``df.to_csv()`` and R write one.

    Rows that are sorted by class, or by what is to be forecast, could be told by it.

    Args:
        frame: Of the training file.
        path: The file, for the warning.
        named: Columns that the user has named for something, which stay.
    """
    counters = [name for number, name in enumerate(frame.columns) if name not in named and _counts(frame, name, number)]
    for name in counters:
        title = f"The column {name!r}" if name else "The first column, without a name,"
        rank_zero_warn(f"{title} of {path} numbers the rows and is left out: give it another name to keep it.")
    return frame.drop(columns=counters)


def sorted_names(names: Collection[str]) -> list[str]:
    """Names in order: of numbers if all are whole numbers, else of texts."""
    try:
        return sorted(names, key=lambda name: (int(name), name))
    except ValueError:
        return sorted(names)


def warn_of_new(values: "pd.Series[Any]", known: Sequence[str], path: str | Path) -> None:
    """Warns of categories in another file that training does not have."""
    new = values.notna() & ~values.isin(known)
    if new.any():
        rank_zero_warn(
            f"{path}: {int(new.sum())} rows have a {values.name} that training does not have, such as "
            f"{values[new].iloc[0]!r} in line {line_of(new)}: all of these count as one unknown category."
        )


def summary(report: pd.DataFrame) -> str:
    """A report of the columns, as of ``column_report()`` of a datamodule, in a line for each use."""
    lines = []
    for use, rows in report.groupby("use", sort=False):
        named = [f"{name} ({note})" if note else name for name, note in zip(rows["column"], rows["note"], strict=True)]
        lines.append(f"  {use}: {', '.join(named[:12])}" + (f" and {len(named) - 12} more" if len(named) > 12 else ""))
    return "\n".join(lines)


def _present(column: "pd.Series[str]") -> "pd.Series[str]":
    """What is written there, but for what stands for nothing where numbers are."""
    return column[~column.isin(MISSING)]


def _are_truths(present: "pd.Series[str]") -> bool:
    """Whether all are True or False; the first one spares most columns the rest."""
    return present.iloc[0].lower() in ("true", "false") and bool(present.str.lower().isin(["true", "false"]).all())


def _is_numeric(reading: Reading, present: "pd.Series[str]", name: str, path: str | Path) -> bool:
    """Whether a column holds numbers; raises InputError if all but a few values are."""
    if not reading.misfits:
        return bool(reading.styles)
    few = len(reading.misfits) <= 0.1 * (reading.fits + len(reading.misfits)) and reading.fits > ENOUGH
    wrong = present.isin(list(reading.misfits))
    decimals = reading.marked and wrong.mean() <= 0.1
    if reading.styles and (few or decimals) and reading.fits:
        more = f" (and in {int(wrong.sum()) - 1} more rows)" if wrong.sum() > 1 else ""
        raise InputError(
            f"{path}, line {line_of(wrong)}{more}: {name} is {present[wrong].iloc[0]!r}, not a number as in the other "
            f"rows, such as {present[~wrong].iloc[0]}: repair it, leave the field empty if it is missing, or say that "
            f"the column holds categories with --data.categorical {name} (of a target, set its task to classification)."
        )
    return False


def _style(reading: Reading, marks: Collection[str], frame: pd.DataFrame, name: str, path: str | Path) -> Style:
    """Of the styles in which a column can be read, the one of its file."""
    separator = frame.attrs.get("separator", ",")
    usual = next(iter(marks)) if len(marks) == 1 else USUAL_DECIMAL[separator]
    if len(reading.decimals) > 1:
        pointed = any(style == Style(".", unit=style.unit) for style in reading.styles)
        if len(marks) > 1 or (not marks and separator == ";" and pointed):
            raise InputError(
                f"{path}: the numbers of {name} may have a decimal mark or a separator of thousands, such as "
                f"{_marked(frame[name])}: write them without separators of thousands, and some with another number of "
                "decimals than three."
            )
    return next((style for style in reading.styles if style.decimal == usual), reading.styles[0])


def _marked(column: "pd.Series[str]") -> str:
    return str(column[column.str.contains(r"\d[.,]\d")].iloc[0])


def _counts(frame: pd.DataFrame, name: str, number: int) -> bool:
    """Whether a column numbers the rows, by its name and its values."""
    unnamed = all(re.fullmatch(UNNAMED, column) for column in frame.columns[: number + 1])
    if not unnamed and name not in COUNTERS:
        return False
    texts = frame[name]
    return bool(texts.str.fullmatch(r"\d+").all()) and (unnamed or texts.is_unique)
