"""Where tables come from: scikit-learn's built-in sets, MNIST as vectors, or the user's own CSV file."""

import sys
import typing
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn import datasets

from nnzoo.data.csv_file import check_columns, read_csv
from nnzoo.data.images.module import ImageDataModule
from nnzoo.data.sources import Source, sources_in
from nnzoo.data.splits import PARTS
from nnzoo.errors import InputError


class Table(NamedTuple):
    """A table with a target.

    Attributes:
        rows: All rows without the target.
        target: The target of each row; classes by their names.
        official: The part that the data set gives each row; "train" where it gives none.
    """

    rows: pd.DataFrame
    target: pd.Series
    official: list[str]


class TableSource(Source):
    """A table, and what is known of it without loading it."""

    pixels: ClassVar[bool] = False
    """Whether its columns are grey values, which are scaled to [0, 1], and of which no logarithm is taken."""
    is_split: ClassVar[bool] = False
    """Whether it comes in the parts, and the folds, that the settings ask for."""

    @property
    def classes(self) -> list[str]:
        """Names of the classes; empty if they have to be looked for in the target."""
        return []

    @property
    def new_rows(self) -> pd.DataFrame | None:
        """Rows to predict in place of the test's, as they are in their file."""
        return None

    @abstractmethod
    def load(self) -> Table:
        """All rows, their target, and the official part of each."""

    def shown(self, rows: pd.DataFrame, numbers: NDArray[np.int64]) -> pd.DataFrame:
        """The columns of a table of predictions that say which of the loaded rows these are."""
        return pd.DataFrame({"row": numbers + 1})


class BuiltIn(TableSource):
    """A set that comes with scikit-learn, under its name there."""

    uses = ("test_fraction",)

    def load(self) -> Table:
        """All rows; there is no official test part."""
        bunch = getattr(datasets, f"load_{self.name}")()
        target = pd.Series(bunch.target, name="target")
        if "target_names" in bunch:
            target = pd.Series(np.asarray(bunch.target_names).astype(str)[bunch.target], name="class")
        rows = pd.DataFrame(bunch.data, columns=[str(column) for column in bunch.feature_names])
        check_columns(rows, self.settings["categorical"], "--data.categorical", self.name)
        return Table(rows, target, ["train"] * len(target))


class Digits(BuiltIn):
    """1,797 digits of 8x8 grey values in 10 classes."""

    name = "digits"
    pixels = True


class BreastCancer(BuiltIn):
    """569 tumours with 30 measurements in 2 classes."""

    name = "breast_cancer"


class Wine(BuiltIn):
    """178 wines with 13 measurements in 3 classes."""

    name = "wine"


class Iris(BuiltIn):
    """150 flowers with 4 measurements in 3 classes."""

    name = "iris"


class Diabetes(BuiltIn):
    """442 patients with 10 measurements, and how far their diabetes progressed in a year."""

    name = "diabetes"


class MNIST(TableSource):
    """MNIST's digits as 784 grey values in [0, 1], with their official test part."""

    name, folder = "mnist", "MNIST"
    uses = ("root",)
    pixels = is_split = True

    @cached_property
    def images(self) -> ImageDataModule:
        """The same digits as images."""
        shared = ("root", "val_fraction", "split_seed", "folds", "fold")
        return ImageDataModule(dataset="mnist", **{name: self.settings[name] for name in shared})

    @property
    def classes(self) -> list[str]:
        """The digits."""
        return self.images.classes

    def fetch(self) -> None:
        """Downloads MNIST if it is missing."""
        self.images.prepare_data()

    def load(self) -> Table:
        """All images, part by part."""
        parts = {part: self.images.tensors(part) for part in PARTS}
        pixels = torch.cat([images.flatten(1) for images, _ in parts.values()]).numpy()
        labels = torch.cat([labels for _, labels in parts.values()]).numpy()
        rows = pd.DataFrame(pixels, columns=[f"pixel {i}" for i in range(pixels.shape[1])])
        check_columns(rows, self.settings["categorical"], "--data.categorical", self.name)
        official = [part for part, (_, labels) in parts.items() for _ in range(len(labels))]
        return Table(rows, pd.Series(labels.astype(str), name="digit"), official)


class CSV(TableSource):
    """A file of the user's own, with a header and a row for each sample."""

    name = "csv"
    uses = ("csv", "target", "test_csv", "predict_csv", "drop", "test_fraction")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if not (settings["csv"] and settings["target"]):
            raise InputError("A table of your own needs --data.csv FILE and --data.target COLUMN.")

    @cached_property
    def new_rows(self) -> pd.DataFrame | None:
        """The rows of ``predict_csv``."""
        path = self.settings["predict_csv"]
        return read_csv(path, "predict_csv") if path else None

    def load(self) -> Table:
        """The rows of the file, and after them those of ``test_csv``."""
        path, name, drop, test_csv = (self.settings[option] for option in ("csv", "target", "drop", "test_csv"))
        rows = read_csv(path)
        for option, columns in {"target": [name], "drop": drop, "categorical": self.settings["categorical"]}.items():
            check_columns(rows, columns, f"--data.{option}", path)
        official = ["train"] * len(rows)
        if test_csv:
            test = same_columns(rows.drop(columns=list(drop)), read_csv(test_csv, "test_csv"), test_csv)
            rows, official = pd.concat([rows, test], ignore_index=True), official + ["test"] * len(test)
        missing = rows[name].isna()
        if missing.any():
            row = int(np.flatnonzero(missing)[0])
            raise InputError(
                f"{missing.sum()} rows have no {name}, the first is row {row + 1}: remove them or fill it in."
            )
        return Table(rows.drop(columns=[name, *drop]), rows[name], official)

    def shown(self, rows: pd.DataFrame, numbers: NDArray[np.int64]) -> pd.DataFrame:
        """The rows themselves."""
        return rows.iloc[numbers]


def same_columns(rows: pd.DataFrame, other: pd.DataFrame, path: str) -> pd.DataFrame:
    """The rows of another file with the columns of ``rows``, numbers where those are numbers."""
    check_columns(other, list(rows.columns), "the same columns as in --data.csv", path)
    for column in rows.select_dtypes("number").columns:
        if not pd.api.types.is_numeric_dtype(other[column]):
            raise InputError(f"The column {column} of {path} holds texts, in --data.csv numbers: repair it.")
    return other[list(rows.columns)]


SOURCES = typing.cast("dict[str, type[TableSource]]", sources_in(sys.modules[__name__]))
"""The tables by their names."""
