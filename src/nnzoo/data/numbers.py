"""Numbers as files write them: decimal points or commas, separators of thousands, a currency, percent or a unit."""

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nnzoo.data.csv_file import joined

MISSING = frozenset(
    {"", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "-NaN", "nan", "-nan", "NULL", "null", "None"}
)
"""What stands for no number, as pandas reads files."""

SPACES, APOSTROPHES = " \u00a0\u202f", "'\u2019"
CURRENCY = r"[A-Z]{0,3}[$€£¥₹]"
LETTER = r"[^\W\d_]|[%‰°/²³·$€£¥₹]"
WRITTEN = re.compile(
    rf"(?P<sign>[+\-\u2212]?)(?P<before>(?:{CURRENCY})?)\s*(?P<inner>[+\-\u2212]?)"
    rf"(?P<digits>\d(?:[\d.,{APOSTROPHES}{SPACES}]*[\d.,])?|[.,]\d+)(?P<power>(?:[eE][+-]?\d+)?)"
    rf"\s*(?P<after>(?:(?:{LETTER}){{1,12}}(?: (?:{LETTER}){{1,12}})?)?)"
)
"""A number with what may stand around it."""
PLAIN = re.compile(r"[0-9.+\-eE\0]*")
"""What a column of plain numbers is written with."""
FAR = 1000
"""Standard deviations from 0 beyond which single precision blurs a number by more than a few thousandths of one."""
CODE = re.compile(r"[+-]?0\d+")
"""Digits that are no number, such as a postal code: a number would lose its zeros."""


@dataclass(frozen=True)
class Style:
    """How the numbers of a column are written.

    Attributes:
        decimal: Its decimal mark, a point or a comma.
        thousands: Its separator of thousands; empty if it has none.
        unit: The currency, percent sign or unit that stands at every number; empty if there is none.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""

    def read(self, texts: "pd.Series[str]") -> "pd.Series[float]":
        """The numbers of a column, NaN where a text is not one of this style."""
        if self == Style():
            numbers = plain_numbers(texts)
            if not numbers.isna().any():
                return numbers
            others = texts[numbers.isna() & ~texts.isin(MISSING)]
            return numbers.fillna(others.map(self.number).astype(float))
        return texts.map({text: self.number(text) for text in texts.unique()}).astype(float)

    def number(self, text: str) -> float:
        """The number that a text stands for; NaN if it is not of this style."""
        parts = split(text)
        if parts is None or parts.unit != self.unit:
            return float("nan")
        if not grammar(self.decimal, self.thousands).fullmatch(parts.digits):
            return float("nan")
        digits = re.sub(rf"[^\d{self.decimal}]", "", parts.digits).replace(self.decimal, ".")
        return float(parts.sign + digits + parts.power)


@dataclass(frozen=True)
class Parts:
    """A number's pieces as written: sign, digits with their marks, power of ten, unit."""

    sign: str
    digits: str
    power: str
    unit: str


def split(text: str) -> Parts | None:
    """The pieces of a text that may be a number; None if it cannot be one."""
    match = WRITTEN.fullmatch(text)
    if match is None or (match["sign"] and match["inner"]) or (match["before"] and match["after"]):
        return None
    sign = (match["sign"] or match["inner"]).replace("\u2212", "-")
    return Parts(sign, match["digits"], match["power"], match["before"] or match["after"])


@functools.cache
def grammar(decimal: str, thousands: str) -> re.Pattern[str]:
    """What digits look like with these marks."""
    mark = re.escape(decimal)
    plain = rf"\d+(?:{mark}\d*)?|{mark}\d+"
    if not thousands:
        return re.compile(plain)
    group = {" ": SPACES, "'": APOSTROPHES}.get(thousands, thousands)
    return re.compile(rf"{plain}|[1-9]\d{{0,2}}(?:[{group}]\d{{3}})+(?:{mark}\d*)?")


MARKS = [(".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'")]
"""Decimal mark and separator of thousands; those without one come first, as none is needed to read 1.5."""


@dataclass(frozen=True)
class Reading:
    """In which styles a column's texts can be read.

    Attributes:
        styles: Those in which most of them can; empty if they are codes, or none is a number.
        misfits: The texts that cannot be read in these.
        fits: How many different ones can.
        marked: Whether any number has a mark.
    """

    styles: Sequence[Style] = ()
    misfits: frozenset[str] = frozenset()
    fits: int = 0
    marked: bool = False

    @property
    def decimals(self) -> set[str]:
        """The decimal marks that are possible, if there is any mark."""
        return {style.decimal for style in self.styles} if self.marked else set()


def plain_numbers(texts: "pd.Series[str]") -> "pd.Series[float]":
    """The numbers of a column as pandas reads them, NaN where a text is not one."""
    if PLAIN.fullmatch(joined(texts)):
        try:  # five times as fast as pandas, with the same bits; float alone would take 1_0 for a number
            return pd.Series(texts.to_numpy(dtype=object).astype(float), texts.index, name=texts.name)
        except ValueError:
            pass
    return pd.to_numeric(texts, errors="coerce").astype(float)


def plain_reading(texts: "pd.Series[str]") -> Reading | None:
    """The reading of a column of nothing but plain numbers, such as 1, -1.5 and 1e5; None if it has others.

    Args:
        texts: What is present.
    """
    numbers, text = plain_numbers(texts), joined(texts)
    if numbers.isna().any() or re.search(rf"\0{CODE.pattern}\0", text):
        return None
    if not exact(texts[numbers.abs() >= 2**53]):
        return Reading(misfits=frozenset(texts))
    marked = "." in text
    # Only 1.234 may have its point for a separator, and only where all with a point look like that.
    ambiguous = marked and not re.search(r"\.(?!\d{3}\0)", text)
    if ambiguous:
        ambiguous = all(re.fullmatch(r"[+-]?[1-9]\d{0,2}\.\d{3}", one) for one in texts if "." in one)
    styles = [Style(), Style(",", ".")] if ambiguous else [Style()]
    return Reading(styles, frozenset(), len(texts), marked)


def exact(texts: Iterable[str]) -> bool:
    """Whether float64 holds all whole numbers among these: identifiers must not become one another."""
    whole = [text for text in texts if re.fullmatch(r"[+-]?\d+", text)]
    return all(len(text) <= 15 or (len(text) < 300 and int(float(text)) == int(text)) for text in whole)


def reading_of(texts: Iterable[str]) -> Reading:
    """How a column's different texts can be read as numbers.

    Args:
        texts: Each once; what is missing left out.
    """
    found = {text: split(text) for text in texts}
    parts = [each for each in found.values() if each is not None]
    if not parts or any(CODE.fullmatch(text) for text in found) or not exact(found):
        return Reading(misfits=frozenset(found))
    units = pd.Series([each.unit for each in parts]).value_counts()
    unit = str(units.index[0])
    of_unit = [each for each in parts if each.unit == unit]
    counts = [sum(bool(grammar(*marks).fullmatch(each.digits)) for each in of_unit) for marks in MARKS]
    best = max(counts)
    styles = [Style(*marks, unit) for marks, count in zip(MARKS, counts, strict=True) if count == best]
    misfits = frozenset(text for text in found if np.isnan(styles[0].number(text)))
    marked = any(not each.digits.isdigit() for each in of_unit)
    return Reading(styles, misfits, best, marked)


def offset_of(numbers: NDArray[np.float64]) -> float:
    """What to subtract from numbers before they become single precision: 0, or their mean if they are far from 0."""
    mean, std = float(numbers.mean()), float(numbers.std())
    return float(round(mean)) if np.isfinite(mean) and abs(mean) > FAR * std > 0 else 0.0
