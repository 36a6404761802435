"""The U-Net of denoising diffusion models, for images of any (C, H, W) whose sides can be halved."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.layers import checked_labels
from nnzoo.nets.precision import at_least_float32, full_precision

MOST_GROUPS, FEWEST_IN_GROUP = 32, 4


class UNet(nn.Module):
    """From noised images and times to an image of the same size (Ho et al. 2020, arXiv:2006.11239).

    Residual blocks on the way down, their outputs beside those on the way up, half the size at each level but the last.
    The output and each block's last layer begin at zero. With the defaults and 32x32 RGB images these are the paper's
    35.7M parameters for CIFAR-10 if ``attention`` is [16].

    Args:
        in_shape: (C, H, W) of the images.
        out_channels: Channels of the output; C if None.
        channels: Channels of the first level.
        channel_mult: Factors on them, one for each level.
        blocks: Residual blocks of each level.
        attention: Heights of the feature maps that attend to themselves; those in the middle always do.
        dropout: In the residual blocks.
        num_classes: Classes to condition on; 0 for none. Class ``num_classes`` stands for none given.
        context_dim: Length of the tokens that all attending maps attend to as well; 0 for none.

    Raises:
        InputError: If a side cannot be halved often enough, or no map has a height of ``attention``.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_channels: int | None = None,
        channels: int = 128,
        channel_mult: Sequence[int] = (1, 2, 2, 2),
        blocks: int = 2,
        attention: Sequence[int] = (),
        dropout: float = 0.0,
        num_classes: int = 0,
        context_dim: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(in_shape=in_shape, channels=channels, channel_mult=channel_mult, blocks=blocks)
        heights = level_heights(in_shape, len(channel_mult))
        if unknown := set(attention) - set(heights):
            known = ", ".join(map(str, heights))
            raise InputError(f"No feature map is {max(unknown)} high: --model.attention takes some of {known}.")
        if channels % 2:
            raise InputError(f"channels must be even, half sines and half cosines of the time, got {channels}.")
        self.channels, self.num_classes = channels, num_classes
        width = 4 * channels
        self.time = nn.Sequential(nn.Linear(channels, width), nn.SiLU(), nn.Linear(width, width))
        self.classes = nn.Embedding(num_classes + 1, width) if num_classes else None

        def stage(fewer: int, more: int, height: int) -> Stage:
            attends = height in attention
            return Stage(fewer, more, width, dropout, attends, context_dim)

        self.first = nn.Conv2d(in_shape[0], channels, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        kept, now = [channels], channels
        for level, (factor, height) in enumerate(zip(channel_mult, heights, strict=True)):
            for _ in range(blocks):
                self.down.append(stage(now, channels * factor, height))
                now = channels * factor
                kept.append(now)
            if level < len(heights) - 1:
                self.down.append(nn.Conv2d(now, now, 3, stride=2, padding=1))
                kept.append(now)
        self.middle = nn.ModuleList(
            [Stage(now, now, width, dropout, True, context_dim), Stage(now, now, width, dropout, False, 0)]
        )
        for level, (factor, height) in reversed(list(enumerate(zip(channel_mult, heights, strict=True)))):
            for _ in range(blocks + 1):
                self.up.append(stage(now + kept.pop(), channels * factor, height))
                now = channels * factor
            if level > 0:
                self.up.append(Doubling(now))
        out_channels = in_shape[0] if out_channels is None else out_channels
        self.norm = nn.Sequential(group_norm(now), nn.SiLU())
        self.last = nn.Conv2d(now, out_channels, 3, padding=1)
        self.apply(init_layer)
        for block in self.modules():
            if isinstance(block, UNet | ResidualBlock | Attention):
                nn.init.zeros_(block.last.weight)

    def forward(
        self,
        images: Tensor,
        times: Tensor,
        labels: Tensor | None = None,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
    ) -> Tensor:
        """An image (B, out_channels, H, W) for each noised one.

        Args:
            images: Noised images (B, C, H, W).
            times: Their times (B,), from 0 to 1,000.
            labels: Their classes (B,), if it is conditioned on classes; ``num_classes`` for none.
            context: Tokens (B, N, context_dim), if it attends to any.
            context_mask: Which of them count (B, N).
        """
        state = self.time(time_embedding(times, self.channels).to(images.dtype))
        if self.classes is not None:
            state = state + self.classes(checked_labels(labels, self.num_classes + 1))
        state = F.silu(state)
        features = self.first(images)
        kept = [features]
        for layer in self.down:
            features = layer(features, state, context, context_mask) if isinstance(layer, Stage) else layer(features)
            kept.append(features)
        for layer in self.middle:
            features = layer(features, state, context, context_mask)
        for layer in self.up:
            if isinstance(layer, Stage):
                features = layer(torch.cat([features, kept.pop()], dim=1), state, context, context_mask)
            else:
                features = layer(features)
        return self.last(self.norm(features))


class Stage(nn.Module):
    """A residual block, and what its maps attend to: themselves, and the tokens of a context."""

    def __init__(self, fewer: int, more: int, width: int, dropout: float, attends: bool, context_dim: int) -> None:
        super().__init__()
        self.block = ResidualBlock(fewer, more, width, dropout)
        self.attention = Attention(more) if attends else None
        self.context = Attention(more, context_dim) if attends and context_dim else None

    def forward(self, features: Tensor, state: Tensor, context: Tensor | None, mask: Tensor | None) -> Tensor:
        """Feature maps (B, more, H, W)."""
        features = self.block(features, state)
        if self.attention is not None:
            features = self.attention(features)
        return features if self.context is None else self.context(features, context, mask)


class ResidualBlock(nn.Module):
    """Twice group norm, SiLU and a 3x3 convolution, with the state of time and class in between, beside a shortcut."""

    def __init__(self, fewer: int, more: int, width: int, dropout: float) -> None:
        super().__init__()
        self.before = nn.Sequential(group_norm(fewer), nn.SiLU(), nn.Conv2d(fewer, more, 3, padding=1))
        self.state = nn.Linear(width, more)
        self.between = nn.Sequential(group_norm(more), nn.SiLU(), nn.Dropout(dropout))
        self.last = nn.Conv2d(more, more, 3, padding=1)
        self.shortcut = nn.Identity() if fewer == more else nn.Conv2d(fewer, more, 1)

    def forward(self, features: Tensor, state: Tensor) -> Tensor:
        """Feature maps (B, more, H, W)."""
        changed = self.before(features) + self.state(state)[:, :, None, None]
        return self.shortcut(features) + self.last(self.between(changed))


class Doubling(nn.Sequential):
    """Twice the size by nearest neighbours, then a 3x3 convolution.

    Each pixel sees 2x2 different ones, so that both are one transposed convolution with a kernel of 4x4, whose elements
    are sums of those of 3x3: 4 products a pixel instead of 9.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Upsample(scale_factor=2), nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, features: Tensor) -> Tensor:
        """Feature maps (B, C, 2 H, 2 W)."""
        conv: Any = self[1]
        sums = F.avg_pool2d(conv.weight, 2, stride=1, padding=1, divisor_override=1)
        return F.conv_transpose2d(features, sums.flip(2, 3).transpose(0, 1), conv.bias, stride=2, padding=1)


class Attention(nn.Module):
    """Each position attends, with one head, to all positions of its image, or to the tokens of a context.

    In float32 or more: half-precision logits overflow.
    """

    def __init__(self, channels: int, context_dim: int = 0) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.query = nn.Linear(channels, channels)
        self.key_value = nn.Linear(context_dim or channels, 2 * channels)
        self.last = nn.Linear(channels, channels)

    def forward(self, features: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Feature maps (B, C, H, W), of the same shape."""
        positions = self.norm(features).flatten(2).transpose(1, 2)
        query = self.query(positions)
        key, value = self.key_value(positions if context is None else context).chunk(2, dim=-1)
        with full_precision(features.device):
            mask = None if mask is None else mask[:, None]
            query, key, value = (at_least_float32(part) for part in (query, key, value))
            attended = F.scaled_dot_product_attention(query, key, value, mask)
        return features + self.last(attended.to(positions.dtype)).transpose(1, 2).unflatten(2, features.shape[2:])


def time_embedding(times: Tensor, size: int) -> Tensor:
    """Sines and cosines of times (B,) at ``size / 2`` frequencies from 1 down to 1 / 10,000: (B, size), in float32."""
    half = size // 2
    steps = torch.arange(half, device=times.device, dtype=torch.float32) / max(1, half - 1)
    angles = times.float()[:, None] * torch.exp(-math.log(10_000) * steps)
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def group_norm(channels: int) -> nn.GroupNorm:
    """A group norm of at most 32 groups, of 4 channels or more each.

    A group of one channel would take away what the state of time and class adds to the whole of it.
    """
    most = max(1, min(MOST_GROUPS, channels // FEWEST_IN_GROUP))
    groups = next(number for number in range(most, 0, -1) if channels % number == 0)
    return nn.GroupNorm(groups, channels, eps=1e-6)


def level_heights(in_shape: Sequence[int], levels: int) -> list[int]:
    """The heights of the feature maps of each level.

    Raises:
        InputError: If a side cannot be halved at each level but the last.
    """
    factor = 2 ** (levels - 1)
    if any(side % factor for side in in_shape[1:]):
        height, width = in_shape[1:]
        fitting = factor * math.ceil(max(height, width) / factor)
        often = max(k for k in range(levels) if not any(side % 2**k for side in in_shape[1:]))
        raise InputError(
            f"A {height}x{width} image cannot be halved {levels - 1} times, as its sides are no multiples of {factor}: "
            f"set --data.image_size {fitting}, or a --model.channel_mult of {often + 1} levels."
        )
    return [in_shape[1] // 2**level for level in range(levels)]


def init_layer(layer: nn.Module) -> None:
    """Uniform kernels by the mean of fan-in and fan-out, zero biases."""
    if isinstance(layer, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
