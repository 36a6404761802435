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

from nnzoo.data.facts import fact, held
from nnzoo.data.room import SplitDataModule
from nnzoo.data.sources import options_of
from nnzoo.data.splits import split_parts, warn_of_absent_classes
from nnzoo.data.tables.dataset import TableDataset, check_numbers
from nnzoo.data.tables.preprocessor import Preprocessor, Scaling, Task, task_of
from nnzoo.data.tables.sources import SOURCES, Table, TableSource, same_columns
from nnzoo.errors import InputError

if TYPE_CHECKING:
    TableName = str
else:
    TableName = Literal[tuple(SOURCES)]

SAME_TABLE = "use the data it was trained on (--data.dataset or --data.csv), and give other rows as --data.predict_csv"


class TabularDataModule(SplitDataModule):
    """A table with a target column: batches of numbers (B, N), codes of the categories (B, C) and targets (B,).

    Split 70/15/15, for classes in the same proportions; MNIST keeps its official test part. How columns become numbers
    is said at :class:`nnzoo.data.tables.preprocessor.Preprocessor`. Classification if the target holds texts, truth
    values or integers with at most 20 different values, regression otherwise; ``task`` overrules that.

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
        return "classification" if self.source.classes else task_of(self._known_target)

    @property
    def _known_target(self) -> pd.Series:
        """The target without the rows of a test file, which must not add classes."""
        _, target, official = self.table
        return target[np.asarray(official) == "train"]

    @held("use data with the same classes; what has no class yet is given by --data.predict_csv or predict_root")
    def classes(self) -> list[str]:
        """Names of the classes in the order of their numbers; empty for regression."""
        if self.task == "regression":
            return []
        if self.source.classes:
            return self.source.classes
        values = sorted(self._known_target.unique())
        if len(values) < 2:
            raise InputError(
                f"The target {self._known_target.name} has one class only, {values[0]}: there is nothing to tell."
            )
        return [str(value) for value in values]

    @cached_property
    def _prepared(self) -> tuple[Preprocessor, Tensor, dict[str, Tensor]]:
        """The fitted preprocessor, the targets of all rows, and the rows of each part."""
        rows, target, official = self.table
        if self.task == "classification":
            numbers_of = {name: number for number, name in enumerate(self.classes)}
            codes = np.array([numbers_of.get(name, -1) for name in target.astype(str)])
            if (codes < 0).any():
                label = target.iloc[int(np.flatnonzero(codes < 0)[0])]
                raise InputError(f"{self.hparams['test_csv']} holds the class {label}, which is not in --data.csv.")
            labels = targets = torch.from_numpy(codes)
        else:
            numbers = pd.to_numeric(target, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
            wrong = np.flatnonzero(~np.isfinite(numbers))
            if len(wrong):
                raise InputError(
                    f"The target {target.name} holds {target.iloc[wrong[0]]!r} in row {wrong[0] + 1}, which is not a "
                    "finite number: repair or remove such rows."
                )
            targets, labels = torch.tensor(numbers, dtype=torch.float32), torch.zeros(len(numbers), dtype=torch.int64)
        folds = {"folds": 0} if self.source.is_split else {}
        parts = split_parts(labels, official, **self.split_settings() | folds)
        if self.task == "regression":
            check_numbers(numbers, parts, str(target.name))
        else:
            warn_of_absent_classes(labels[parts["train"]], self.classes, "row")
        pixels = self.source.pixels
        log_columns, scaling = self.hparams["log_columns"], self.hparams["scaling"]
        preprocessor = Preprocessor(
            rows.iloc[parts["train"].numpy()],
            self.hparams["categorical"],
            [] if pixels and log_columns == "auto" else log_columns,
            ("minmax" if pixels else "standardize") if scaling == "auto" else scaling,
        )
        return preprocessor, targets, parts

    def setup(self, stage: str | None = None) -> None:
        """Splits the table and transforms its columns; a second call changes nothing."""
        if self.parts:
            return
        preprocess, targets, parts = self._prepared
        for part, rows in parts.items():
            self.parts[part] = TableDataset(preprocess(self.table.rows.iloc[rows.numpy()]), targets[rows])
        if self.source.new_rows is not None:
            new = preprocess(same_columns(self.table.rows, self.source.new_rows, self.hparams["predict_csv"]))
            self.parts["predict"] = TableDataset(new, torch.zeros(len(new.numeric), dtype=targets.dtype))
        counts = ", ".join(f"{len(rows)} {part}" for part, rows in parts.items())
        kinds = f"{preprocess.num_numeric} numeric and {len(preprocess.cardinalities)} categorical inputs"
        rank_zero_info(f"{self.hparams['csv'] or self.dataset} ({self.task}): {counts} rows, {kinds}")

    def predict_dataloader(self) -> DataLoader[Any]:
        """The rows of ``predict_csv``, or the test samples."""
        return self._loader("test" if self.source.new_rows is None else "predict")

    def predicted_rows(self) -> pd.DataFrame:
        """The rows to predict, as in their file; of the built-in sets only their number and target."""
        if self.source.new_rows is not None:
            return self.source.new_rows
        rows, target, _ = self.table
        chosen = self._prepared[2]["test"].numpy()
        shown = self.source.shown(rows, chosen).reset_index(drop=True)
        return shown.assign(**{str(target.name): target.iloc[chosen].to_numpy()})

    @held(SAME_TABLE)
    def num_numeric(self) -> int:
        """Number of numeric inputs, with indicators of missing values."""
        return self._prepared[0].num_numeric

    @held(SAME_TABLE)
    def cardinalities(self) -> list[int]:
        """Number of categories of each categorical input."""
        return self._prepared[0].cardinalities

    @held(SAME_TABLE)
    def preprocessing(self) -> str:
        """Fingerprint of how columns become numbers."""
        return self._prepared[0].fingerprint

    @fact
    def target_mean(self) -> float:
        """Mean of the training targets."""
        _, targets, parts = self._prepared
        return float(targets[parts["train"]].double().mean())

    @fact
    def target_std(self) -> float:
        """Standard deviation of the training targets."""
        _, targets, parts = self._prepared
        return float(targets[parts["train"]].double().std(correction=0))

    @property
    def categorical_columns(self) -> list[int]:
        """Which columns of :meth:`arrays` are codes of categories."""
        return [self.num_numeric + number for number in range(len(self.cardinalities))]

    def arrays(self, part: str) -> tuple[Any, Any]:
        """Inputs (n, N + C), categories as their codes, and targets (n,) of a part, as NumPy arrays."""
        self.setup()
        dataset = typing.cast(TableDataset, self.parts[part])
        return torch.cat([dataset.numeric, dataset.categories], dim=1).numpy(), dataset.labels.numpy()
