"""Turning the columns of a table into numbers, with statistics of the training part only."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from nnzoo.data.tables.dates import date_columns, split_dates, with_hours
from nnzoo.errors import InputError

Scaling = Literal["standardize", "minmax", "none"]
MISSING = "(missing)"
ENOUGH = 20
"""Rows that do not happen to hold their own numbers."""
WHITE = "white"
"""Of the ``attrs`` of a table of grey values that are kept as bytes: the one that stands for 1."""
ROWS, COLUMNS = 1024, 8
"""Of how many rows, and of how many columns, the numbers are in double precision at once."""
ID = re.compile(r"(^|_| )id$|^index$|[a-z]Id$|[a-zA-Z]ID$|^ID$|^Id$")
"""Names of columns that number the rows."""


class Columns(NamedTuple):
    """Rows as arrays: standardised numbers (n, N) and codes of categories (n, C), 0 for one not seen in training."""

    numeric: NDArray[np.float32]
    categories: NDArray[np.int64]


@dataclass
class Preprocessor:
    """Turns a table's columns into numbers, by statistics of the training rows only (:meth:`fit`).

    Numeric columns: heavy-tailed ones as log(1 + x / median), then scaled; a missing value becomes 0 (standardised, the
    mean), and a column with missing values gets an indicator column beside it.
    Texts and truth values are categories; a missing one is a category of its own; one never seen in training is 0.
    Dates become days, months and weekdays (:func:`nnzoo.data.tables.dates.split_dates`).
    Where a table's ``attrs`` name the number of white, its numbers are grey values, which become 1 there.
    Columns of one value are left out, and so are identifiers: texts that differ in most rows that have one, and whole
    numbers that differ in all, in a column called id or something_id.

    Its fields are plain values, which a checkpoint can keep (:meth:`plain`).

    Attributes:
        dates: Columns of dates, and in ``hours`` those with times of day.
        numeric: Numeric columns, parts of dates included.
        categories: Categories of each categorical column, in order.
        left_out: Why a column is left out.
        logged: Of which numeric columns the logarithm is taken, with ``medians`` of what is above 0.
        centers: What is subtracted from each numeric column, and in ``spreads`` what it is divided by.
        indicators: Numbers of the numeric columns with missing values.
    """

    dates: list[str]
    hours: list[str]
    numeric: list[str]
    categories: dict[str, list[str]]
    left_out: dict[str, str]
    logged: list[bool] = field(default_factory=list)
    medians: list[float] = field(default_factory=list)
    centers: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)
    indicators: list[int] = field(default_factory=list)

    @classmethod
    def fit(
        cls,
        train: pd.DataFrame,
        categorical: Sequence[str] = (),
        log_columns: Sequence[str] | Literal["auto"] = "auto",
        scaling: Scaling = "standardize",
        required: bool = True,
    ) -> "Preprocessor":
        """Finds out what becomes of each column.

        Args:
            train: Training rows, without the target.
            categorical: Columns to treat as categories; texts always are, unless most rows have another.
            log_columns: Columns to take the logarithm of; "auto" takes those that are never negative, with a skewness
                above 2 and a maximum above ten times the median.
            scaling: Of numeric columns: standardize (mean 0, standard deviation 1) | minmax (to [0, 1]) | none.
            required: Whether it is an error if no column is left.
        """
        dates, hours = date_columns(train), with_hours(train)
        train = split_dates(train, dates, hours)
        numeric = train.select_dtypes("number").columns.difference(list(categorical), sort=False)
        texts = train.columns.difference(numeric, sort=False)
        left_out = {c: "one value only" for c in train.columns if _constant(train[c])}
        for c in texts:
            # An embedding of names that are different in every row learns the training rows by heart.
            if c not in categorical and train[c].nunique() > max(20, 0.5 * train[c].count()):
                left_out[c] = "another text in most rows, as of identifiers; --data.categorical keeps it"
        for c in numeric:
            if ID.search(str(c)) and train[c].is_unique and (train[c].dropna() % 1 == 0).all():
                left_out[c] = "numbers the rows by its name; rename it to keep it"
        _warn_left_out(left_out)
        _warn_of_counters(train, [c for c in numeric if c not in left_out])
        categories = {c: sorted(set(_texts(train[c]))) for c in texts if c not in left_out}
        fitted = cls(dates, hours, [c for c in numeric if c not in left_out], categories, left_out)
        if required and not fitted.numeric and not categories:
            raise InputError("No column of the table can be learned from: they are constant, or identifiers.")
        if log_columns != "auto":
            for column in log_columns:
                if column not in fitted.numeric or train[column].min() < 0:
                    raise InputError(f"--data.log_columns takes numeric columns that are never negative: not {column}.")
        for start in range(0, len(fitted.numeric), COLUMNS):
            fitted._fit_numbers(train, fitted.numeric[start : start + COLUMNS], log_columns, scaling)
        return fitted

    def _fit_numbers(
        self, train: pd.DataFrame, names: list[str], log_columns: Sequence[str] | Literal["auto"], scaling: Scaling
    ) -> None:
        """Adds what becomes of some columns to that of the columns before them."""
        numbers, before = _numbers(train, names), len(self.logged)
        logged = heavy_tailed(numbers) if log_columns == "auto" else [c in log_columns for c in names]
        columns = [values[values > 0] for values in numbers.T]
        medians = [float(np.median(values)) if len(values) else 1.0 for values in columns]
        logs = _log(numbers, logged, medians)
        centers, spreads = np.zeros(len(names)), np.ones(len(names))
        if scaling == "standardize":
            standard = StandardScaler().fit(logs)
            centers, spreads = standard.mean_, standard.scale_
        elif scaling == "minmax":
            limits = MinMaxScaler().fit(logs)
            # A column of one value and gaps has no range.
            centers, spreads = limits.data_min_, np.where(limits.data_range_ == 0, 1.0, limits.data_range_)
        self.logged, self.medians = [*self.logged, *logged], [*self.medians, *medians]
        self.centers, self.spreads = [*self.centers, *centers.tolist()], [*self.spreads, *spreads.tolist()]
        self.indicators = [*self.indicators, *(before + np.flatnonzero(np.isnan(numbers).any(axis=0))).tolist()]

    def plain(self) -> dict[str, Any]:
        """All fields, as a checkpoint can keep them."""
        return asdict(self)

    @property
    def num_numeric(self) -> int:
        """Number of numeric columns with their indicators, N."""
        return len(self.numeric) + len(self.indicators)

    @property
    def cardinalities(self) -> list[int]:
        """Number of categories of each categorical column."""
        return [len(names) for names in self.categories.values()]

    @property
    def fingerprint(self) -> str:
        """A digest of the columns and of all statistics: equal only where equal rows become equal numbers."""
        known: list[Any] = [self.numeric, list(self.categories), self.dates, *self.categories.values()]
        if self.numeric:
            probe = np.linspace(1.0, 2.0, len(self.numeric)), np.linspace(3.0, 5.0, len(self.numeric))
            known.append(self._scaled(np.stack(probe)).tolist())
        return hashlib.sha256(repr(known).encode()).hexdigest()[:12]

    def __call__(self, table: pd.DataFrame) -> Columns:
        """Transforms rows of a table with the same columns."""
        size = len(table)
        columns = Columns(
            np.zeros((size, self.num_numeric), np.float32), np.zeros((size, len(self.categories)), np.int64)
        )
        for start in range(0, size, ROWS):
            rows = slice(start, start + ROWS)
            some = split_dates(table.iloc[rows], self.dates, self.hours)
            if self.numeric:
                columns.numeric[rows] = self._scaled(_numbers(some, self.numeric))
            if not np.isfinite(columns.numeric[rows]).all():
                raise InputError("The table holds numbers too large for single precision: rescale those columns.")
            for number, (name, known) in enumerate(self.categories.items()):
                columns.categories[rows, number] = pd.Index(known).get_indexer(_texts(some[name])) + 1
        return columns

    def _scaled(self, numbers: NDArray[np.float64]) -> NDArray[np.float32]:
        scaled = (_log(numbers, self.logged, self.medians) - self.centers) / self.spreads
        missing = np.isnan(numbers)
        if not missing.any() and not self.indicators:
            return scaled.astype(np.float32)
        return np.concatenate([np.where(missing, 0.0, scaled), missing[:, self.indicators]], axis=1).astype(np.float32)


def _numbers(table: pd.DataFrame, names: Sequence[str]) -> NDArray[np.float64]:
    columns = table[list(names)]
    if WHITE in table.attrs:
        numbers = (columns.to_numpy(dtype=np.float32) / np.float32(table.attrs[WHITE])).astype(np.float64)
    else:
        numbers = columns.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(numbers).any():
        column = names[int(np.flatnonzero(np.isinf(numbers).any(axis=0))[0])]
        raise InputError(f"The column {column} holds infinite values: repair or remove them.")
    return numbers


def _log(numbers: NDArray[np.float64], logged: Sequence[bool], medians: Sequence[float]) -> NDArray[np.float64]:
    if not any(logged):
        return numbers
    # A value below 0 can turn up outside the training rows only; its size still counts, with its sign.
    logs = np.sign(numbers) * np.log1p(np.abs(numbers) / medians)
    return np.where(logged, logs, numbers)


def _texts(column: "pd.Series[Any]") -> NDArray[np.str_]:
    if WHITE in column.attrs:
        column = column.astype(np.float32) / np.float32(column.attrs[WHITE])
    return column.astype(object).where(column.notna(), MISSING).astype(str).to_numpy()


def _constant(column: "pd.Series[Any]") -> bool:
    values = column.to_numpy() if isinstance(column.dtype, np.dtype) and column.dtype.kind in "fiu" else None
    if values is not None and len(values) and not np.isnan(values[0]):
        return bool((values == values[0]).all())  # ten times as fast as counting different ones
    return column.nunique(dropna=False) <= 1


def _warn_left_out(left_out: Mapping[str, str]) -> None:
    for reason in dict.fromkeys(left_out.values()):
        columns = [column for column, why in left_out.items() if why == reason]
        shown = ", ".join(map(str, columns[:5])) + (", ..." if len(columns) > 5 else "")
        rank_zero_warn(f"Left out ({reason}): {shown}.")


def _warn_of_counters(train: pd.DataFrame, names: Sequence[str]) -> None:
    """Warns of columns that count the lines of the file, whatever their name: of sorted rows they tell the target."""
    lines = train.index.to_series()
    ahead = train.iloc[: ENOUGH + 1][names].to_numpy(np.float64) - lines.to_numpy()[: ENOUGH + 1, None]
    # The first rows spare most columns the rest; a gap there says nothing.
    steady = ~(np.abs(ahead - ahead[:1]) > 0).any(axis=0) if len(train) > ENOUGH else [False] * len(names)
    # Rows are a random part of the file, so that a column that rises with the lines by chance does not go with all.
    likely = [name for name, is_steady in zip(names, steady, strict=True) if is_steady]
    counting = [name for name in likely if (train[name] - lines).nunique() == 1]
    if counting:
        rank_zero_warn(
            f"{', '.join(map(str, counting))} counts the rows as they stand in the file: leave it out with --data.drop "
            "unless it says something of its own, as it tells the target of rows that are sorted."
        )


def heavy_tailed(numbers: NDArray[np.float64]) -> list[bool]:
    """Which columns (n, N) are never negative and have a skewness above 2 and a maximum above ten times the median."""
    found = []
    for column in numbers.T:
        values = column[~np.isnan(column)]
        spread = values.std() if len(values) else 0.0
        if not spread or values.min() < 0:
            found.append(False)
            continue
        skewness = np.mean(((values - values.mean()) / spread) ** 3)
        found.append(bool(skewness > 2 and values.max() > 10 * np.median(values[values > 0])))
    return found
