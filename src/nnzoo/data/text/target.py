"""What is known of each text: a class, several labels, or a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nnzoo.data.columns import Format, Formats, formats_of, read_columns, sorted_names
from nnzoo.data.csv_file import line_of
from nnzoo.data.numbers import offset_of
from nnzoo.data.tables.target import class_names, finite_numbers, task_of
from nnzoo.errors import InputError

TextTask = Literal["classification", "multilabel", "regression"]
ON_OFF = {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0, "true": 1.0, "false": 0.0}
LISTED = "\n"
"""What stands between the labels that a JSON file has as a list."""


@dataclass(frozen=True)
class Target:
    """How labels become numbers, as the training file has it.

    Attributes:
        task: classification | multilabel | regression.
        classes: Names of the classes or labels in the order of their numbers; empty for regression.
        columns: The columns of labels.
        formats: What they hold, where that is read as in tables.
        separator: What stands between several labels in one column.
        offset: What is subtracted from numbers, see :func:`nnzoo.data.numbers.offset_of`.
    """

    task: TextTask
    classes: list[str]
    columns: list[str]
    formats: Formats
    separator: str | None = None
    offset: float = 0.0

    @classmethod
    def fit(cls, frame: pd.DataFrame, path: str, separator: str | None, asked: str) -> "Target":
        """Of the training file's columns of labels, as they are written.

        Raises:
            InputError: If labels are missing, or cannot be what they are asked to be.
        """
        columns = list(map(str, frame.columns))
        first = frame.iloc[:, 0]
        if len(columns) > 1:
            _check_asked(asked, "multilabel", "several columns of --data.target")
            return cls("multilabel", columns, columns, {})
        listed = bool(first.str.contains(LISTED, regex=False).any())
        if separator is not None or listed or asked == "multilabel":
            if separator is None and not listed:
                raise InputError(f"Several labels of a text in one column: say what is between them in {columns[0]} by "
                                 "--data.separator, such as ';'.")  # fmt: skip
            _check_asked(asked, "multilabel", "--data.separator" if separator else "lists of labels")
            names = sorted_names({name for names in _split(first, separator or LISTED) for name in names})
            if not names:
                raise InputError(f"{path}: no row has a label in {columns[0]}.")
            return cls("multilabel", names, columns, {}, separator or LISTED)
        _check_labelled(first, path)
        formats = formats_of(frame, path, columns if asked == "classification" else [])
        values = _read(frame, formats, path)
        task = task_of(values) if asked == "auto" else asked
        if task == "regression":
            if asked == "auto" and formats[columns[0]].style.decimal == "," and _may_be_listed(first):
                raise InputError(
                    f"{path}: {columns[0]} such as {first[first.str.contains(',')].iloc[0]!r} may be a number with a "
                    "decimal comma, or several labels: say --data.task regression, or --data.separator ','."
                )
            return cls("regression", [], columns, formats, offset=offset_of(finite_numbers(values)))
        names = sorted_names(set(class_names(values)))
        if len(names) < 2:
            raise InputError(f"{path}: {columns[0]} has one class only, {names[0]}: there is nothing to tell.")
        return cls("classification", names, columns, formats)

    def read(self, frame: pd.DataFrame, path: str) -> Tensor:
        """The labels of a file: class numbers (N,), numbers less the offset (N,), or zeros and ones (N, K), float32.

        Raises:
            InputError: If one is missing or none of the training file's, naming its line.
        """
        if self.task == "multilabel":
            return torch.tensor(self._several(frame, path))
        first = frame[self.columns[0]]
        _check_labelled(first, path)
        values = _read(frame[self.columns], self.formats, path)
        if self.task == "regression":
            return torch.from_numpy((finite_numbers(values) - self.offset).astype(np.float32))
        numbers_of = {name: number for number, name in enumerate(self.classes)}
        whole = values % 1 == 0 if pd.api.types.is_float_dtype(values) else None
        names = class_names(values) if whole is None else class_names(values.where(whole, -1)).where(whole, "")
        codes = names.map(numbers_of)
        self._check_known(codes.isna(), first, path)
        return torch.tensor(codes.to_numpy(np.int64))

    def _several(self, frame: pd.DataFrame, path: str) -> np.ndarray[Any, np.dtype[np.float32]]:
        if self.separator is None:
            found = frame[self.columns].apply(lambda column: column.str.lower().map(ON_OFF))
            for name in self.columns:
                wrong = found[name].isna()
                if wrong.any():
                    raise InputError(f"{path}, line {line_of(wrong)}: {name} is {frame[name][wrong].iloc[0]!r}, not 0 "
                                     "or 1 as of a label among several.")  # fmt: skip
            return found.to_numpy(np.float32)
        first = frame[self.columns[0]]
        numbers_of = {name: number for number, name in enumerate(self.classes)}
        split = _split(first, self.separator)
        new = pd.Series([any(name not in numbers_of for name in names) for names in split], first.index, dtype=bool)
        self._check_known(new, first, path)
        values = np.zeros((len(frame), len(self.classes)), np.float32)
        for row, names in enumerate(split):
            values[row, [numbers_of[name] for name in names]] = 1
        return values

    def _check_known(self, new: "pd.Series[bool]", written: "pd.Series[str]", path: str) -> None:
        if new.any():
            shown = ", ".join(self.classes[:10]) + (", ..." if len(self.classes) > 10 else "")
            raise InputError(
                f"{path}, line {line_of(new)}: the {written.name} {written[new].iloc[0]!r} is not among those of the "
                f"training file: {shown}."
            )

    def plain(self) -> dict[str, Any]:
        """As a dictionary that a checkpoint can keep."""
        formats = {name: known.plain() for name, known in self.formats.items()}
        return {
            **{name: getattr(self, name) for name in ("task", "classes", "columns", "separator", "offset")},
            "formats": formats,
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Target":
        """What :meth:`plain` returned."""
        return cls(**{**values, "formats": {name: Format.from_plain(v) for name, v in values["formats"].items()}})


def _check_asked(asked: str, found: str, why: str) -> None:
    if asked not in ("auto", found):
        raise InputError(f"--data.task {asked} does not go with {why}, which is for {found}: leave one of them out.")


def _split(texts: "pd.Series[str]", separator: str) -> list[list[str]]:
    return [[name.strip() for name in text.split(separator) if name.strip()] for text in texts]


def _may_be_listed(texts: "pd.Series[str]") -> bool:
    """Whether numbers with commas may be lists of whole ones instead: some have no comma."""
    return bool(texts.str.fullmatch(r"\d+(,\d+)*").all() and not texts.str.contains(",").all())


def _check_labelled(texts: "pd.Series[str]", path: str) -> None:
    missing = texts.str.strip() == ""
    if missing.any():
        raise InputError(
            f"{path}: {int(missing.sum())} rows have no {texts.name}, the first is line {line_of(missing)}: remove "
            "them or fill it in; texts without labels are for --data.predict_file."
        )


def _read(frame: pd.DataFrame, formats: Formats, path: str) -> "pd.Series[Any]":
    """The one column; a value that is written as a missing number, such as NA, is a class of that name."""
    name = str(frame.columns[0])
    values = read_columns(frame, formats, path)[name]
    missing = values.isna()
    if missing.any():
        raise InputError(
            f"{path}, line {line_of(missing)}: {name} is {frame[name][missing].iloc[0]!r}, which stands for a missing "
            "number: remove the row, or set --data.task classification if it is a class."
        )
    return values


def usual_names(columns: str | Sequence[str] | None) -> list[str]:
    """Names of columns, one or several or none."""
    return [] if columns is None else [columns] if isinstance(columns, str) else list(columns)
