"""Images in memory or in a cache, fetched by whole batches, each augmented in its own way."""

import torch
from torch import Tensor
from torch.utils.data import Dataset

from nnzoo.data.images.augment import NUM_DRAWS, Augmentation
from nnzoo.data.images.cache import CachedImages
from nnzoo.data.sampler import BatchIndex


class ImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images fetched by whole batches: (B, C, H, W) float in [0, 1] and labels (B,).

    Args:
        images: uint8 grey levels (N, C, H, W), in memory or cached on disk.
        labels: Class of each image (N,).
        levels: Number of grey levels; an image is its levels divided by ``levels - 1``.
        augment: Random changes, drawn anew for each image and each epoch.
        binarize: Draw each pixel as 0 or 1 with its grey value as probability, anew in each epoch.
    """

    def __init__(
        self,
        images: Tensor | CachedImages,
        labels: Tensor,
        levels: int = 256,
        augment: Augmentation | None = None,
        binarize: bool = False,
    ) -> None:
        self.images, self.labels, self.levels = images, labels, levels
        self.augment, self.binarize = augment, binarize

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        images, labels = self.__getitems__(BatchIndex(torch.tensor([index]), index, slice(None), 1))
        return images[0], labels[0]

    def __getitems__(self, batch: BatchIndex) -> tuple[Tensor, Tensor]:
        if isinstance(self.images, Tensor):
            images = self.images.index_select(0, batch.samples)  # several times as fast as indexing
        else:
            images = self.images[batch.samples]
        images = images.float() / (self.levels - 1)
        if self.augment is None and not self.binarize:
            return images, self.labels[batch.samples]
        generator = torch.Generator().manual_seed(batch.seed)
        if self.augment is not None:
            images = self.augment(images, torch.rand(batch.size, NUM_DRAWS, generator=generator)[batch.rows])
        if self.binarize:
            thresholds = torch.rand(batch.size, *images.shape[1:], generator=generator)[batch.rows]
            images = thresholds.lt_(images)  # in place: 0 or 1 as float, without another copy
        return images, self.labels[batch.samples]
