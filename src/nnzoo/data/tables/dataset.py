"""Tables in memory, fetched by whole batches."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from nnzoo.data.sampler import BatchIndex
from nnzoo.data.tables.preprocessor import Columns

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
        return (
            self.numeric.index_select(0, rows),
            self.categories.index_select(0, rows),
            self.labels.index_select(0, rows),
        )
