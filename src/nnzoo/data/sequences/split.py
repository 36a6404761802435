"""A CSV file of sequences, divided into parts by whole sequences."""

from functools import cached_property

import pandas as pd
import torch
from torch import Tensor

from nnzoo.data.sequences.dataset import SequenceDataset
from nnzoo.data.sequences.table import SequenceTable
from nnzoo.data.splits import split_parts
from nnzoo.errors import InputError


class SequenceSplit:
    """Datasets of the parts of a table of sequences, and what the training part says of its features.

    Values stay as they are in the file; a model standardises them by the training part's statistics, which it keeps.

    Args:
        table: Sequences with targets.
        new: Sequences to predict, if there are any.
        split: Shares, seed and folds, as :func:`nnzoo.data.splits.split_parts` takes them.

    Raises:
        InputError: If a part would be empty, or a feature cannot be standardised.
    """

    def __init__(
        self, table: SequenceTable, new: SequenceTable | None, split: tuple[float, float, int, int, int]
    ) -> None:
        self.table, self.new = table, new
        count = len(table.lengths)
        one_kind = table.task != "classification"
        labels = torch.zeros(count, dtype=torch.long) if one_kind else table.targets
        self.rows = split_parts(labels, ["train"] * count, *split)
        for column, mean, std in zip(table.features, self.feature_mean, self.feature_std, strict=True):
            if not std > 0:
                raise InputError(
                    f"The column {column} of {table.path} is constant in the training part: --data.drop leaves it out."
                )
            if abs(mean) > 1e5 * std:
                raise InputError(
                    f"The column {column} of {table.path} varies too little around {mean:.6g} for single precision: "
                    "subtract a constant from it."
                )

    def _steps(self, part: str) -> Tensor:
        """Which steps of all belong to a part (S,)."""
        owners = torch.arange(len(self.table.lengths)).repeat_interleave(self.table.lengths)
        return torch.isin(owners, self.rows[part])

    @cached_property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        return torch.std_mean(self.table.values[self._steps("train")], dim=0, correction=0)

    @property
    def feature_mean(self) -> list[float]:
        """Mean of each feature over all steps of the training part."""
        return self._statistics[1].tolist()

    @property
    def feature_std(self) -> list[float]:
        """Standard deviation of each feature over all steps of the training part."""
        return self._statistics[0].tolist()

    def datasets(self) -> dict[str, SequenceDataset]:
        """The parts "train", "val" and "test", and "predict" if there are sequences to predict."""
        table, parts = self.table, {}
        for part, chosen in self.rows.items():
            steps = self._steps(part)
            targets = table.targets[steps if table.per_step else chosen]
            parts[part] = SequenceDataset(
                table.values[steps].float(), table.lengths[chosen], targets, per_step=table.per_step
            )
        if self.new is not None:
            lengths = self.new.lengths
            unknown = torch.zeros(int(lengths.sum()) if table.per_step else len(lengths), dtype=table.targets.dtype)
            parts["predict"] = SequenceDataset(self.new.values.float(), lengths, unknown, per_step=table.per_step)
        return parts

    def predicted_rows(self) -> pd.DataFrame:
        """A line for each sequence to predict, or for each of its steps where these have targets; else of the test."""
        table = self.new or self.table
        rows = table.steps if self.table.per_step else table.sequences
        if self.new is not None:
            return rows
        return rows[self._steps("test").numpy()] if self.table.per_step else rows.iloc[self.rows["test"].numpy()]
