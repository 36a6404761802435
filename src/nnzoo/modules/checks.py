"""Checks of batches."""

from collections.abc import Sequence

import lightning as L
import torch
from torch import Tensor

from nnzoo.errors import InputError


def check_images(images: Tensor, in_shape: Sequence[int], binary: bool = False) -> None:
    """Raises InputError unless images (B, C, H, W) have the model's shape and finite values in [0, 1].

    Args:
        images: The batch.
        in_shape: (C, H, W) the model was built for.
        binary: Whether the likelihood needs pixels that are 0 or 1.
    """
    if list(images.shape[1:]) != list(in_shape):
        raise InputError(
            f"The model takes images of shape {tuple(in_shape)}, the data are {tuple(images.shape[1:])}: set "
            "--data.image_size and --data.color to match, or train a model on these data."
        )
    if not torch.isfinite(images).all():
        raise InputError("The images hold NaN or infinite values: repair or remove them.")
    if images.min() < 0 or images.max() > 1:
        raise InputError(f"Images must lie in [0, 1], got [{images.min():.3g}, {images.max():.3g}]: rescale them.")
    if binary and not ((images == 0) | (images == 1)).all():
        raise InputError(
            "The Bernoulli likelihood is one of binary images only: set --data.binarize dynamic, or "
            "--model.likelihood discretized_logistic for grey levels."
        )


def check_precision(trainer: L.Trainer) -> None:
    """Raises InputError if a trainer gives a likelihood images in half precision, which moves their grey levels."""
    if trainer.precision in ("bf16-true", "16-true"):
        raise InputError(
            f"--trainer.precision {trainer.precision} moves grey levels by up to half a level, so likelihoods would be "
            "those of other images: set bf16-mixed or 32-true."
        )
