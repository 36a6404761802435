"""What a data set of sequences is, and what is known of it."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import pandas as pd

from nnzoo.data.sequences.dataset import SequenceDataset
from nnzoo.data.sources import Source

SPLIT = ("val_fraction", "test_fraction", "split_seed", "folds", "fold")
"""Settings of a split, in the order of :func:`nnzoo.data.splits.split_parts`."""


class SequenceSource(Source):
    """A data set of sequences, and what is known of it: facts of the datamodule have the same names."""

    @property
    @abstractmethod
    def task(self) -> str:
        """The kind of target: classification | regression | tagging | multilabel."""

    @property
    @abstractmethod
    def num_inputs(self) -> int:
        """Values per step, D."""

    @property
    def classes(self) -> list[str]:
        """Names of the classes, if there are any."""
        return []

    @property
    def features(self) -> list[str]:
        """Names of the values of a step, where a model is to standardise them."""
        return []

    @property
    def feature_mean(self) -> list[float]:
        """Their means in the training part."""
        return []

    @property
    def feature_std(self) -> list[float]:
        """Their standard deviations in the training part."""
        return []

    @property
    def target_name(self) -> str:
        """Name of the target."""
        return self.settings["target"] or "target"

    @property
    def target_offset(self) -> float:
        """What is subtracted from targets that are so far from 0 that single precision blurs them."""
        return 0.0

    @property
    def fitted_state(self) -> dict[str, Any]:
        """What later files are read by, as plain values."""
        return {}

    def take(self, fitted: Mapping[str, Any]) -> None:
        """Takes :attr:`fitted_state` from a checkpoint."""

    def column_report(self) -> pd.DataFrame | None:
        """What became of each column of a file; None without one."""
        return None

    def later(self, stage: str, facts: Any) -> SequenceDataset | None:
        """Sequences that come for a stage beside the training data, test or predict; None if there are none."""
        return None

    @property
    def why(self) -> str:
        """What in the data says which task it is, for errors."""
        return ""

    @abstractmethod
    def load(self) -> dict[str, SequenceDataset]:
        """The parts "train", "val" and "test"."""

    def predicted_rows(self, task: str) -> pd.DataFrame | None:
        """A line for each sequence to predict, or for each of its steps; None if there is nothing to tell."""
        return None
