"""Sequences from a CSV file: a row for each step, a column that says which sequence it belongs to."""

from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nnzoo.errors import InputError

TargetType = Literal["auto", "classes", "number"]
MAX_CLASSES = 20
"""Whole numbers of at most so many values are taken for classes, if ``target_type`` does not say."""


class SequenceTable:
    """Sequences, features and targets of a CSV file.

    Args:
        path: The file; its first line names the columns.
        target: Column to predict: one value for each sequence where it is constant in every sequence, else per step.
        time: Column that orders the steps of a sequence (numbers or dates); the order of the file if None.
        group: Column that names the sequence of each row.
        target_type: classes | number | auto: text, booleans and up to 20 whole numbers are classes.

    Raises:
        InputError: If the file cannot be read, or a column is missing or unusable.
    """

    def __init__(
        self, path: str, target: str | None, time: str | None, group: str | None, target_type: TargetType = "auto"
    ) -> None:
        if target is None or group is None:
            raise InputError(
                "A CSV of sequences needs --data.target, the column to predict, and --data.group, the column that "
                "tells which sequence a row belongs to."
            )
        self.path, self.target, self.time, self.group = Path(path), target, time, group
        self.target_type = target_type
        self.frame = self._read()
        self._check_times()

    def _read(self) -> pd.DataFrame:
        try:
            frame = pd.read_csv(self.path)
        except FileNotFoundError as error:
            raise InputError(f"There is no file {self.path}: check --data.csv.") from error
        except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self.path} cannot be read as CSV ({error}): save it as comma-separated UTF-8."
            ) from error
        named = {"target": self.target, "time": self.time, "group": self.group}
        for option, column in named.items():
            if column is not None and column not in frame.columns:
                raise InputError(
                    f"{self.path} has no column {column}: set --data.{option} to one of {', '.join(frame.columns)}."
                )
        if len({*filter(None, named.values())}) < sum(column is not None for column in named.values()):
            raise InputError("--data.target, --data.time and --data.group must be different columns.")
        if frame.empty:
            raise InputError(f"{self.path} has a header but no rows.")
        missing = frame.isna().any(axis=1)
        if missing.any():
            row = int(np.argmax(missing))
            column = frame.columns[frame.iloc[row].isna()][0]
            raise InputError(f"{self.path}, line {row + 2}: {column} is empty or NaN: fill it in or remove the row.")
        # A sequence's rows need not stand together; their order within the sequence is kept.
        return frame.assign(**{_LINE: np.arange(len(frame)) + 2}).sort_values(self.group, kind="stable")

    def _check_times(self) -> None:
        if self.time is None:
            return
        times = self.frame[self.time]
        if not pd.api.types.is_numeric_dtype(times):
            try:
                times = pd.to_datetime(times).astype("int64")
            except (ValueError, TypeError) as error:
                raise InputError(f"The column {self.time} of {self.path} holds neither numbers nor dates.") from error
        later = times.groupby(self.frame[self.group]).diff()  # NaN at the first step of each sequence
        wrong = (later <= 0).to_numpy()
        if wrong.any():
            row = self.frame.iloc[int(wrong.argmax())]
            what = "repeats the one before it" if later.iloc[int(wrong.argmax())] == 0 else "is out of order"
            raise InputError(
                f"{self.path}, line {row[_LINE]}: in sequence {row[self.group]} the time {row[self.time]} {what}: sort "
                f"the rows of each sequence by {self.time}, one row for each time."
            )

    @cached_property
    def features(self) -> list[str]:
        """Names of the feature columns: all but target, time and group."""
        columns = [c for c in self.frame.columns if c not in (self.target, self.time, self.group, _LINE)]
        if not columns:
            raise InputError(f"{self.path} has no feature columns beside target, time and group.")
        for column in columns:
            kind = self.frame[column].dtype
            if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)):
                raise InputError(
                    f"The column {column} of {self.path} is not numeric: encode it as numbers or remove it."
                )
            if not np.isfinite(self.frame[column].to_numpy(float)).all():
                raise InputError(f"The column {column} of {self.path} holds infinite values: repair or remove them.")
        return columns

    @cached_property
    def values(self) -> Tensor:
        """The features of all steps, one sequence after the other (S, D), as they are in the file."""
        return torch.from_numpy(self.frame[self.features].to_numpy(np.float64))

    @cached_property
    def lengths(self) -> Tensor:
        """Steps of each sequence (N,)."""
        return torch.from_numpy(self.frame.groupby(self.group).size().to_numpy(np.int64).copy())

    @cached_property
    def per_step(self) -> bool:
        """Whether the target varies within a sequence."""
        return bool((self.frame.groupby(self.group)[self.target].nunique() > 1).any())

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes; empty if the target is a number."""
        column = self.frame[self.target]
        numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
        if self.target_type == "number" and not numeric:
            raise InputError(f"The target {self.target} is not numeric: choose another, or --data.target_type classes.")
        whole = not numeric or (column == column.round()).all()
        few = not numeric or (whole and column.nunique() <= MAX_CLASSES)
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
