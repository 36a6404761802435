"""Every pixel by itself: what a generator of images must beat."""

import math
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback
from torch import Tensor


class HistogramBaseline(Callback):
    """Bits per dimension of a histogram of every pixel in every class, as ``baseline/histogram/bits_per_dim``.

    Pixels are independent given the class; each level of each pixel has its relative frequency among the training
    images of the class, with ``pseudo_count`` added to every count.

    Args:
        pseudo_count: Added to every count, so that no level is impossible.
    """

    def __init__(self, pseudo_count: float = 0.1) -> None:
        self.pseudo_count = pseudo_count

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Counts the training images and measures the test images."""
        if not trainer.is_global_zero:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        (images, labels), (test_images, test_labels) = data.tensors("train"), data.tensors("test")
        bits = histogram_bits(images, labels, test_images, test_labels, data.levels, self.pseudo_count)
        pl_module.log("baseline/histogram/bits_per_dim", bits, rank_zero_only=True)


def histogram_bits(
    images: Tensor, labels: Tensor, test_images: Tensor, test_labels: Tensor, levels: int, pseudo_count: float
) -> float:
    """Mean bits per dimension of test images under the training images' histograms of every class and pixel."""
    grey, test_grey = ((part.flatten(1) * (levels - 1)).round().long() for part in (images, test_images))
    log_probs = torch.zeros(len(test_grey), dtype=torch.float64)
    for label in test_labels.unique():
        counts = F.one_hot(grey[labels == label], levels).sum(dim=0).double() + pseudo_count
        log_p = (counts / counts.sum(dim=1, keepdim=True)).log()  # (D, levels)
        chosen = test_labels == label
        log_probs[chosen] = log_p.gather(1, test_grey[chosen].T).sum(dim=0)
    return float(-log_probs.mean() / (grey.shape[1] * math.log(2)))
