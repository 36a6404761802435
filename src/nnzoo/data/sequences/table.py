"""Sequences from a CSV file: a row for each step, a column that says which sequence it belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nnzoo.data.columns import Formats, formats_of, read_columns, sorted_names, without_counter
from nnzoo.data.csv_file import check_columns, line_of, read_csv
from nnzoo.data.tables.target import MAX_INTEGER_CLASSES, class_names, class_numbers
from nnzoo.data.times import read_times
from nnzoo.errors import InputError

TargetType = Literal["auto", "classes", "number"]


@dataclass(frozen=True)
class SequenceColumns:
    """What the columns of a file of sequences are for, and what they hold in the training file.

    Attributes:
        target: Column to predict: one value for each sequence where it is constant in every sequence, else per step.
        time: Column that orders the steps of a sequence (numbers or dates); the order of the file if None.
        group: Column that names the sequence of each row.
        formats: Of the features, the target and the group.
    """

    target: str
    time: str | None
    group: str
    formats: Formats

    @property
    def features(self) -> list[str]:
        """Names of the feature columns, D."""
        return [name for name in self.formats if name not in (self.target, self.group)]


def columns_of(
    frame: pd.DataFrame,
    path: str,
    target: str,
    time: str | None,
    group: str,
    drop: Sequence[str] = (),
    target_type: TargetType = "auto",
) -> SequenceColumns:
    """The columns of a training file; raises InputError if one is missing, or a feature is not numeric.

    Args:
        frame: As :func:`nnzoo.data.plain_csv.read_table` gives it.
        path: The file, for errors.
        target: As of :class:`SequenceColumns`, like the next two.
        time: See there.
        group: See there.
        drop: Columns to leave out.
        target_type: classes | number | auto.
    """
    named = {"target": target, "time": time, "group": group}
    for name, column in named.items():
        check_columns(frame, [column] if column is not None else [], f"--data.{name}", path)
    check_columns(frame, drop, "--data.drop", path)
    if len({*filter(None, named.values())}) < sum(column is not None for column in named.values()):
        raise InputError("--data.target, --data.time and --data.group must be different columns.")
    used = without_counter(frame.drop(columns=list(drop)), path, [*named.values()])
    texts = {group, target} if target_type == "classes" else {group}
    formats = formats_of(used.drop(columns=[time] if time else []), path, texts)
    columns = SequenceColumns(target, time, group, formats)
    if not columns.features:
        raise InputError(f"{path} has no feature columns beside target, time and group.")
    for column in columns.features:
        if formats[column].kind not in ("number", "truth"):
            raise InputError(
                f"The column {column} of {path} is not numeric: encode it as numbers, or leave it out with --data.drop."
            )
    return columns


class SequenceTable:
    """Sequences, features and targets of a CSV file.

    Args:
        written: The file, as :func:`nnzoo.data.plain_csv.read_table` gives it, time and group as texts.
        path: Its path, for errors.
        columns: Those of the training file.
        with_target: Whether there is a target; otherwise the sequences are to be predicted.
        target_type: classes | number | auto: text, booleans and up to 20 whole numbers are classes.

    Raises:
        InputError: If a column is missing, or a value is missing, out of order, or written in another way than in the
            training file.
    """

    def __init__(
        self,
        written: pd.DataFrame,
        path: str,
        columns: SequenceColumns,
        with_target: bool = True,
        target_type: TargetType = "auto",
    ) -> None:
        self.path, self.columns, self.target_type = Path(path), columns, target_type
        self.target, self.time, self.group = columns.target, columns.time, columns.group
        self.with_target = with_target
        formats = {name: known for name, known in columns.formats.items() if with_target or name != columns.target}
        frame = read_columns(written, formats, path)
        if self.time is not None:
            check_columns(written, [self.time], "--data.time", path)
            frame[self.time] = written[self.time].where(written[self.time] != "")
        for column in columns.features:
            if formats[column].kind == "truth":
                frame[column] = frame[column].map({"False": 0.0, "True": 1.0})
        for column in frame.columns:
            missing = frame[column].isna()
            if missing.any():
                raise InputError(
                    f"{path}, line {line_of(missing)}: {column} is empty or NaN: fill it in or remove the row."
                )
        # A sequence's rows need not stand together; their order within the sequence is kept.
        names = sorted_names(set(frame[self.group]))
        self._order = np.argsort(pd.Categorical(frame[self.group], names).codes, kind="stable")
        self.frame = frame.iloc[self._order]
        self._check_times()
        infinite = np.isinf(self.frame[columns.features].to_numpy(float)).any(axis=0)
        if infinite.any():
            column = columns.features[int(infinite.argmax())]
            raise InputError(f"The column {column} of {path} holds infinite values: repair or remove them.")

    def _check_times(self) -> None:
        if self.time is None:
            return
        times = read_times(self.frame[self.time], self.path)
        if not pd.api.types.is_numeric_dtype(times):
            times = times.astype("int64")
        later = times.groupby(self.frame[self.group]).diff()  # NaN at the first step of each sequence
        wrong = later <= 0
        if wrong.any():
            row = int(wrong.to_numpy().argmax())
            what = "repeats the one before it" if later.iloc[row] == 0 else "is out of order"
            raise InputError(
                f"{self.path}, line {line_of(wrong)}: in sequence {self.frame[self.group].iloc[row]} the time "
                f"{self.frame[self.time].iloc[row]} {what}: sort the rows of each sequence by {self.time}, one row for "
                "each time."
            )

    @cached_property
    def values(self) -> Tensor:
        """The features of all steps, one sequence after the other (S, D), as they are in the file."""
        return torch.from_numpy(self.frame[self.columns.features].to_numpy(np.float64, copy=True))

    @cached_property
    def lengths(self) -> Tensor:
        """Steps of each sequence (N,)."""
        return torch.from_numpy(self.frame.groupby(self.group, sort=False).size().to_numpy(np.int64).copy())

    @cached_property
    def steps(self) -> pd.DataFrame:
        """The rows in the same order as texts, which only a table of predictions wants."""
        return read_csv(self.path).iloc[self._order]

    @property
    def sequences(self) -> pd.DataFrame:
        """A line for each sequence as written: its name, and its target where that is known."""
        columns = [self.group, self.target] if self.with_target else [self.group]
        return self.steps.loc[~self.frame[self.group].duplicated().to_numpy(), columns].reset_index(drop=True)

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
        name = self.frame[self.group][changes].iloc[0]
        return f"the target {self.target} changes within sequence {name}, line {line_of(changes)}"

    @cached_property
    def classes(self) -> list[str]:
        """Names of the classes; empty if the target is a number."""
        column = self.frame[self.target]
        numeric = pd.api.types.is_numeric_dtype(column)
        if self.target_type == "number" and not numeric:
            raise InputError(f"The target {self.target} is not numeric: choose another, or --data.target_type classes.")
        few = not numeric or ((column == column.round()).all() and column.nunique() <= MAX_INTEGER_CLASSES)
        if self.target_type == "number" or (self.target_type == "auto" and not few):
            return []
        names = class_names(column)
        if names.nunique() < 2:
            raise InputError(f"The target {self.target} has one class only, {names.iloc[0]}: choose another column.")
        return sorted_names(set(names))

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

    def targets(self, task: str, classes: Sequence[str]) -> Tensor:
        """Class numbers, or float64 values: per step (S,) when tagging, else per sequence (N,).

        Args:
            task: Of the training file.
            classes: Of the training file.
        """
        column = self.frame[self.target]
        if task != "tagging":
            if self.per_step:
                raise InputError(f"{self.path}: {self.why}, but in training it is the same at all steps of a sequence.")
            column = column[~self.frame[self.group].duplicated()]
        if classes:
            return class_numbers(column, classes, str(self.path))
        return torch.from_numpy(column.to_numpy(np.float64).copy())
