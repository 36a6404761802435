"""What the benchmarks of drawn images compare these with; ``nnzoo.SampleQuality`` takes test images instead."""

import torch
from torch import Tensor

from nnzoo.baselines.features import feature_network
from nnzoo.baselines.sample_quality import class_share, compared, drawn_images, on_levels
from nnzoo.data.images.module import ImageDataModule
from nnzoo.modules.ddpm import DDPM

MOST = 5000


class Yardstick:
    """Training images, by the features that ``nnzoo.SampleQuality`` uses, and held-out images as the floor.

    Args:
        dataset: Name of a data set of images.
    """

    def __init__(self, dataset: str) -> None:
        data = ImageDataModule(dataset=dataset)
        self.network, self.levels, self.in_shape = feature_network(data), data.levels, data.in_shape
        self.real = self.features(data.tensors("train", MOST)[0])
        self.held_out = data.tensors("test", MOST)

    def features(self, images: Tensor) -> Tensor:
        """Of images on the grey levels of the data."""
        return self.network(on_levels(images, self.levels))

    def metrics(self, images: Tensor, labels: Tensor | None = None) -> dict[str, float]:
        """``frechet``, ``precision``, ``recall``, and ``class_share`` where images were asked for by their class."""
        features = self.features(images)
        found = compared(self.real, features)
        return found if labels is None else {**found, "class_share": class_share(self.network, features, labels)}

    def drawn(self, module: DDPM, count: int, **how: object) -> tuple[Tensor, Tensor]:
        """Images from the seed 0, whatever the sampler, and the classes asked for: all in turn."""
        labels = torch.arange(count) % max(1, module.num_conditions)
        return drawn_images(module, labels, self.in_shape, **how), labels
