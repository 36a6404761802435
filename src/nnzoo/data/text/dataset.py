"""Texts with labels, fetched by whole batches."""

from torch import Tensor
from torch.utils.data import Dataset

from nnzoo.data.sampler import BatchIndex
from nnzoo.data.text.tokens import TokenTable


class TextDataset(Dataset[dict[str, Tensor]]):
    """Some texts of a table as samples.

    Args:
        table: The tokens of all texts.
        rows: Numbers of those that are samples (M,).
        labels: Of all texts (N,), or (N, K).
        padding: The token of padding.
    """

    def __init__(self, table: TokenTable, rows: Tensor, labels: Tensor, padding: int) -> None:
        self.table, self.rows, self.padding = table, rows, padding
        self.labels, self.lengths = labels[rows], table.lengths[rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitems__(self, batch: BatchIndex) -> dict[str, Tensor]:
        chosen = self.rows[batch.samples]
        tokens = self.table.batch(self.table.starts[chosen], self.table.lengths[chosen], {"input_ids": self.padding})
        return {**tokens, "labels": self.labels[batch.samples]}
