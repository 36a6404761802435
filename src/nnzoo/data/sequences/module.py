"""Sequences: generated memory problems, images row by row, chorales, or the user's own CSV."""

import typing
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader

from nnzoo.data.columns import summary
from nnzoo.data.facts import fact, held
from nnzoo.data.lengths import move_all_but_lengths
from nnzoo.data.room import SplitDataModule
from nnzoo.data.sequences.dataset import SequenceDataset
from nnzoo.data.sequences.source import SequenceSource
from nnzoo.data.sequences.sources import SOURCES
from nnzoo.data.sequences.table import TargetType
from nnzoo.data.sources import options_of
from nnzoo.data.splits import PARTS
from nnzoo.errors import InputError
from nnzoo.parameters import inactive_options

if TYPE_CHECKING:
    DatasetName = str
else:
    DatasetName = Literal[tuple(SOURCES)]
Scan = Literal["rows", "pixels", "permuted"]


class SequenceDataModule(SplitDataModule):
    """Sequences with one target each, or one per step: batches of values (B, T, D), lengths (B,) and targets.

    Sequences of different lengths are padded to the longest of their batch. Data without official parts are split
    70/15/15 by whole sequences, in the same proportions for every class; of MNIST's training part a share is held out.

    Args:
        dataset: digits (8 rows of 8 pixels) | mnist (28 rows of 28) | adding (two marked numbers to sum up) | copy
            (symbols to repeat after a blank) | jsb (JSB chorales: the next chord, 88 keys a step, official split) |
            csv.
        root: Where mnist and jsb are kept (default: $NNZOO_DATA, else ~/.cache/nnzoo).
        csv: A file of your own, a row for each step; it implies ``dataset`` csv. Numeric columns are features, which
            the model standardises by ``feature_mean`` and ``feature_std`` of the training part.
        target: Its column to predict: per sequence if it is constant in each of them, else per step.
        time: Its column that orders the steps; the order of the file if not given.
        group: Its column that tells which sequence a row belongs to.
        drop: Its columns to leave out.
        test_csv: A file of the same columns to test on, instead of drawing a test part.
        predict_csv: A file of the same columns, with or without the target, whose sequences ``predict`` predicts.
        target_type: classes | number | auto (text, booleans and up to 20 whole numbers are classes).
        length: Steps of the adding problem; blank steps of copy.
        memory: Symbols to remember in copy.
        num_samples: Training sequences of adding and copy; 1,000 more are for validation and 1,000 for the test.
        scan: How an image becomes a sequence: rows | pixels (one by one) | permuted (pixels in one random order).

        shared: What :class:`nnzoo.data.room.SplitDataModule` takes.

    Raises:
        InputError: If a value is out of range, or the data cannot be found or read.
    """

    sources: ClassVar[Mapping[str, type[SequenceSource]]] = SOURCES
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = options_of(SOURCES)

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
        test_csv: str | None = None,
        predict_csv: str | None = None,
        target_type: TargetType = "auto",
        length: int = 150,
        memory: int = 10,
        num_samples: int = 50_000,
        scan: Scan = "rows",
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.root = self.source.root

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        idle = inactive_options(type(self), self.hparams)
        if self.hparams["folds"] and "folds" in idle:
            others = ", ".join(name for name in idle["folds"][1] if name != "csv")
            raise InputError(f"{self.dataset} brings its own test part: --folds is for {others} and --data.csv.")
        if self.hparams["folds"] and self.hparams["test_csv"]:
            raise InputError("--folds draws its test sequences from --data.csv: leave out --data.test_csv.")
        own = ("target", "time", "group", "test_csv", "predict_csv")
        if any(self.hparams[name] and name in idle for name in own):
            raise InputError(f"--data.{', '.join(own[:-1])} and {own[-1]} are for a file of your own: add --data.csv.")

    @held("give the same columns in the same order (--data.drop leaves columns out)")
    def features(self) -> list[str]:
        """Names of the values of a step, in a file of your own."""
        return self.source.features

    @fact
    def feature_mean(self) -> list[float]:
        """Their means in the training part."""
        return self.source.feature_mean

    @fact
    def feature_std(self) -> list[float]:
        """Their standard deviations in the training part."""
        return self.source.feature_std

    @fact
    def task(self) -> str:
        """Of a target per sequence classification or regression, of one per step tagging or multilabel."""
        return self.source.task

    @property
    def why(self) -> str:
        """What says so in a file of your own, for errors."""
        return "" if self.fitted is not None else self.source.why

    @fact
    def num_inputs(self) -> int:
        """Values per step, D."""
        return self.source.num_inputs

    @held("use data with the same classes; what has no class yet is given by --data.predict_csv or predict_root")
    def classes(self) -> list[str]:
        """Names of the classes; for chorales the MIDI numbers of the keys; empty if there are none."""
        return self.source.classes

    @fact
    def multilabel(self) -> bool:
        """Whether several classes can be on at a step."""
        return self.task == "multilabel"

    @fact
    def target_name(self) -> str:
        """Name of the target."""
        return self.source.target_name

    @fact
    def target_offset(self) -> float:
        """What is subtracted from the targets in batches: 0, unless they are so far from 0 that float32 blurs them."""
        return self.source.target_offset

    @cached_property
    def _target_statistics(self) -> tuple[float, float]:
        if self.task != "regression":
            return 0.0, 1.0
        self.setup()
        targets = self._part("train").targets.double()
        return self.target_offset + float(targets.mean()), float(targets.std(correction=0))

    @fact
    def target_mean(self) -> float:
        """Mean of the training part's targets; 0 if they are classes."""
        return self._target_statistics[0]

    @fact
    def target_std(self) -> float:
        """Standard deviation of the training part's targets; 1 if they are classes."""
        return self._target_statistics[1]

    @property
    def _labels(self) -> Tensor:
        return self._part("train").targets

    def sample_weights(self) -> Tensor | None:
        """With ``balanced``, the weight of each training sequence's class."""
        if self.balanced and self.task != "classification":
            raise InputError("--data.balanced needs a class for each sequence: leave it out for these data.")
        return super().sample_weights()

    def _part(self, name: str) -> SequenceDataset:
        return typing.cast(SequenceDataset, self.parts[name])

    def column_report(self) -> pd.DataFrame | None:
        """What became of each column of your file."""
        return self.source.column_report()

    def fitted_state(self) -> dict[str, Any]:
        """What files to test on and to predict are read by."""
        return self.source.fitted_state

    def restore(self, state_dict: dict[str, Any]) -> None:
        """Takes facts and formats from a checkpoint, so that no training data need to be read."""
        super().restore(state_dict)
        self.source.take(state_dict["fitted"])

    def setup(self, stage: str | None = None) -> None:
        """Generates or loads the sequences; a second call changes nothing."""
        if self.is_set_up(stage):
            return
        if not self.uses_fitted(stage):
            self.parts |= self.source.load()
            counts = ", ".join(f"{len(self._part(part))} {part}" for part in PARTS)
            lengths = torch.cat([self._part(part).lengths for part in PARTS])
            steps = f"{lengths.min()}" + (f" to {lengths.max()}" if lengths.min() < lengths.max() else "")
            rank_zero_info(f"{self.dataset}: {counts} sequences of {steps} steps with {self.num_inputs} values each")
            report = self.column_report()
            if report is not None:
                rank_zero_info(summary(report))
        for later in ("test", "predict"):
            dataset = self.source.later(later, self) if later not in self.parts else None
            if dataset is not None:
                self.parts[later] = dataset

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Moves a batch, but for the lengths, which are read on the CPU."""
        return move_all_but_lengths(batch, device)

    def predict_dataloader(self) -> DataLoader[Any]:
        """The sequences of ``predict_csv``, or the test sequences."""
        return self._loader("predict" if self.hparams["predict_csv"] else "test")

    def predicted_rows(self) -> pd.DataFrame | None:
        """A line for each sequence, or for each step where these are what is predicted."""
        return self.source.predicted_rows(self.task)
