"""Images in memory or in a cache, fetched by whole batches, augmented one by one."""

import math

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import v2

from nnzoo.data.base import BatchIndex
from nnzoo.data.image_folder import CachedImages


class ImageDataset(Dataset[tuple[Tensor, Tensor]]):
    """Images fetched by whole batches: (B, C, H, W) float in [0, 1] and labels (B,).

    Args:
        images: uint8 grey levels (N, C, H, W), in memory or cached on disk.
        labels: Class of each image (N,).
        levels: Number of grey levels; an image is its levels divided by ``levels - 1``.
        augment: Transform of one image, drawn anew for each image and each epoch.
        binarize: Draw each pixel as 0 or 1 with its grey value as probability, anew in each epoch.
    """

    def __init__(
        self,
        images: Tensor | CachedImages,
        labels: Tensor,
        levels: int = 256,
        augment: v2.Transform | None = None,
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
            images = self.images.index_select(0, batch.samples)  # 20 times as fast as indexing
        else:
            images = self.images[batch.samples]
        images = images.float() / (self.levels - 1)
        generator = torch.Generator().manual_seed(batch.seed)
        if self.augment is not None:
            seeds = torch.randint(2**62, (batch.size,), generator=generator)[batch.rows]
            images = torch.stack(
                [_seeded(self.augment, image, int(seed)) for image, seed in zip(images, seeds, strict=True)]
            )
        if self.binarize:
            thresholds = torch.rand(batch.size, *images.shape[1:], generator=generator)[batch.rows]
            images = thresholds.lt_(images)  # in place: 0 or 1 as float, without another copy
        return images, self.labels[batch.samples]


def _seeded(transform: v2.Transform, image: Tensor, seed: int) -> Tensor:
    # torchvision's transforms draw from the global generator; torch.manual_seed would reset the GPU's as well.
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        return transform(image).clamp(0, 1)
    finally:
        torch.set_rng_state(state)


def augmentation(shift: float, rotation: float, blur: float, exposure: float, side: int) -> v2.Transform | None:
    """A random transform of one float image (C, H, W) with ``side`` = min(H, W), or None if every strength is 0."""
    steps: list[v2.Transform] = []
    if shift or rotation:
        bilinear = v2.InterpolationMode.BILINEAR
        steps.append(v2.RandomAffine(rotation, translate=(shift, shift), interpolation=bilinear))
    if blur:
        reach = min(math.ceil(3 * blur), side - 1)  # the border is mirrored, which the image must be large enough for
        steps.append(v2.GaussianBlur(2 * reach + 1, sigma=(min(0.01, blur), blur)))
    if exposure:
        steps.append(v2.ColorJitter(brightness=exposure))
    return v2.Compose(steps) if steps else None
