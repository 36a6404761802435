"""What modules on a table's rows share."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from nnzoo.modules.supervised import SupervisedModule


class TableModule(SupervisedModule):
    """A network on a table's rows.

    A batch is numbers (B, N), codes of the categories (B, C), which may be left out where there are none, and targets
    (B,).

    Args:
        num_numeric: Number of numeric columns, N (the command line takes it from the data).
        cardinalities: Categories of each categorical column (the command line takes it from the data).
        preprocessing: Fingerprint of how the data turn columns into numbers, so that no others are taken for the same
            (the command line takes it from the data).
        shared: What the base class takes.
    """

    def __init__(
        self, *, num_numeric: int = 64, cardinalities: Sequence[int] = (), preprocessing: str = "", **shared: Any
    ) -> None:
        super().__init__(**shared)

    def has_target(self, batch: Sequence[Tensor]) -> bool:
        """A batch of numbers, or of numbers and codes (B, C), has none."""
        return len(batch) > 1 and batch[-1].dim() == 1
