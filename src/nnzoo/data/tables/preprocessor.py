"""Turning the columns of a table into numbers, with statistics of the training part only."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OrdinalEncoder, StandardScaler

from nnzoo.data.tables.dates import DateParts
from nnzoo.errors import InputError

Task = Literal["classification", "regression"]
Scaling = Literal["standardize", "minmax", "none"]
MISSING = "(missing)"
MAX_INTEGER_CLASSES = 20
ID = re.compile(r"(^|_| )id$|^index$|[a-z]Id$|[a-zA-Z]ID$|^ID$|^Id$")
"""Names of columns that number the rows."""


def task_of(target: pd.Series) -> Task:
    """Classification of texts, truth values and integers with at most 20 different values; otherwise regression.

    Raises:
        InputError: If most of the target's values are numbers and some are not.
    """
    if pd.api.types.is_bool_dtype(target):
        return "classification"
    if not pd.api.types.is_numeric_dtype(target):
        numbers = pd.to_numeric(target, errors="coerce")
        wrong = numbers.isna() & target.notna()
        if wrong.any() and wrong.mean() < 0.5:
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"The target {target.name} holds {target.iloc[row]!r} in row {row + 1}, which is not a number: repair "
                "or remove such rows, or set --data.task classification."
            )
        if target.nunique() > max(MAX_INTEGER_CLASSES, 0.5 * len(target)):
            raise InputError(
                f"The target {target.name} holds {target.nunique()} different texts in {len(target)} rows, too many "
                "to be classes: write numbers with a decimal point and no separators of thousands, or choose another."
            )
        return "classification"
    few = target.nunique() <= MAX_INTEGER_CLASSES
    return "classification" if few and (target.dropna() % 1 == 0).all() else "regression"


class Columns(NamedTuple):
    """Rows as arrays: standardised numbers (n, N) and codes of categories (n, C), 0 for one not seen in training."""

    numeric: NDArray[np.float32]
    categories: NDArray[np.int64]


class Preprocessor:
    """Turns a table's columns into numbers, by statistics of the training rows only.

    Numeric columns: heavy-tailed ones as log(1 + x / median), then scaled; a missing value becomes 0 (standardised, the
    mean), and a column with missing values gets an indicator column beside it.
    Texts and truth values are categories; a missing one is a category of its own; one never seen in training is 0.
    Dates become days, months and weekdays (:class:`nnzoo.data.tables.dates.DateParts`).
    Columns of one value are left out, and so are identifiers: texts that differ in most rows, and whole numbers that
    differ in all, in a column called id or something_id.

    Args:
        train: Training rows, without the target.
        categorical: Columns to treat as categories; texts always are, unless most rows have another.
        log_columns: Columns to take the logarithm of; "auto" takes those that are never negative, with a skewness above
            2 and a maximum above ten times the median.
        scaling: Of numeric columns: standardize (mean 0, standard deviation 1) | minmax (to [0, 1]) | none.
    """

    def __init__(
        self,
        train: pd.DataFrame,
        categorical: Sequence[str] = (),
        log_columns: Sequence[str] | Literal["auto"] = "auto",
        scaling: Scaling = "standardize",
    ) -> None:
        self._split_dates = DateParts(train, list(categorical))
        train = self._split_dates(train)
        numeric = train.select_dtypes("number").columns.difference(list(categorical), sort=False)
        texts = train.columns.difference(numeric, sort=False)
        constant = [c for c in train.columns if train[c].nunique(dropna=False) <= 1]
        # An embedding of names that are different in every row learns the training rows by heart.
        identifiers = [c for c in texts if c not in categorical and train[c].nunique() > max(20, 0.5 * len(train))]
        numbered = [
            c for c in numeric if ID.search(str(c)) and train[c].is_unique and (train[c].dropna() % 1 == 0).all()
        ]
        _warn_left_out(constant, "have one value only")
        _warn_left_out(identifiers, "have another text in most rows, as identifiers do (--data.categorical keeps them)")
        _warn_left_out(numbered, "are numbers of the rows by their name (rename them to keep them)")
        self.numeric = [c for c in numeric if c not in constant and c not in numbered]
        self.categorical = [c for c in texts if c not in constant and c not in identifiers]
        if not self.numeric and not self.categorical:
            raise InputError("No column of the table can be learned from: they are constant, or identifiers.")
        if log_columns != "auto":
            for column in log_columns:
                if column not in self.numeric or train[column].min() < 0:
                    raise InputError(f"--data.log_columns takes numeric columns that are never negative: not {column}.")
        self._encode = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.int64)
        if self.categorical:
            self._encode.fit(self._texts(train))
        self.num_numeric = len(self.numeric)
        """Number of numeric columns with their indicators, N."""
        if not self.numeric:
            return
        numbers = self._numbers(train)
        self.logged = heavy_tailed(numbers) if log_columns == "auto" else [c in log_columns for c in self.numeric]
        scales = np.nanmedian(np.where(numbers > 0, numbers, np.nan), axis=0) if any(self.logged) else None
        self._transform = make_pipeline(
            FunctionTransformer(self._log, kw_args={"scales": scales}),
            {"standardize": StandardScaler, "minmax": MinMaxScaler, "none": FunctionTransformer}[scaling](),
            SimpleImputer(strategy="constant", fill_value=0.0, add_indicator=True, keep_empty_features=True),
        ).fit(numbers)
        self.num_numeric += len(self._transform[-1].indicator_.features_)

    @property
    def fingerprint(self) -> str:
        """A digest of the columns and of all statistics: equal only where equal rows become equal numbers."""
        known: list[Any] = [self.numeric, self.categorical, self._split_dates.columns]
        if self.categorical:
            known += [list(names) for names in self._encode.categories_]
        if self.numeric:
            probe = np.linspace(1.0, 2.0, len(self.numeric)), np.linspace(3.0, 5.0, len(self.numeric))
            known.append(self._transform.transform(np.stack(probe)).astype(np.float32).tolist())
        return hashlib.sha256(repr(known).encode()).hexdigest()[:12]

    @property
    def cardinalities(self) -> list[int]:
        """Number of categories of each categorical column."""
        return [len(categories) for categories in self._encode.categories_] if self.categorical else []

    def __call__(self, table: pd.DataFrame) -> Columns:
        """Transforms rows of a table with the same columns."""
        table = self._split_dates(table)
        numeric = np.zeros((len(table), 0), np.float32)
        if self.numeric:
            numeric = self._transform.transform(self._numbers(table)).astype(np.float32)
        if not np.isfinite(numeric).all():
            raise InputError("The table holds numbers too large for single precision: rescale those columns.")
        codes = self._encode.transform(self._texts(table)) + 1 if self.categorical else np.zeros((len(table), 0))
        return Columns(numeric, codes.astype(np.int64))

    def _numbers(self, table: pd.DataFrame) -> NDArray[np.float64]:
        try:
            numbers = table[self.numeric].to_numpy(dtype=np.float64, na_value=np.nan)
        except (ValueError, TypeError) as error:
            raise InputError(f"A column that held numbers in training holds texts in other rows ({error}).") from error
        if np.isinf(numbers).any():
            column = self.numeric[int(np.flatnonzero(np.isinf(numbers).any(axis=0))[0])]
            raise InputError(f"The column {column} holds infinite values: repair or remove them.")
        return numbers

    def _log(self, numbers: NDArray[np.float64], scales: NDArray[np.float64] | None) -> NDArray[np.float64]:
        if scales is None:
            return numbers
        # A value below 0 can turn up outside the training rows only; its size still counts, with its sign.
        logs = np.sign(numbers) * np.log1p(np.abs(numbers) / np.where(np.isnan(scales), 1.0, scales))
        return np.where(self.logged, logs, numbers)

    def _texts(self, table: pd.DataFrame) -> NDArray[np.str_]:
        columns = table[self.categorical]
        return columns.astype(object).where(columns.notna(), MISSING).astype(str).to_numpy()


def _warn_left_out(columns: Sequence[str], reason: str) -> None:
    if columns:
        shown = ", ".join(map(str, columns[:5])) + (", ..." if len(columns) > 5 else "")
        rank_zero_warn(f"Columns that {reason} are left out: {shown}.")


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
