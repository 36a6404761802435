"""Where sequences come from: images row by row, generated problems, chorales, or the user's own CSV."""

import sys
import typing
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import pandas as pd
import torch
from torch import Tensor

from nnzoo.data.sequences.chorales import KEYS, next_steps, read_chorales
from nnzoo.data.sequences.dataset import SequenceDataset
from nnzoo.data.sequences.problems import adding_problem, copy_memory
from nnzoo.data.sequences.scanned import ScannedImages
from nnzoo.data.sequences.source import SPLIT, SequenceSource
from nnzoo.data.sequences.split import SequenceSplit
from nnzoo.data.sequences.table import SequenceTable
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
    uses = ("csv", "target", "time", "group", "drop", "predict_csv", "target_type", *SPLIT)

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if settings["target"] is None or settings["group"] is None:
            raise InputError(
                "A CSV of sequences needs --data.target, the column to predict, and --data.group, the column that "
                "tells which sequence a row belongs to."
            )

    @cached_property
    def table(self) -> SequenceTable:
        """The sequences of the file."""
        names = ("csv", "target", "time", "group", "target_type", "drop")
        return SequenceTable(*(self.settings[name] for name in names))

    @cached_property
    def split(self) -> SequenceSplit:
        """Its parts, and the sequences to predict."""
        path, time, group = (self.settings[name] for name in ("predict_csv", "time", "group"))
        new = None
        if path is not None:
            new = SequenceTable(path, None, time, group, features=self.features, option="predict_csv")
        val_fraction, test_fraction, split_seed, folds, fold = (self.settings[name] for name in SPLIT)
        return SequenceSplit(self.table, new, (val_fraction, test_fraction, split_seed, folds, fold))

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
        return len(self.table.features)

    @property
    def classes(self) -> list[str]:
        """The target's values, if these are classes."""
        return self.table.classes

    @property
    def features(self) -> list[str]:
        """Names of the feature columns."""
        return self.table.features

    @property
    def feature_mean(self) -> list[float]:
        """Over all steps of the training part."""
        return self.split.feature_mean

    @property
    def feature_std(self) -> list[float]:
        """Over all steps of the training part."""
        return self.split.feature_std

    def load(self) -> dict[str, SequenceDataset]:
        """The parts, divided by whole sequences, and those of ``predict_csv``."""
        return self.split.datasets()

    def predicted_rows(self) -> pd.DataFrame:
        """As in the file."""
        return self.split.predicted_rows()


SOURCES = typing.cast(dict[str, type[SequenceSource]], sources_in(sys.modules[__name__]))
