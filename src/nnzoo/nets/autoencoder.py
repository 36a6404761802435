"""The mathematics of (denoising) autoencoders: corruption, reconstruction error, weight penalties."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nnzoo.nets.noise import Source, normal, uniform

Noise = Literal["none", "gaussian", "masking", "salt_and_pepper"]
ReconstructionLoss = Literal["mse", "bce"]


def corrupt(images: Tensor, noise: Noise, level: float, generator: Source = None) -> Tensor:
    """Adds noise to images in [0, 1] (Vincent et al. 2010, JMLR 11:3371).

    Args:
        images: Clean images (B, C, H, W).
        noise: ``gaussian`` adds N(0, level^2) and is not cut to [0, 1]; ``masking`` sets a share ``level`` of the
            pixels to 0; ``salt_and_pepper`` sets that share to 0 or 1, half each. All channels of a pixel go together.
        level: Standard deviation, or share of pixels.
        generator: Source of the noise; the global one if None.
    """
    if noise == "none" or level == 0:
        return images
    if noise == "gaussian":
        return images + level * normal(images.shape, images, generator)
    pixels = images[:, :1]
    drawn = uniform(pixels.shape, pixels, generator)
    corrupted = images.masked_fill(drawn < level, 0.0)
    return corrupted if noise == "masking" else corrupted.masked_fill(drawn < level / 2, 1.0)


def reconstruction_error(images: Tensor, logits: Tensor, loss: ReconstructionLoss) -> Tensor:
    """Error per image, summed over its pixels: (B,).

    ``mse``: sum_d (x_d - s(l_d))^2. ``bce``: cross entropy of s(l_d) with x_d as the target; a fine training signal
    for grey images, but not a likelihood.
    """
    if loss == "mse":
        return (images - torch.sigmoid(logits)).square().flatten(1).sum(1)
    return F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(1)
