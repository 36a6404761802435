"""CSV files of sequences, divided into parts by whole sequences."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from nnzoo.data.numbers import offset_of
from nnzoo.data.sequences.dataset import SequenceDataset
from nnzoo.data.sequences.table import SequenceTable
from nnzoo.data.splits import split_parts
from nnzoo.errors import InputError


class SequenceSplit:
    """Datasets of the parts of a table of sequences, and what the training part says of its features.

    A model standardises the values by the training part's statistics, which it keeps. What is so far from 0 that single
    precision blurs it is given less an offset.

    Args:
        table: Sequences with targets.
        test: Sequences to test on, if these come from a file of their own.
        split: Shares, seed and folds, as :func:`nnzoo.data.splits.split_parts` takes them.

    Raises:
        InputError: If a part would be empty, or a feature cannot be standardised.
    """

    def __init__(self, table: SequenceTable, test: SequenceTable | None, split: Mapping[str, Any]) -> None:
        self.table, self.test = table, test
        self.targets = table.targets(table.task, table.classes)
        count, tested = len(table.lengths), 0 if test is None else len(test.lengths)
        labels = self.targets if table.task == "classification" else torch.zeros(count, dtype=torch.long)
        labels = torch.cat([labels, torch.zeros(tested, dtype=torch.long)])
        self.rows = split_parts(labels, ["train"] * count + ["test"] * tested, **split)
        for column, mean, std in zip(table.columns.features, *self._statistics, strict=True):
            if not std > 0:
                raise InputError(
                    f"The column {column} of {table.path} is constant in the training part: --data.drop leaves it out."
                )
            if std < 1e-12 * abs(mean):
                raise InputError(
                    f"The column {column} of {table.path} varies too little around {mean:.6g}: subtract a constant "
                    "from it."
                )

    def _steps(self, part: str) -> Tensor:
        """Which steps of all belong to a part (S,)."""
        owners = torch.arange(len(self.table.lengths)).repeat_interleave(self.table.lengths)
        return torch.isin(owners, self.rows[part])

    @cached_property
    def _statistics(self) -> tuple[list[float], list[float]]:
        std, mean = torch.std_mean(self.table.values[self._steps("train")], dim=0, correction=0)
        return mean.tolist(), std.tolist()

    @cached_property
    def offsets(self) -> list[float]:
        """What is subtracted from each feature: 0 unless it is far from 0."""
        return [offset_of(column) for column in self.table.values[self._steps("train")].numpy().T]

    @cached_property
    def target_offset(self) -> float:
        """What is subtracted from targets that are numbers: 0 unless they are far from 0."""
        return 0.0 if self.table.classes else offset_of(self.targets[self.rows["train"]].numpy())

    @property
    def feature_mean(self) -> list[float]:
        """Mean of each feature, less its offset, over all steps of the training part."""
        return [mean - offset for mean, offset in zip(self._statistics[0], self.offsets, strict=True)]

    @property
    def feature_std(self) -> list[float]:
        """Standard deviation of each feature over all steps of the training part."""
        return self._statistics[1]

    def datasets(self) -> dict[str, SequenceDataset]:
        """The parts "train", "val" and "test"."""
        table, parts, per_step = self.table, {}, self.table.task == "tagging"
        for part, chosen in self.rows.items():
            if part == "test" and self.test is not None:
                parts[part] = whole(self.test, table.task, table.classes, self.offsets, self.target_offset)
                continue
            steps = self._steps(part)
            targets = shifted(self.targets[steps if per_step else chosen], self.target_offset)
            values = table.values[steps] - torch.tensor(self.offsets, dtype=torch.float64)
            parts[part] = SequenceDataset(values.float(), table.lengths[chosen], targets, per_step)
        return parts

    def predicted_rows(self) -> pd.DataFrame:
        """A line for each test sequence as written, or for each of its steps where these have targets."""
        tagging = self.table.task == "tagging"
        if self.test is not None:
            return rows_of(self.test, tagging)
        rows = rows_of(self.table, tagging)
        return rows[self._steps("test").numpy()] if tagging else rows.iloc[self.rows["test"].numpy()]


def whole(
    table: SequenceTable, task: str, classes: Sequence[str], offsets: Sequence[float], target_offset: float
) -> SequenceDataset:
    """All sequences of a file that came later than the training file, with targets of 0 where these are not known.

    Args:
        table: The sequences.
        task: Of the training file.
        classes: Of the training file.
        offsets: What is subtracted from each feature.
        target_offset: What is subtracted from numbers to predict.
    """
    values, per_step = table.values - torch.tensor(offsets, dtype=torch.float64), task == "tagging"
    if table.with_target:
        targets = shifted(table.targets(task, classes), target_offset)
    else:
        count = int(table.lengths.sum()) if per_step else len(table.lengths)
        targets = torch.zeros(count, dtype=torch.int64 if classes else torch.float32)
    return SequenceDataset(values.float(), table.lengths, targets, per_step)


def rows_of(table: SequenceTable, tagging: bool) -> pd.DataFrame:
    """What the rows of a table of predictions are: steps or sequences, as written."""
    return table.steps.reset_index(drop=True) if tagging else table.sequences


def shifted(targets: Tensor, offset: float) -> Tensor:
    """Classes as they are, numbers less an offset and then in single precision."""
    return (targets - offset).float() if targets.is_floating_point() else targets
