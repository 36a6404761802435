"""Tables: scikit-learn's built-in sets, MNIST as vectors, or the user's own CSV file."""

import typing
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader

from nnzoo.data.columns import Format, sorted_names, summary, warn_of_new
from nnzoo.data.facts import fact, held
from nnzoo.data.room import SplitDataModule
from nnzoo.data.sources import options_of
from nnzoo.data.splits import split_parts, warn_of_absent_classes, warn_of_rare_classes
from nnzoo.data.tables.dataset import TableDataset
from nnzoo.data.tables.preprocessor import Preprocessor, Scaling
from nnzoo.data.tables.sources import SOURCES, Table, TableSource
from nnzoo.data.tables.target import (
    TargetFacts,
    Task,
    check_numbers,
    class_names,
    class_numbers,
    finite_numbers,
    task_of,
)
from nnzoo.errors import InputError

if TYPE_CHECKING:
    TableName = str
else:
    TableName = Literal[tuple(SOURCES)]

SAME_TABLE = "use the data it was trained on (--data.dataset or --data.csv), and give other rows as --data.predict_csv"


class TabularDataModule(TargetFacts, SplitDataModule):
    """A table with a target column: batches of numbers (B, N), codes of the categories (B, C) and targets (B,).

    Split 70/15/15, for classes in the same proportions; MNIST keeps its official test part. The file to train on says
    what each column holds (:func:`nnzoo.data.columns.formats_of`), in the files to test on and to predict too; how
    columns become numbers is said at :class:`nnzoo.data.tables.preprocessor.Preprocessor`. Classification if the target
    holds texts, truth values or integers with at most 20 different values, regression otherwise; ``task`` overrules
    that.

    Args:
        dataset: digits | breast_cancer | wine | iris | diabetes (they come with scikit-learn) | mnist (784 grey
            values in [0, 1]) | csv, which giving ``csv`` implies.
        csv: Your file: a header, a row for each sample.
        target: Its column to predict.
        test_csv: A file of the same columns to test on, instead of drawing a test part.
        predict_csv: A file of the same columns, with or without the target, whose rows ``predict`` predicts.
        task: auto | classification | regression.
        categorical: Columns to treat as categories; texts always are, unless most rows have another.
        drop: Columns to leave out, such as identifiers.
        log_columns: Columns to take the logarithm of; auto takes the heavy-tailed ones, but of images none.
        scaling: Of numeric columns: standardize (mean 0, standard deviation 1) | minmax (to [0, 1]) | none; auto takes
            minmax for images, digits and MNIST, and standardize for other tables.
        root: Folder of MNIST (default: $NNZOO_DATA, else ~/.cache/nnzoo).

        shared: What :class:`nnzoo.data.room.SplitDataModule` takes.

    Raises:
        InputError: If a value is out of range, or the data cannot be found or used.
    """

    sources: ClassVar[Mapping[str, type[TableSource]]] = SOURCES
    """The data sets by their names."""
    acts_with = options_of(SOURCES)
    """Options that act with some data sets only."""

    def __init__(
        self,
        *,
        dataset: TableName = "digits",
        csv: str | None = None,
        target: str | None = None,
        test_csv: str | None = None,
        predict_csv: str | None = None,
        task: Literal["auto", "classification", "regression"] = "auto",
        categorical: Sequence[str] = (),
        drop: Sequence[str] = (),
        log_columns: list[str] | Literal["auto"] = "auto",
        scaling: Scaling | Literal["auto"] = "auto",
        root: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        hparams = self.hparams
        of_a_file = hparams["target"] or hparams["test_csv"] or hparams["predict_csv"]
        if of_a_file and "target" not in self.sources[self.dataset].uses:
            raise InputError(
                "--data.target, test_csv and predict_csv are for a table of your own: add --data.csv FILE."
            )
        if hparams["folds"] and hparams["test_csv"]:
            raise InputError("--folds draws its test rows from --data.csv: leave out --data.test_csv.")

    @cached_property
    def table(self) -> Table:
        """All rows without the target, the target, and the official part of each row."""
        return self.source.load()

    @fact
    def task(self) -> Task:
        """Classification or regression."""
        if self.hparams["task"] != "auto":
            return self.hparams["task"]
        return "classification" if self.source.classes else task_of(self.known_target)

    @property
    def known_target(self) -> pd.Series:
        """The target without the rows of a test file, which must not add classes."""
        return self.table.target[np.asarray(self.table.official) == "train"]

    @held("use data with the same classes; what has no class yet is given by --data.predict_csv or predict_root")
    def classes(self) -> list[str]:
        """Names of the classes in the order of their numbers; empty for regression."""
        if self.task == "regression":
            return []
        if self.source.classes:
            return self.source.classes
        values = sorted_names(class_names(self.known_target).unique().tolist())
        if len(values) < 2:
            raise InputError(
                f"The target {self.known_target.name} has one class only, {values[0]}: there is nothing to tell."
            )
        return values

    @fact
    def target_name(self) -> str:
        """Name of the target."""
        return str(self.table.target.name)

    @cached_property
    def _targets(self) -> Tensor:
        """Class numbers, or numbers less the offset, of all rows."""
        return self._encoded(self.table.target, self.hparams["test_csv"] or self.hparams["csv"])

    def _encoded(self, target: pd.Series, path: str | None) -> Tensor:
        if self.task == "classification":
            return class_numbers(target, self.classes, path)
        return torch.from_numpy((finite_numbers(target) - self.target_offset).astype(np.float32))

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        """The rows of each part."""
        target, folds = self.table.target, {"folds": 0} if self.source.is_split else {}
        labels = self._targets if self.task == "classification" else torch.zeros(len(target), dtype=torch.int64)
        parts = split_parts(labels, self.table.official, **self.split_settings() | folds)
        if self.task == "regression":
            check_numbers(finite_numbers(target), parts, self.target_name)
        else:
            warn_of_absent_classes(labels[parts["train"]], self.classes, "row")
            warn_of_rare_classes(labels, self.classes, self.hparams["folds"], self.hparams["fold"])
        return parts

    @cached_property
    def _preprocessor(self) -> Preprocessor:
        """Fitted on the training part, unless a checkpoint brings it."""
        if self.fitted is not None:
            return Preprocessor(**self.fitted["preprocessor"])
        pixels = self.source.pixels
        log_columns, scaling = self.hparams["log_columns"], self.hparams["scaling"]
        return Preprocessor.fit(
            self.table.rows.iloc[self._rows["train"].numpy()],
            self.hparams["categorical"],
            [] if pixels and log_columns == "auto" else log_columns,
            ("minmax" if pixels else "standardize") if scaling == "auto" else scaling,
        )

    def column_report(self) -> pd.DataFrame | None:
        """What became of each column of your file, and why one is left out."""
        formats, fitted = self.source.formats, self._preprocessor
        if not formats:
            return None
        lines = [(name, *self._use(name, known)) for name, known in formats.items()]
        parts = [(name, "left out", why) for name, why in fitted.left_out.items() if name not in formats]
        return pd.DataFrame([*lines, *parts], columns=["column", "use", "note"])

    def _use(self, name: str, known: Format) -> tuple[str, str]:
        fitted = self._preprocessor
        if name == self.target_name:
            return "target", f"{self.task}, {known.described()}"
        if name in fitted.left_out:
            return "left out", fitted.left_out[name]
        if name in fitted.categories:
            return "categories", str(len(fitted.categories[name]))
        if name in fitted.dates:
            return "dates", "day first" if known.day_first else ""
        number = fitted.numeric.index(name)
        notes = ["logarithm"] * fitted.logged[number] + ["some missing"] * (number in fitted.indicators)
        return "numbers", ", ".join([*known.marks(), *notes])

    def fitted_state(self) -> dict[str, Any]:
        """How columns are read and become numbers."""
        formats = {name: known.plain() for name, known in self.source.formats.items()}
        return {"formats": formats, "preprocessor": self._preprocessor.plain()}

    def restore(self, state_dict: dict[str, Any]) -> None:
        """Takes facts, formats and statistics from a checkpoint, so that no training data need to be read."""
        super().restore(state_dict)
        formats = state_dict["fitted"]["formats"]
        self.source.formats = {name: Format.from_plain(values) for name, values in formats.items()}

    def setup(self, stage: str | None = None) -> None:
        """Splits the table and transforms its columns; a second call changes nothing."""
        if self.is_set_up(stage):
            return
        if self._new is not None:
            unknown = torch.zeros(len(self._new.rows), dtype=torch.int64 if self.num_classes else torch.float32)
            self.parts["predict"] = self._dataset(self._new, unknown, "predict_csv")
        if self.uses_fitted(stage):
            if stage == "test":
                table = self.source.load_test()
                target = self._encoded(table.target, self.hparams["test_csv"])
                self.parts["test"] = self._dataset(table, target, "test_csv")
            return
        for part, rows in self._rows.items():
            chosen = self.table.rows.iloc[rows.numpy()]
            self.parts[part] = TableDataset(self._preprocessor(chosen), self._targets[rows])
        if self.hparams["test_csv"]:
            self._warn_of_new(self.table.rows[np.asarray(self.table.official) == "test"], "test_csv")
        counts = ", ".join(f"{len(rows)} {part}" for part, rows in self._rows.items())
        kinds = f"{self._preprocessor.num_numeric} numeric and {len(self.cardinalities)} categorical inputs"
        rank_zero_info(f"{self.hparams['csv'] or self.dataset} ({self.task}): {counts} rows, {kinds}")
        report = self.column_report()
        if report is not None:
            rank_zero_info(summary(report))

    def _dataset(self, table: Table, target: Tensor, option: str) -> TableDataset:
        self._warn_of_new(table.rows, option)
        return TableDataset(self._preprocessor(table.rows), target)

    def _warn_of_new(self, rows: pd.DataFrame, option: str) -> None:
        for name, known in self._preprocessor.categories.items():
            if name in rows:
                warn_of_new(rows[name], known, self.hparams[option])

    @cached_property
    def _new(self) -> Table | None:
        """The rows of ``predict_csv``."""
        return self.source.load_new() if self.hparams["predict_csv"] else None

    def predict_dataloader(self) -> DataLoader[Any]:
        """The rows of ``predict_csv``, or the test samples."""
        return self._loader("test" if self._new is None else "predict")

    def predicted_rows(self) -> pd.DataFrame | None:
        """The rows to predict, as they stand in their file; of the built-in sets only their number and target."""
        if self._new is not None and self._new.written is not None:
            return self._new.written()
        chosen = self._rows["test"].numpy()
        if self.table.written is not None:
            return self.table.written().iloc[chosen].reset_index(drop=True)
        target = self.table.target
        return pd.DataFrame({"row": chosen + 1, str(target.name): target.iloc[chosen].to_numpy()})

    @held(SAME_TABLE)
    def num_numeric(self) -> int:
        """Number of numeric inputs, with indicators of missing values."""
        return self._preprocessor.num_numeric

    @held(SAME_TABLE)
    def cardinalities(self) -> list[int]:
        """Number of categories of each categorical input."""
        return self._preprocessor.cardinalities

    @held(SAME_TABLE)
    def preprocessing(self) -> str:
        """Fingerprint of how columns become numbers."""
        return self._preprocessor.fingerprint

    @property
    def categorical_columns(self) -> list[int]:
        """Which columns of :meth:`arrays` are codes of categories."""
        return [self.num_numeric + number for number in range(len(self.cardinalities))]

    def arrays(self, part: str) -> tuple[Any, Any]:
        """Inputs (n, N + C), categories as their codes, and targets (n,) of a part, as NumPy arrays."""
        self.setup()
        dataset = typing.cast(TableDataset, self.parts[part])
        return torch.cat([dataset.numeric, dataset.categories], dim=1).numpy(), dataset.labels.numpy()
