"""Random changes of images, drawn for each image and computed for a whole batch at once.

torchvision's transforms draw once for all images of a batch; called image by image they take longer than a small
network's training step.
"""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nnzoo.errors import InputError


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a batch of images (B, C, H, W) in [0, 1]; what leaves the image is lost, what enters is black.

    Attributes:
        shift: Largest shift, as a share of the side, rounded to whole pixels s: each of -s ... s is as likely.
        rotation: Largest rotation in degrees, bilinear.
        crop_padding: Pixels of black padding on every side before a crop of the image's own size.
        flip: Mirror every second image, left to right.
        blur: Largest standard deviation of a Gaussian blur, in pixels; the border is mirrored.
        exposure: Largest relative change of brightness.
    """

    shift: float = 0.0
    rotation: float = 0.0
    crop_padding: int = 0
    flip: bool = False
    blur: float = 0.0
    exposure: float = 0.0

    def __bool__(self) -> bool:
        return any(astuple(self))

    def check(self, size: Sequence[int]) -> None:
        """Raises InputError if a change does nothing to images of that height and width in 256 grey levels."""
        height, width = size
        if self.shift and not any(self._reach(size)):
            least = math.ceil(0.5 / max(size) * 1e4) / 1e4
            raise InputError(
                f"shift {self.shift:g} is less than half a pixel of {height}x{width} and does nothing: set "
                f"--data.shift {least:g} or more, or 0."
            )
        # A neighbour's share, exp(-1 / 2 sigma^2), has to reach half a grey level.
        if self.blur and (max(size) == 1 or math.exp(-0.5 / max(self.blur, 0.1) ** 2) < 0.5 / 255):
            raise InputError(
                f"blur {self.blur:g} changes no grey level of images of {height}x{width} pixels: set --data.blur to "
                "0.3 or more for images of several pixels, or to 0."
            )
        if self.flip and width == 1:
            raise InputError("flip does nothing to images one pixel wide: leave --data.flip out.")

    def _reach(self, size: Sequence[int]) -> list[int]:
        """Largest shift down and right in pixels."""
        return [int(self.shift * side + 0.5) for side in size]

    def __call__(self, images: Tensor, uniform: Tensor) -> Tensor:
        """Changes images as numbers (B, 8) say that were drawn uniformly from [0, 1)."""
        flip, angle, down, right, top, left, sigma, factor = uniform.to(images).T
        if self.flip:
            images = torch.where((flip < 0.5)[:, None, None, None], images.flip(-1), images)
        if self.rotation:
            images = rotate(images, (2 * angle - 1) * self.rotation)
        if self.shift or self.crop_padding:
            moved = whole_numbers(torch.stack([down, right], dim=1), self._reach(images.shape[2:]))
            cropped = whole_numbers(torch.stack([top, left], dim=1), [self.crop_padding] * 2)
            images = translate(images, moved + cropped)
        if self.blur:
            images = blur(images, sigma * self.blur, math.ceil(3 * self.blur))
        if self.exposure:
            low = max(0.0, 1 - self.exposure)
            images = images * (low + (1 + self.exposure - low) * factor)[:, None, None, None]
        return images.clamp(0, 1)


NUM_DRAWS = 8
"""Uniform numbers that an :class:`Augmentation` takes per image."""


def whole_numbers(uniform: Tensor, reach: Sequence[int]) -> Tensor:
    """Whole numbers -r ... r, each as likely, from numbers (B, K) drawn uniformly from [0, 1) and K reaches r."""
    most = torch.tensor(reach, device=uniform.device)
    return torch.floor(uniform * (2 * most + 1)).long() - most


def translate(images: Tensor, offsets: Tensor) -> Tensor:
    """Images (B, C, H, W) moved down and right by whole pixels (B, 2); what enters is 0."""
    height, width = images.shape[2:]
    margin = int(offsets.abs().max())
    padded = F.pad(images, (margin, margin, margin, margin))
    # A view of every window that an image can be seen through; one of each is copied, rows of pixels at a time.
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    down, right = (margin - offsets).T
    return windows[torch.arange(len(images), device=images.device), :, down, right]


def rotate(images: Tensor, degrees: Tensor) -> Tensor:
    """Images (B, C, H, W) turned clockwise about their centres, by angles (B,); bilinear, what enters is 0."""
    height, width = images.shape[2:]
    cos, sin, zero = degrees.deg2rad().cos(), degrees.deg2rad().sin(), torch.zeros_like(degrees)
    # From places in the result to places in the image, both sides of which reach from -1 to 1.
    across = torch.stack([cos, sin * height / width, zero], dim=1)
    downwards = torch.stack([-sin * width / height, cos, zero], dim=1)
    grid = F.affine_grid(torch.stack([across, downwards], dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def blur(images: Tensor, sigma: Tensor, reach: int) -> Tensor:
    """Images (B, C, H, W) convolved with Gaussians of standard deviations (B,), cut off at ``reach`` pixels.

    The border is mirrored about the outermost pixel, as often as ``reach`` needs.
    """
    count, channels, height, width = images.shape
    places = torch.arange(-reach, reach + 1, device=images.device)
    kernels = (-0.5 * (places / sigma.clamp(min=1e-6)[:, None]).square()).softmax(dim=1)
    kernels = kernels.repeat_interleave(channels, dim=0)[:, None]
    rows, columns = (mirrored(side, reach).to(images.device) for side in (height, width))
    maps = images[:, :, rows[:, None], columns].flatten(0, 1)[None]
    maps = F.conv2d(maps, kernels[:, :, None, :], groups=count * channels)
    maps = F.conv2d(maps, kernels[:, :, :, None], groups=count * channels)
    return maps.reshape(images.shape)


def mirrored(side: int, reach: int) -> Tensor:
    """Which of ``side`` pixels stands at each place from ``-reach`` to ``side - 1 + reach``."""
    period = max(1, 2 * (side - 1))
    places = torch.arange(-reach, side + reach) % period
    return torch.minimum(places, (period - places) % period)
