"""Where sequences come from: images row by row, generated problems, chorales, or the user's own CSV."""

import sys
import typing
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import pandas as pd
import torch
from torch import Tensor

from nnzoo.data.columns import Format, written_otherwise
from nnzoo.data.plain_csv import read_table
from nnzoo.data.sequences.chorales import KEYS, next_steps, read_chorales
from nnzoo.data.sequences.dataset import SequenceDataset
from nnzoo.data.sequences.problems import adding_problem, copy_memory
from nnzoo.data.sequences.scanned import ScannedImages
from nnzoo.data.sequences.source import SPLIT, SequenceSource
from nnzoo.data.sequences.split import SequenceSplit, rows_of, whole
from nnzoo.data.sequences.table import SequenceColumns, SequenceTable, columns_of
from nnzoo.data.sources import sources_in
from nnzoo.data.splits import PARTS
from nnzoo.errors import InputError
from nnzoo.seeds import mix_seed

HELD_OUT = 1000
"""Validation and test sequences of a generated problem."""
SYMBOLS = ["blank", *"12345678"]
"""Classes of copy memory."""


class Digits(ScannedImages):
    """Scikit-learn's digits, 8 rows of 8 pixels."""

    name = "digits"
    uses = ("scan", *SPLIT)


class MNIST(ScannedImages):
    """MNIST's digits, 28 rows of 28 pixels, with their own test part."""

    name = "mnist"
    uses = ("root", "scan", "val_fraction", "split_seed", "folds", "fold")
    folder = "MNIST"


class Problem(SequenceSource):
    """A generated problem, with draws of their own for each part."""

    shortest: ClassVar[int] = 1

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if settings["length"] < self.shortest or min(settings["memory"], settings["num_samples"]) < 1:
            raise InputError("length, memory and num_samples must be positive, and length 2 or more for adding.")

    @abstractmethod
    def draw(self, num_sequences: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Sequences (N, T, D) and targets (N,) or (N, T)."""

    def load(self) -> dict[str, SequenceDataset]:
        """``num_samples`` sequences to train on, and ``HELD_OUT`` each for validation and test."""
        parts = {}
        for number, part in enumerate(PARTS):
            generator = torch.Generator().manual_seed(mix_seed(self.settings["split_seed"], number))
            size = self.settings["num_samples"] if part == "train" else HELD_OUT
            values, targets = self.draw(size, generator)
            parts[part] = SequenceDataset.equally_long(values, targets.flatten())
        return parts


class Adding(Problem):
    """The sum of two marked numbers, see :func:`nnzoo.data.sequences.problems.adding_problem`."""

    name = "adding"
    uses = ("length", "num_samples", "split_seed")
    task, num_inputs, shortest = "regression", 2, 2

    def draw(self, num_sequences: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Values beside markers, and the sums."""
        return adding_problem(num_sequences, self.settings["length"], generator)


class Copy(Problem):
    """Symbols to repeat after a blank, see :func:`nnzoo.data.sequences.problems.copy_memory`."""

    name = "copy"
    uses = ("length", "memory", "num_samples", "split_seed")
    task, num_inputs, classes = "tagging", 10, SYMBOLS

    def draw(self, num_sequences: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """One-hot symbols, and the class of each step."""
        return copy_memory(num_sequences, self.settings["length"], self.settings["memory"], generator)


class JSB(SequenceSource):
    """The JSB chorales: the next chord, 88 keys a step, with the official split."""

    name = "jsb"
    uses = ("root",)
    folder = "JSB"
    task, num_inputs, classes = "multilabel", len(KEYS), KEYS

    def load(self) -> dict[str, SequenceDataset]:
        """Each piece without its last step, and as target without its first."""
        return {part: next_steps(pieces) for part, pieces in read_chorales(self.root).items()}


class CSV(SequenceSource):
    """A file of the user's own, a row for each step."""

    name = "csv"
    uses = ("csv", "target", "time", "group", "drop", "test_csv", "predict_csv", "target_type", *SPLIT)

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if settings["target"] is None or settings["group"] is None:
            raise InputError(
                "A CSV of sequences needs --data.target, the column to predict, and --data.group, the column that "
                "tells which sequence a row belongs to."
            )

    @cached_property
    def _written(self) -> pd.DataFrame:
        return self._read("csv")

    def _read(self, option: str, further: Iterable[str] = ()) -> pd.DataFrame:
        """The rows of a file, with its plain numbers as such but in the columns that are for something else."""
        named = filter(None, (self.settings[name] for name in ("target", "time", "group")))
        return read_table(self.settings[option], option, {*named, *self.settings["drop"], *further})

    @cached_property
    def columns(self) -> SequenceColumns:
        """What the columns hold."""
        names = ("csv", "target", "time", "group", "drop", "target_type")
        return columns_of(self._written, *(self.settings[name] for name in names))

    @cached_property
    def table(self) -> SequenceTable:
        """The sequences of the file."""
        path, target_type = self.settings["csv"], self.settings["target_type"]
        return SequenceTable(self._written, path, self.columns, target_type=target_type)

    @cached_property
    def test(self) -> SequenceTable | None:
        """Those of ``test_csv``."""
        return self._later("test_csv")

    @cached_property
    def new(self) -> SequenceTable | None:
        """Those of ``predict_csv``."""
        return self._later("predict_csv")

    def _later(self, option: str) -> SequenceTable | None:
        path = self.settings[option]
        if path is None:
            return None
        written = self._read(option, written_otherwise(self.columns.formats))
        return SequenceTable(written, path, self.columns, with_target=option == "test_csv")

    @cached_property
    def split(self) -> SequenceSplit:
        """Its parts."""
        names = ("val_fraction", "test_fraction", "folds", "fold")
        split = {"seed": self.settings["split_seed"], **{name: self.settings[name] for name in names}}
        return SequenceSplit(self.table, self.test, split)

    @property
    def task(self) -> str:
        """The kind of the target column."""
        return self.table.task

    @property
    def why(self) -> str:
        """Whether the target changes within a sequence."""
        return self.table.why

    @property
    def num_inputs(self) -> int:
        """Number of feature columns."""
        return len(self.columns.features)

    @property
    def classes(self) -> list[str]:
        """The target's values, if these are classes."""
        return self.table.classes

    @property
    def features(self) -> list[str]:
        """Names of the feature columns."""
        return self.columns.features

    @property
    def feature_mean(self) -> list[float]:
        """Over all steps of the training part, less the offsets."""
        return self.split.feature_mean

    @property
    def feature_std(self) -> list[float]:
        """Over all steps of the training part."""
        return self.split.feature_std

    @property
    def target_offset(self) -> float:
        """What is subtracted from targets that are far from 0."""
        return self.split.target_offset

    @property
    def fitted_state(self) -> dict[str, Any]:
        """Formats of the columns and offsets of the features."""
        formats = {name: known.plain() for name, known in self.columns.formats.items()}
        return {"formats": formats, "offsets": self.split.offsets}

    def take(self, fitted: Mapping[str, Any]) -> None:
        """Takes formats from a checkpoint, where the training file is not at hand."""
        formats = {name: Format.from_plain(values) for name, values in fitted["formats"].items()}
        target, time, group = (self.settings[name] for name in ("target", "time", "group"))
        self.columns = SequenceColumns(target, time, group, formats)

    def column_report(self) -> pd.DataFrame:
        """Features, target, group and time; all others are left out."""
        columns, formats = self.columns, self.columns.formats
        uses = {columns.target: "target", columns.group: "group", columns.time: "time"}
        lines = []
        for name in self._written.columns:
            used = name in formats or name == columns.time
            note = (
                ", ".join(formats[name].marks()) if name in formats else "" if used else "dropped, or numbers the rows"
            )
            lines.append((name, uses.get(name, "features") if used else "left out", note))
        return pd.DataFrame(lines, columns=["column", "use", "note"])

    def load(self) -> dict[str, SequenceDataset]:
        """The parts, divided by whole sequences."""
        return self.split.datasets()

    def later(self, stage: str, facts: Any) -> SequenceDataset | None:
        """The sequences of the file for a stage, test or predict, if there is one, by the facts of the datamodule."""
        table = self.test if stage == "test" else self.new
        if table is None:
            return None
        offsets = self.split.offsets if facts.fitted is None else facts.fitted["offsets"]
        return whole(table, facts.task, facts.classes, offsets, facts.target_offset)

    def predicted_rows(self, task: str) -> pd.DataFrame:
        """As in the file."""
        return self.split.predicted_rows() if self.new is None else rows_of(self.new, task == "tagging")


SOURCES = typing.cast(dict[str, type[SequenceSource]], sources_in(sys.modules[__name__]))
