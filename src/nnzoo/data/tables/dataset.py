"""Tables in memory, fetched by whole batches."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from nnzoo.data.sampler import BatchIndex
from nnzoo.data.tables.preprocessor import Columns
from nnzoo.errors import InputError

Batch = tuple[Tensor, Tensor, Tensor]


class TableDataset(Dataset[Batch]):
    """Rows in memory, fetched by whole batches: numbers (B, N), codes of categories (B, C), targets (B,)."""

    def __init__(self, columns: Columns, target: Tensor) -> None:
        self.numeric, self.categories = torch.from_numpy(columns.numeric), torch.from_numpy(columns.categories)
        self.labels = target

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, batch: BatchIndex) -> Batch:
        rows = batch.samples
        return self.numeric.index_select(0, rows), self.categories.index_select(0, rows), self.labels[rows]


def check_numbers(numbers: NDArray[np.float64], parts: Mapping[str, Tensor], name: str) -> None:
    """Raises InputError if the target, of that name, cannot be regressed on, or a part is too small for it."""
    if numbers[parts["train"].numpy()].std() == 0:
        raise InputError(f"The target {name} is constant: choose a column that varies.")
    if np.abs(numbers).max() > 1e30 or numbers.std() < 1e-5 * np.abs(numbers).max():
        raise InputError(f"The target {name} is too large, or varies too little, for single precision: rescale it.")
    if min(map(len, parts.values())) < 2:
        raise InputError("Regression needs two rows or more in every part: add rows or change the fractions.")
