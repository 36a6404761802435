"""The target of a table: classes by their names, or numbers."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from nnzoo.data.csv_file import line_of
from nnzoo.data.facts import fact
from nnzoo.data.numbers import CODE, offset_of
from nnzoo.errors import InputError

Task = Literal["classification", "regression"]
MAX_INTEGER_CLASSES = 20


def task_of(target: pd.Series) -> Task:
    """Classification of texts, truth values and integers with at most 20 different values; otherwise regression.

    Raises:
        InputError: If most of the target's values are numbers and some are not.
    """
    if pd.api.types.is_bool_dtype(target):
        return "classification"
    if not pd.api.types.is_numeric_dtype(target):
        wrong = pd.to_numeric(target, errors="coerce").isna() & target.notna()
        if wrong.any() and wrong.mean() < 0.5 and not target.str.fullmatch(CODE.pattern).any():
            raise InputError(
                f"The target {target.name} holds {target[wrong].iloc[0]!r} in line {line_of(wrong)}, which is not a "
                "number: repair or remove such rows, or set --data.task classification."
            )
        if target.nunique() > max(MAX_INTEGER_CLASSES, 0.5 * len(target)):
            raise InputError(
                f"The target {target.name} holds {target.nunique()} different texts in {len(target)} rows, too many "
                "to be classes: repair those that should be numbers, or choose another column."
            )
        return "classification"
    few = target.nunique() <= MAX_INTEGER_CLASSES
    return "classification" if few and (target.dropna() % 1 == 0).all() else "regression"


def class_names(target: pd.Series) -> pd.Series:
    """The class of each row as a text: whole numbers without decimals."""
    if pd.api.types.is_float_dtype(target) and (target % 1 == 0).all():
        target = target.astype(np.int64)
    return target.astype(str)


def class_numbers(target: pd.Series, classes: Sequence[str], path: str | None) -> Tensor:
    """The number of each row's class; raises InputError if the file holds a class that training does not have."""
    names = class_names(target)
    known: Any = np.array(classes, dtype=object)
    codes = pd.Index(known).get_indexer(pd.Index(names.to_numpy(dtype=object))).astype(np.int64)
    if (codes < 0).any():
        name = names.iloc[int(np.flatnonzero(codes < 0)[0])]
        raise InputError(f"{path} holds the class {name}, which is not in --data.csv.")
    return torch.from_numpy(codes)


def finite_numbers(target: pd.Series) -> NDArray[np.float64]:
    """The target as numbers; raises InputError if one is not finite."""
    numbers = pd.to_numeric(target, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = pd.Series(~np.isfinite(numbers), target.index)
    if wrong.any():
        raise InputError(
            f"The target {target.name} holds {target[wrong].iloc[0]!r} in line {line_of(wrong)}, which is not a finite "
            "number: repair or remove such rows."
        )
    return numbers


class TargetFacts:
    """What a regression knows of its targets; a datamodule adds it, and says which numbers they are."""

    task: Any
    _targets: Any
    _rows: Any

    @property
    @abstractmethod
    def known_target(self) -> pd.Series:
        """The target of the samples of which it is known."""

    @fact
    def target_offset(self) -> float:
        """What is subtracted from the targets in batches: 0, unless they are so far from 0 that float32 blurs them."""
        return offset_of(finite_numbers(self.known_target)) if self.task == "regression" else 0.0

    @fact
    def target_mean(self) -> float:
        """Mean of the training targets."""
        return self.target_offset + float(self._targets[self._rows["train"]].double().mean())

    @fact
    def target_std(self) -> float:
        """Standard deviation of the training targets."""
        return float(self._targets[self._rows["train"]].double().std(correction=0))


def check_numbers(numbers: NDArray[np.float64], parts: Mapping[str, Tensor], name: str) -> None:
    """Raises InputError if the target, of that name, cannot be regressed on, or a part is too small for it."""
    if numbers[parts["train"].numpy()].std() == 0:
        raise InputError(f"The target {name} is constant: choose a column that varies.")
    if np.abs(numbers).max() > 1e30 or numbers.std() < 1e-12 * np.abs(numbers).max():
        raise InputError(f"The target {name} is too large, or varies too little, for the machine: rescale it.")
    if min(map(len, parts.values())) < 2:
        raise InputError("Regression needs two rows or more in every part: add rows or change the fractions.")
