"""Points in memory, fetched by whole batches."""

from torch import Tensor
from torch.utils.data import Dataset

from nnzoo.data.sampler import BatchIndex


class PointDataset(Dataset[tuple[Tensor, Tensor]]):
    """Points fetched by whole batches: (B, 2) float and the components that they come from (B,).

    Args:
        points: (N, 2).
        labels: Component of each point (N,).
    """

    def __init__(self, points: Tensor, labels: Tensor) -> None:
        self.points, self.labels = points, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, batch: BatchIndex) -> tuple[Tensor, Tensor]:
        return self.points.index_select(0, batch.samples), self.labels[batch.samples]
