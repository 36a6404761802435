"""Where tables come from: scikit-learn's built-in sets, MNIST as vectors, or the user's own CSV file."""

import sys
import typing
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from sklearn import datasets

from nnzoo.data.columns import Formats, formats_of, read_columns, without_counter, written_otherwise
from nnzoo.data.csv_file import check_columns, line_of, read_csv
from nnzoo.data.images.dataset import ImageDataset
from nnzoo.data.images.module import ImageDataModule
from nnzoo.data.numbers import MISSING
from nnzoo.data.plain_csv import read_table
from nnzoo.data.sources import Source, sources_in
from nnzoo.data.splits import PARTS
from nnzoo.data.tables.preprocessor import WHITE
from nnzoo.errors import InputError


class Table(NamedTuple):
    """A table with a target.

    Attributes:
        rows: All rows without the target.
        target: The target of each row: numbers, or classes by their names.
        official: The part that the data set gives each row; "train" where it gives none.
        written: Reads all rows as they stand in the file, the target included, where there is a file.
    """

    rows: pd.DataFrame
    target: pd.Series
    official: list[str]
    written: Callable[[], pd.DataFrame] | None = None


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
    def formats(self) -> Formats:
        """What the columns of the training file hold, the target's included; nothing where there is no file."""
        return {}

    @abstractmethod
    def load(self) -> Table:
        """All rows, their target, and the official part of each."""


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
        """All images, part by part; grey values stay bytes, a quarter of what they are in batches."""
        self.images.setup()
        parts = {part: typing.cast(ImageDataset, self.images.parts[part]) for part in PARTS}
        pixels = torch.cat([typing.cast(torch.Tensor, each.images).flatten(1) for each in parts.values()]).numpy()
        labels = torch.cat([each.labels for each in parts.values()]).numpy()
        self.images.parts.clear()
        # Column by column in memory, as which they are looked through.
        columns = [f"pixel {i}" for i in range(pixels.shape[1])]
        rows = pd.DataFrame(np.asfortranarray(pixels), columns=columns, copy=False)
        rows.attrs[WHITE] = parts["train"].levels - 1
        check_columns(rows, self.settings["categorical"], "--data.categorical", self.name)
        official = [part for part, each in parts.items() for _ in range(len(each.labels))]
        return Table(rows, pd.Series(labels.astype(str), name="digit"), official)


class CSV(TableSource):
    """A file of the user's own, with a header and a row for each sample."""

    name = "csv"
    uses = ("csv", "target", "test_csv", "predict_csv", "drop", "test_fraction")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if not (settings["csv"] and settings["target"]):
            raise InputError("A table of your own needs --data.csv FILE and --data.target COLUMN.")

    @property
    def _texts(self) -> set[str]:
        """Columns that are texts whatever they hold."""
        return {*self.settings["categorical"], *[self.settings["target"]] * (self.settings["task"] == "classification")}

    def _read(self, option: str, texts: Collection[str] | None) -> pd.DataFrame:
        """The rows of a file without what is dropped: its numbers as such but in some columns, or all as texts."""
        path, name, drop, categorical = (self.settings[key] for key in (option, "target", "drop", "categorical"))
        frame = read_csv(path, option) if texts is None else read_table(path, option, {*drop, *texts})
        if option == "csv":
            for key, columns in {"target": [name], "drop": drop, "categorical": categorical}.items():
                check_columns(frame, columns, f"--data.{key}", path)
            frame = without_counter(frame.drop(columns=list(drop)), path, {name, *categorical})
        return frame

    @cached_property
    def _training(self) -> pd.DataFrame:
        """The rows of the file; texts are as written."""
        return self._read("csv", self._texts)

    @cached_property
    def formats(self) -> Formats:
        """What the columns hold; a checkpoint's are put in their place where the file is not at hand."""
        return formats_of(self._training, self.settings["csv"], self._texts)

    def load(self) -> Table:
        """The rows of the file, and after them those of ``test_csv``."""
        first = self._table(self._training, "csv", "train")
        del self._training
        if not self.settings["test_csv"]:
            return first
        second = self.load_test()
        rows, target = pd.concat([first.rows, second.rows]), pd.concat([first.target, second.target])
        return Table(rows, target, first.official + second.official, self._written)

    def _written(self) -> pd.DataFrame:
        """All rows as texts, which only a table of predictions wants."""
        files = ["csv", "test_csv"] if self.settings["test_csv"] else ["csv"]
        return pd.concat([self._read(option, None) for option in files])

    def load_test(self) -> Table:
        """The rows of ``test_csv``."""
        return self._table(self._read("test_csv", written_otherwise(self.formats)), "test_csv", "test")

    def load_new(self) -> Table:
        """The rows of ``predict_csv``, whose target may be missing."""
        path, name = self.settings["predict_csv"], self.settings["target"]
        written = read_csv(path, "predict_csv")
        rows = read_columns(written, {column: known for column, known in self.formats.items() if column != name}, path)
        return Table(rows, pd.Series(np.nan, rows.index, name=name), ["predict"] * len(rows), lambda: written)

    def _table(self, written: pd.DataFrame, option: str, part: str) -> Table:
        path, name = self.settings[option], self.settings["target"]
        rows = read_columns(written, self.formats, path)
        missing = rows[name].isna()
        if missing.any():
            raise InputError(
                f"{path}: {missing.sum()} rows have no {name}, the first is line {line_of(missing)}: remove them or "
                "fill it in."
            )
        absent = written[name].isin(MISSING) & ~missing
        if absent.any():
            rank_zero_warn(
                f"{path}: {absent.sum()} rows have the text {written[name][absent].iloc[0]} as their {name}, which "
                "counts as a class: leave the field out, or remove these rows, if it stands for a missing value."
            )
        return Table(rows.drop(columns=name), rows[name], [part] * len(rows), self._written)


SOURCES = typing.cast("dict[str, type[TableSource]]", sources_in(sys.modules[__name__]))
"""The tables by their names."""
