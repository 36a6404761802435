"""Views of an image for test-time augmentation."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Views = Literal["none", "flip", "shift", "flip_shift"]


def views_of(images: Tensor, views: Views) -> list[Tensor]:
    """The images (B, C, H, W) and their changed copies.

    flip adds the mirror image; shift adds copies moved by a pixel up, down, left and right, with black entering;
    flip_shift adds these of both.
    """
    seen = [images, images.flip(-1)] if views in ("flip", "flip_shift") else [images]
    if views in ("shift", "flip_shift"):
        height, width = images.shape[2:]
        steps = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
        padded = [F.pad(view, (1, 1, 1, 1)) for view in seen]
        seen = [view[..., 1 + y : 1 + y + height, 1 + x : 1 + x + width] for view in padded for y, x in steps]
    return seen


def mean_over_views(classify: Callable[[Tensor], Tensor], images: Tensor, views: Views) -> Tensor:
    """The mean class probabilities (B, K) over the views of each image."""
    return torch.stack([classify(view) for view in views_of(images, views)]).mean(dim=0)
