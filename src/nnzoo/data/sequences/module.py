"""Sequences: generated memory problems, images row by row, chorales, or the user's own CSV."""

import typing
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal

import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader

from nnzoo.data.base import GlobalBatchDataModule, data_root
from nnzoo.data.csv_file import as_names
from nnzoo.data.facts import fact, held
from nnzoo.data.images.dataset import ImageDataset
from nnzoo.data.images.module import ImageDataModule
from nnzoo.data.sequences.chorales import KEYS, next_steps, read_chorales
from nnzoo.data.sequences.dataset import SequenceDataset
from nnzoo.data.sequences.problems import adding_problem, copy_memory
from nnzoo.data.sequences.split import SequenceSplit
from nnzoo.data.sequences.table import SequenceTable, TargetType
from nnzoo.data.splits import PARTS, check_fractions, class_weights
from nnzoo.errors import InputError, check_choices
from nnzoo.seeds import mix_seed

DatasetName = Literal["digits", "mnist", "adding", "copy", "jsb"]
Scan = Literal["rows", "pixels", "permuted"]
Parts = dict[str, SequenceDataset]

TASKS = {"digits": "classification", "mnist": "classification", "adding": "regression", "copy": "tagging"}
HELD_OUT = 1000
"""Validation and test sequences of a generated problem."""


class SequenceDataModule(GlobalBatchDataModule):
    """Sequences with one target each, or one per step: batches of values (B, T, D), lengths (B,) and targets.

    Sequences of different lengths are padded to the longest of their batch. Data without official parts are split
    70/15/15 by whole sequences, in the same proportions for every class; of MNIST's training part a share is held out.

    Args:
        dataset: digits (8 rows of 8 pixels) | mnist (28 rows of 28) | adding (two marked numbers to sum up) | copy
            (symbols to repeat after a blank) | jsb (JSB chorales: the next chord, 88 keys a step, official split).
        root: Where mnist and jsb are kept (default: $NNZOO_DATA, else ~/.cache/nnzoo).
        csv: A file of your own in place of ``dataset``: a row for each step. Numeric columns are features, which the
            model standardises by ``feature_mean`` and ``feature_std`` of the training part.
        target: Its column to predict: per sequence if it is constant in each of them, else per step.
        time: Its column that orders the steps; the order of the file if not given.
        group: Its column that tells which sequence a row belongs to.
        drop: Its columns to leave out.
        predict_csv: A file of the same columns, with or without the target, whose sequences ``predict`` predicts.
        target_type: classes | number | auto (text, booleans and up to 20 whole numbers are classes).
        length: Steps of the adding problem; blank steps of copy.
        memory: Symbols to remember in copy.
        num_samples: Training sequences of adding and copy; 1,000 more are for validation and 1,000 for the test.
        scan: How an image becomes a sequence: rows | pixels (one by one) | permuted (pixels in one random order).
        batch_size: Sequences per step over ALL devices.
        val_fraction: Share of the sequences (of the official training part, where there is one) for validation.
        test_fraction: Share of the sequences for the test, where the data set brings no test part.
        split_seed: Seed of the split, of generated problems and of the permutation, apart from ``seed`` so that runs
            with other seeds share their data.
        folds: Cross-validation: the test part is one of so many folds; ``--folds`` runs them all.
        fold: Number of the fold to test on, from 0.
        balanced: Draw training sequences with replacement so that all classes are equally frequent.
        seed: Seed of the order (the command line sets it to ``seed_everything``).
        num_workers: Loader processes; 0 is fastest for data in memory.

    Raises:
        InputError: If a value is out of range, or the data cannot be found or read.
    """

    def __init__(
        self,
        *,
        dataset: DatasetName = "digits",
        root: str | None = None,
        csv: str | None = None,
        target: str | None = None,
        time: str | None = None,
        group: str | None = None,
        drop: Sequence[str] = (),
        predict_csv: str | None = None,
        target_type: TargetType = "auto",
        length: int = 150,
        memory: int = 10,
        num_samples: int = 50_000,
        scan: Scan = "rows",
        batch_size: int = 128,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        split_seed: int = 0,
        folds: int = 0,
        fold: int = 0,
        balanced: bool = False,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(batch_size, seed, num_workers, balanced)
        self.save_hyperparameters(logger=False)
        check_choices(type(self), self.hparams)
        if length < (2 if dataset == "adding" else 1) or min(memory, num_samples) < 1:
            raise InputError("length, memory and num_samples must be positive, and length 2 or more for adding.")
        check_fractions(val_fraction, test_fraction)
        if folds and csv is None and dataset not in ("digits", "mnist"):
            raise InputError(f"{dataset} brings its own test part: --folds is for digits, mnist and --data.csv.")
        if csv is None and (target or time or group or predict_csv):
            raise InputError("--data.target, time, group and predict_csv are for a file of your own: add --data.csv.")
        if csv is not None and (target is None or group is None):
            raise InputError(
                "A CSV of sequences needs --data.target, the column to predict, and --data.group, the column that "
                "tells which sequence a row belongs to."
            )
        self.dataset: str = dataset if csv is None else "csv"
        self.hparams["dataset"], self.hparams["drop"] = self.dataset, as_names(drop)
        self.root = data_root(root)

    @cached_property
    def _table(self) -> SequenceTable:
        path, target, time, group = (self.hparams[name] for name in ("csv", "target", "time", "group"))
        return SequenceTable(path, target, time, group, self.hparams["target_type"], self.hparams["drop"])

    @cached_property
    def _new(self) -> SequenceTable | None:
        """The sequences to predict."""
        path, time, group = (self.hparams[name] for name in ("predict_csv", "time", "group"))
        if path is None:
            return None
        return SequenceTable(path, None, time, group, features=self._table.features, option="predict_csv")

    @cached_property
    def _images(self) -> ImageDataModule:
        shared = ("dataset", "root", "val_fraction", "test_fraction", "split_seed", "folds", "fold")
        return ImageDataModule(**{name: self.hparams[name] for name in shared})

    @cached_property
    def _split(self) -> SequenceSplit:
        shares = tuple(self.hparams[name] for name in ("val_fraction", "test_fraction", "split_seed", "folds", "fold"))
        return SequenceSplit(self._table, self._new, shares)

    @held("give the same columns in the same order (--data.drop leaves columns out)")
    def features(self) -> list[str]:
        """Names of the values of a step, in a file of your own."""
        return self._table.features if self.dataset == "csv" else []

    @fact
    def feature_mean(self) -> list[float]:
        """Their means in the training part."""
        return self._split.feature_mean if self.dataset == "csv" else []

    @fact
    def feature_std(self) -> list[float]:
        """Their standard deviations in the training part."""
        return self._split.feature_std if self.dataset == "csv" else []

    @fact
    def task(self) -> str:
        """Of a target per sequence classification or regression, of one per step tagging or multilabel."""
        if self.dataset == "csv":
            return self._table.task
        return TASKS.get(self.dataset, "multilabel")

    @property
    def why(self) -> str:
        """What says so in a file of your own, for errors."""
        return self._table.why if self.dataset == "csv" else ""

    @fact
    def num_inputs(self) -> int:
        """Values per step, D."""
        if self.dataset == "csv":
            return len(self._table.features)
        if self.dataset in ("digits", "mnist"):
            return self._images.in_shape[2] if self.hparams["scan"] == "rows" else 1
        return {"adding": 2, "copy": 10}.get(self.dataset, 88)

    @held("use data with the same classes; what has no class yet is given by --data.predict_csv or predict_root")
    def classes(self) -> list[str]:
        """Names of the classes; for chorales the MIDI numbers of the keys; empty if there are none."""
        if self.dataset == "csv":
            return self._table.classes
        if self.dataset in ("digits", "mnist"):
            return self._images.classes
        return {"adding": [], "copy": ["blank", *"12345678"]}.get(self.dataset, KEYS)

    @fact
    def multilabel(self) -> bool:
        """Whether several classes can be on at a step."""
        return self.task == "multilabel"

    @cached_property
    def _target_statistics(self) -> tuple[float, float]:
        if self.task != "regression":
            return 0.0, 1.0
        self.setup()
        targets = self._part("train").targets.double()
        return float(targets.mean()), float(targets.std(correction=0))

    @fact
    def target_mean(self) -> float:
        """Mean of the training part's targets; 0 if they are classes."""
        return self._target_statistics[0]

    @fact
    def target_std(self) -> float:
        """Standard deviation of the training part's targets; 1 if they are classes."""
        return self._target_statistics[1]

    @property
    def class_weights(self) -> Tensor:
        """Weights n / (K n_c) per class of the training part: (K,)."""
        self.setup()
        return class_weights(self._part("train").targets, self.num_classes)

    def sample_weights(self) -> Tensor | None:
        """With ``balanced``, the weight of each training sequence's class."""
        if not self.hparams["balanced"]:
            return None
        if self.task != "classification":
            raise InputError("--data.balanced needs a class for each sequence: leave it out for these data.")
        return self.class_weights[self._part("train").targets]

    def _part(self, name: str) -> SequenceDataset:
        return typing.cast(SequenceDataset, self.parts[name])

    def prepare_data(self) -> None:
        """Downloads MNIST if it is missing."""
        if self.dataset in ("digits", "mnist"):
            self._images.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """Generates or loads the sequences; a second call changes nothing."""
        if self.parts:
            return
        load = {
            "csv": lambda: self._split.datasets(),
            "jsb": self._chorales,
            "adding": self._generated,
            "copy": self._generated,
        }
        self.parts |= load.get(self.dataset, self._scanned)()
        counts = ", ".join(f"{len(self._part(part))} {part}" for part in PARTS)
        lengths = torch.cat([self._part(part).lengths for part in PARTS])
        steps = f"{lengths.min()}" + (f" to {lengths.max()}" if lengths.min() < lengths.max() else "")
        rank_zero_info(f"{self.dataset}: {counts} sequences of {steps} steps with {self.num_inputs} values each")

    def _generated(self) -> Parts:
        parts = {}
        for number, part in enumerate(PARTS):
            generator = torch.Generator().manual_seed(mix_seed(self.hparams["split_seed"], number))
            size = self.hparams["num_samples"] if part == "train" else HELD_OUT
            if self.dataset == "adding":
                values, targets = adding_problem(size, self.hparams["length"], generator)
            else:
                values, targets = copy_memory(size, self.hparams["length"], self.hparams["memory"], generator)
            parts[part] = _equally_long(values, targets if self.dataset == "adding" else targets.flatten())
        return parts

    def _scanned(self) -> Parts:
        self._images.setup()
        parts = {}
        for part in PARTS:
            images = typing.cast(ImageDataset, self._images.parts[part])
            sequences = typing.cast(Tensor, images.images).squeeze(1)
            if self.hparams["scan"] != "rows":
                sequences = sequences.flatten(1).unsqueeze(2)
            if self.hparams["scan"] == "permuted":
                generator = torch.Generator().manual_seed(self.hparams["split_seed"])
                sequences = sequences[:, torch.randperm(sequences.shape[1], generator=generator)]
            parts[part] = _equally_long(sequences, images.labels, 1 / (images.levels - 1))
        return parts

    def _chorales(self) -> Parts:
        """Each piece without its last step, and as target without its first."""
        return {part: next_steps(pieces) for part, pieces in read_chorales(self.root).items()}

    def predict_dataloader(self) -> DataLoader[Any]:
        """The sequences of ``predict_csv``, or the test sequences."""
        return self._loader("predict" if self.hparams["predict_csv"] else "test")

    def predicted_rows(self) -> pd.DataFrame | None:
        """A line for each sequence, or for each step where these are what is predicted."""
        return self._split.predicted_rows() if self.dataset == "csv" else None


def _equally_long(sequences: Tensor, targets: Tensor, scale: float = 1.0) -> SequenceDataset:
    """Sequences (N, T, D) with targets (N,) or (N * T,)."""
    lengths = torch.full((len(sequences),), sequences.shape[1])
    return SequenceDataset(sequences.flatten(0, 1), lengths, targets, len(targets) != len(lengths), scale)
