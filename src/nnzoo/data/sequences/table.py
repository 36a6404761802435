"""Sequences from a CSV file: a row for each step, a column that says which sequence it belongs to."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nnzoo.data.csv_file import check_columns, read_csv
from nnzoo.data.tables.preprocessor import MAX_INTEGER_CLASSES
from nnzoo.data.times import read_times
from nnzoo.errors import InputError

TargetType = Literal["auto", "classes", "number"]


class SequenceTable:
    """Sequences, features and targets of a CSV file.

    Args:
        path: The file; its first line names the columns.
        target: Column to predict: one value for each sequence where it is constant in every sequence, else per step;
            None for sequences that are to be predicted.
        time: Column that orders the steps of a sequence (numbers or dates); the order of the file if None.
        group: Column that names the sequence of each row.
        target_type: classes | number | auto: text, booleans and up to 20 whole numbers are classes.
        drop: Columns to leave out.
        features: Columns to read as features; all the others if None.
        option: The flag ``--data.OPTION`` that names the file, for errors.

    Raises:
        InputError: If the file cannot be read, or a column is missing or unusable.
    """

    def __init__(
        self,
        path: str,
        target: str | None,
        time: str | None,
        group: str,
        target_type: TargetType = "auto",
        drop: Sequence[str] = (),
        features: list[str] | None = None,
        option: str = "csv",
    ) -> None:
        self.path, self.target, self.time, self.group = Path(path), target, time, group
        self.target_type = target_type
        frame = read_csv(self.path, option)
        named = {"target": target, "time": time, "group": group}
        for name, column in named.items():
            check_columns(frame, [column] if column is not None else [], f"--data.{name}", self.path)
        check_columns(frame, [] if features else drop, "--data.drop", self.path)
        if len({*filter(None, named.values())}) < sum(column is not None for column in named.values()):
            raise InputError("--data.target, --data.time and --data.group must be different columns.")
        check_columns(frame, features or [], "the same features as in --data.csv", self.path)
        self.features = features or [column for column in frame.columns if column not in {*named.values(), *drop}]
        """Names of the feature columns, D."""
        used = [*self.features, *filter(None, named.values())]
        missing = frame[used].isna()
        if missing.any(axis=None):
            row = int(missing.any(axis=1).argmax())
            column = missing.columns[missing.iloc[row]][0]
            raise InputError(f"{self.path}, line {row + 2}: {column} is empty or NaN: fill it in or remove the row.")
        # A sequence's rows need not stand together; their order within the sequence is kept.
        self.frame = frame.assign(**{_LINE: np.arange(len(frame)) + 2}).sort_values(group, kind="stable")
        self._check_times()
        self._check_features()

    def _check_times(self) -> None:
        if self.time is None:
            return
        times = read_times(self.frame[self.time], self.path)
        if not pd.api.types.is_numeric_dtype(times):
            times = times.astype("int64")
        later = times.groupby(self.frame[self.group]).diff()  # NaN at the first step of each sequence
        wrong = (later <= 0).to_numpy()
        if wrong.any():
            row = self.frame.iloc[int(wrong.argmax())]
            what = "repeats the one before it" if later.iloc[int(wrong.argmax())] == 0 else "is out of order"
            raise InputError(
                f"{self.path}, line {row[_LINE]}: in sequence {row[self.group]} the time {row[self.time]} {what}: sort "
                f"the rows of each sequence by {self.time}, one row for each time."
            )

    def _check_features(self) -> None:
        if not self.features:
            raise InputError(f"{self.path} has no feature columns beside target, time and group.")
        for column in self.features:
            kind = self.frame[column].dtype
            if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)):
                raise InputError(
                    f"The column {column} of {self.path} is not numeric: encode it as numbers, or leave it out with "
                    "--data.drop."
                )
            if not np.isfinite(self.frame[column].to_numpy(float)).all():
                raise InputError(f"The column {column} of {self.path} holds infinite values: repair or remove them.")

    @cached_property
    def values(self) -> Tensor:
        """The features of all steps, one sequence after the other (S, D), as they are in the file."""
        return torch.from_numpy(self.frame[self.features].to_numpy(np.float64))

    @cached_property
    def lengths(self) -> Tensor:
        """Steps of each sequence (N,)."""
        return torch.from_numpy(self.frame.groupby(self.group).size().to_numpy(np.int64).copy())

    @property
    def sequences(self) -> pd.DataFrame:
        """A line for each sequence: its name, and its target where that is known."""
        columns = [self.group] if self.target is None else [self.group, self.target]
        return self.frame[columns].drop_duplicates(self.group).reset_index(drop=True)

    @property
    def steps(self) -> pd.DataFrame:
        """A line for each step, as in the file but sequence by sequence."""
        return self.frame.drop(columns=_LINE).reset_index(drop=True)

    @cached_property
    def per_step(self) -> bool:
        """Whether the target varies within a sequence."""
        return bool((self.frame.groupby(self.group)[self.target].nunique() > 1).any())

    @property
    def why(self) -> str:
        """Where the target shows whether it belongs to steps or to sequences, for errors."""
        if not self.per_step:
            return f"the target {self.target} is the same at all steps of each sequence"
        changes = self.frame[self.target] != self.frame.groupby(self.group)[self.target].transform("first")
        row = self.frame[changes].iloc[0]
        return f"the target {self.target} changes within sequence {row[self.group]}, line {row[_LINE]}"

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes; empty if the target is a number."""
        column = self.frame[self.target]
        numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if self.target_type == "number" and not numeric:
            raise InputError(f"The target {self.target} is not numeric: choose another, or --data.target_type classes.")
        whole = not numeric or (column == column.round()).all()
        few = not numeric or (whole and column.nunique() <= MAX_INTEGER_CLASSES)
        if self.target_type == "number" or (self.target_type == "auto" and not few):
            return []
        if column.nunique() < 2:
            raise InputError(f"The target {self.target} has one class only, {column.iloc[0]}: choose another column.")
        return [str(value) for value in np.unique(column.to_numpy())]

    @cached_property
    def task(self) -> str:
        """What kind of target it is: classification, regression or tagging."""
        if not self.per_step:
            return "classification" if self.classes else "regression"
        if self.classes:
            return "tagging"
        raise InputError(
            f"The target {self.target} is a number that changes within a sequence: use the recipe forecaster, or "
            "choose a target that is constant in every sequence."
        )

    @cached_property
    def targets(self) -> Tensor:
        """Class numbers or values: per step (S,) or per sequence (N,)."""
        column = self.frame[self.target]
        if not self.per_step:
            column = column.groupby(self.frame[self.group]).first()
        if self.classes:
            return torch.from_numpy(np.unique(column.to_numpy(), return_inverse=True)[1].astype(np.int64))
        return torch.from_numpy(column.to_numpy(np.float32).copy())


_LINE = "line of the file"
