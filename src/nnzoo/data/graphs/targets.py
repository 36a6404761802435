"""What is known of samples, nodes or graphs, of some of which nothing may be known."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from nnzoo.data.columns import sorted_names
from nnzoo.data.facts import fact, held
from nnzoo.data.room import RoomDataModule
from nnzoo.data.splits import split_parts, warn_of_absent_classes
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


class TargetDataModule(TargetFacts, RoomDataModule):
    """A datamodule of samples with a target, which is missing where nothing is known."""

    sample = "sample"
    """What a sample is called."""

    @property
    @abstractmethod
    def target(self) -> "pd.Series[Any]":
        """What is known of each sample: classes by their names, or numbers; missing where nothing is."""

    @property
    @abstractmethod
    def official(self) -> Sequence[str]:
        """The part that the data give each sample; "train" where they give none, "" of samples in no part."""

    def split_settings(self) -> dict[str, Any]:
        """What :func:`nnzoo.data.splits.split_parts` takes besides the samples."""
        names = ("val_fraction", "test_fraction")
        return {"seed": self.hparams["split_seed"], **{name: self.hparams[name] for name in names}}

    @cached_property
    def _known(self) -> "np.ndarray[Any, Any]":
        """Numbers of the samples of which the target is known and that are in some part."""
        return np.flatnonzero(self.target.notna().to_numpy() & (np.asarray(self.official) != ""))

    @property
    def known_target(self) -> "pd.Series[Any]":
        """The target of the samples of which it is known."""
        return self.target.iloc[self._known]

    @fact
    def task(self) -> Task:
        """Classification or regression."""
        if self.hparams["task"] != "auto":
            return self.hparams["task"]
        return "classification" if self.source.classes else task_of(self.known_target)

    @held("use data with the same classes")
    def classes(self) -> list[str]:
        """Names of the classes in the order of their numbers; empty for regression."""
        if self.task == "regression":
            return []
        if self.source.classes:
            return list(self.source.classes)
        names = sorted_names(set(class_names(self.known_target)))
        if len(names) < 2:
            raise InputError(f"The target {self.target_name} has {len(names)} classes: there is nothing to tell.")
        return names

    @fact
    def target_name(self) -> str:
        """Name of the target."""
        return str(self.target.name)

    @cached_property
    def _targets(self) -> Tensor:
        """Class numbers, or numbers less the offset, of all samples; -1, or NaN, where nothing is known."""
        target = self.known_target
        if self.task == "classification":
            known, unknown = class_numbers(target, self.classes, None), torch.tensor(-1)
        else:
            known = torch.tensor(finite_numbers(target) - self.target_offset, dtype=torch.float32)
            unknown = torch.tensor(torch.nan)
        every = unknown.to(known.dtype).repeat(len(self.target))
        every[torch.from_numpy(self._known)] = known
        return every

    @cached_property
    def _rows(self) -> dict[str, Tensor]:
        """Numbers of the samples of each part."""
        known = torch.from_numpy(self._known)
        official = [self.official[number] for number in self._known]
        classified = self.task == "classification"
        labels = self._targets[known] if classified else torch.zeros(len(known), dtype=torch.int64)
        parts = split_parts(labels, official, **self.split_settings())
        if classified:
            parts = self.trained_on(parts, labels)
            warn_of_absent_classes(labels[parts["train"]], self.classes, self.sample)
        else:
            check_numbers(finite_numbers(self.known_target), parts, self.target_name)
        return {part: known[rows] for part, rows in parts.items()}

    def trained_on(self, parts: dict[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """The parts, of which training may leave samples to others; all stay by default."""
        return parts

    def arrays(self, part: str) -> tuple[Any, Any]:
        """Numbers of the samples of a part (n,) and their targets (n,), as NumPy arrays."""
        rows = self._rows[part]
        return rows.numpy(), self._targets[rows].numpy()
