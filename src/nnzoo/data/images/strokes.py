"""What can be measured of a drawn stroke: how thick it is, and how far it leans."""

import torch
import torch.nn.functional as F
from torch import Tensor


def stroke_weight(images: Tensor) -> Tensor:
    """The thickness of strokes in pixels (B,): 2 sum(x^2) / TV(x), for bright strokes on black, (B, C, H, W) in [0, 1].

    A long bar of width w >= 1 has an area of w and a total variation of 2 per pixel of its length, which gives w. One
    of width w < 1 is a line of pixels of brightness w, which the square gives w too. A blank image has 0.
    """
    padded = F.pad(images.mean(1), (1, 1, 1, 1))
    down, right = padded[:, 1:, :-1] - padded[:, :-1, :-1], padded[:, :-1, 1:] - padded[:, :-1, :-1]
    variation = (down.square() + right.square()).sqrt().flatten(1).sum(1)
    return 2 * padded.square().flatten(1).sum(1) / variation.clamp(min=1e-6)


def slant(images: Tensor) -> Tensor:
    """How far strokes lean to the right, in pixels per pixel upwards (B,): 0 upright, 1 like a slash.

    The shear that would set them upright, by their central second moments: -mu_xy / mu_yy with y downwards. An image
    of one row, or a blank one, has 0.
    """
    ink = images.mean(1).double()
    mass = ink.flatten(1).sum(1).clamp(min=1e-12)
    y, x = (torch.arange(size, device=images.device, dtype=ink.dtype) for size in ink.shape[1:])
    y_mean = (ink.sum(2) * y).sum(1) / mass
    x_mean = (ink.sum(1) * x).sum(1) / mass
    dy, dx = y - y_mean[:, None], x - x_mean[:, None]
    mixed = torch.einsum("bhw,bh,bw->b", ink, dy, dx)
    vertical = (ink.sum(2) * dy.square()).sum(1)
    return torch.where(vertical > 1e-9, -mixed / vertical.clamp(min=1e-9), 0.0).to(images.dtype)
