"""Random changes of images, drawn for each image and computed for a whole batch at once.

torchvision's transforms draw once for all images of a batch; called image by image they take longer than a small
network's training step.
"""

import math
from dataclasses import astuple, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a batch of images (B, C, H, W) in [0, 1]; what leaves the image is lost, what enters is black.

    Attributes:
        shift: Largest shift, as a share of the side: whole pixels, uniform up to there.
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

    def __call__(self, images: Tensor, uniform: Tensor) -> Tensor:
        """Changes images as numbers (B, 8) say that were drawn uniformly from [0, 1)."""
        flip, angle, down, right, top, left, sigma, factor = uniform.to(images).T
        if self.flip:
            images = torch.where((flip < 0.5)[:, None, None, None], images.flip(-1), images)
        if self.rotation:
            images = rotate(images, (2 * angle - 1) * self.rotation)
        if self.shift or self.crop_padding:
            reach = torch.tensor([self.shift * side for side in images.shape[2:]])
            moved = torch.round((2 * torch.stack([down, right], dim=1) - 1) * reach)
            cropped = torch.floor(torch.stack([top, left], dim=1) * (2 * self.crop_padding + 1)) - self.crop_padding
            images = translate(images, (moved + cropped).long())
        if self.blur:
            images = blur(images, sigma * self.blur, math.ceil(3 * self.blur))
        if self.exposure:
            low = max(0.0, 1 - self.exposure)
            images = images * (low + (1 + self.exposure - low) * factor)[:, None, None, None]
        return images.clamp(0, 1)


NUM_DRAWS = 8
"""Uniform numbers that an :class:`Augmentation` takes per image."""


def translate(images: Tensor, offsets: Tensor) -> Tensor:
    """Images (B, C, H, W) moved down and right by whole pixels (B, 2); what enters is 0."""
    height, width = images.shape[2:]
    margin = int(offsets.abs().max())
    padded = F.pad(images, (margin, margin, margin, margin)).permute(0, 2, 3, 1)
    rows = torch.arange(height) + margin - offsets[:, :1]
    columns = torch.arange(width) + margin - offsets[:, 1:]
    chosen = padded[torch.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]
    return chosen.permute(0, 3, 1, 2).contiguous()


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
    """Images (B, C, H, W) convolved with Gaussians of standard deviations (B,), cut off at ``reach`` pixels."""
    count, channels = images.shape[:2]
    reach = min(reach, min(images.shape[2:]) - 1)  # the border is mirrored, which the image must be large enough for
    places = torch.arange(-reach, reach + 1, device=images.device)
    kernels = (-0.5 * (places / sigma.clamp(min=1e-6)[:, None]).square()).softmax(dim=1)
    kernels = kernels.repeat_interleave(channels, dim=0)[:, None]
    maps = F.pad(images, (reach, reach, reach, reach), mode="reflect").flatten(0, 1)[None]
    maps = F.conv2d(maps, kernels[:, :, None, :], groups=count * channels)
    maps = F.conv2d(maps, kernels[:, :, :, None], groups=count * channels)
    return maps.reshape(images.shape)
