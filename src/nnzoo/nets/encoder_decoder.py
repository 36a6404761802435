"""Image encoders and decoders for any (C, H, W): from images to vectors and back."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.layers import ACTIVATIONS, Activation, append_one_hot, mlp

Architecture = Literal["mlp", "conv"]
Upsampling = Literal["transposed", "nearest"]


def stage_sizes(in_shape: Sequence[int], num_stages: int) -> list[tuple[int, int]]:
    """Height and width before the first and after each stride-2 stage, ``h -> ceil(h / 2)``.

    Raises:
        InputError: If a side is shorter than 2 ** num_stages.
    """
    height, width = in_shape[1:]
    if min(height, width) < 2**num_stages:
        allowed = int(math.log2(min(height, width)))
        raise InputError(
            f"A {height}x{width} image allows at most {allowed} stride-2 stages, got {num_stages}: shorten "
            f"--model.hidden or raise --data.image_size to {2**num_stages} or more."
        )
    return [(math.ceil(height / 2**i), math.ceil(width / 2**i)) for i in range(num_stages + 1)]


class Encoder(nn.Module):
    """Maps images (B, C, H, W) to vectors (B, out_features).

    Args:
        in_shape: (C, H, W) of the images.
        out_features: Length of the vectors.
        architecture: ``mlp`` on the flattened image, or ``conv``: one 3x3 stride-2 convolution per entry of
            ``hidden``, then a linear layer.
        hidden: Layer widths (mlp) or channels (conv), from the image inwards.
        activation: Name of the activation function.
        num_classes: Classes to condition on; 0 for none. Labels enter as one-hot features of the last layer (conv)
            or of the first (mlp).
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        out_features: int,
        architecture: Architecture = "mlp",
        hidden: Sequence[int] = (256, 256),
        activation: Activation = "relu",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(in_shape=in_shape, hidden=hidden)
        self.in_shape, self.num_classes = tuple(in_shape), num_classes
        self.features: nn.Module
        if architecture == "mlp":
            self.features = nn.Flatten()
            self.head = mlp([math.prod(in_shape) + num_classes, *hidden, out_features], activation)
        else:
            height, width = stage_sizes(in_shape, len(hidden))[-1]
            stages: list[nn.Module] = []
            for fewer, more in pairwise([in_shape[0], *hidden]):
                stages += [nn.Conv2d(fewer, more, 3, stride=2, padding=1), ACTIVATIONS[activation]()]
            self.features = nn.Sequential(*stages, nn.Flatten())
            channels = hidden[-1] if hidden else in_shape[0]
            self.head = mlp([channels * height * width + num_classes, out_features], activation)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Encodes ``images`` (B, C, H, W), conditioned on integer ``labels`` (B,) where the net is conditional."""
        if tuple(images.shape[1:]) != self.in_shape:
            raise InputError(f"The network takes images of shape {self.in_shape}, got {tuple(images.shape[1:])}.")
        return self.head(append_one_hot(self.features(images), labels, self.num_classes))


class Decoder(nn.Module):
    """Maps vectors (B, in_features) to images (B, C, H, W): the mirror image of :class:`Encoder`.

    Args:
        out_shape: (C, H, W) of the images.
        in_features: Length of the vectors.
        architecture: ``mlp`` or ``conv``.
        hidden: The encoder's ``hidden``, from the image inwards; the decoder walks it backwards.
        activation: Name of the activation function.
        upsampling: ``transposed`` convolutions, or ``nearest``-neighbour upsampling and a 3x3 convolution, which
            avoids checkerboard patterns (only for ``conv``).
        num_classes: Classes to condition on; 0 for none.
    """

    def __init__(
        self,
        out_shape: Sequence[int],
        in_features: int,
        architecture: Architecture = "mlp",
        hidden: Sequence[int] = (256, 256),
        activation: Activation = "relu",
        upsampling: Upsampling = "transposed",
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(out_shape=out_shape, hidden=hidden)
        self.num_classes = num_classes
        in_features += num_classes
        if architecture == "mlp":
            layers = mlp([in_features, *reversed(hidden), math.prod(out_shape)], activation)
            self.net = nn.Sequential(layers, nn.Unflatten(1, tuple(out_shape)))
            return
        sizes = stage_sizes(out_shape, len(hidden))
        channels = [out_shape[0], *hidden]
        start = (channels[-1], *sizes[-1])
        stages: list[nn.Module] = [nn.Linear(in_features, math.prod(start)), nn.Unflatten(1, start)]
        for depth in range(len(hidden), 0, -1):
            stages += [ACTIVATIONS[activation]()]
            stages += upsample(channels[depth], channels[depth - 1], sizes[depth - 1], upsampling)
        self.net = nn.Sequential(*stages)

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Decodes ``codes`` (B, in_features), conditioned on ``labels`` (B,) where the net is conditional."""
        return self.net(append_one_hot(codes, labels, self.num_classes))


def upsample(wide: int, narrow: int, size: tuple[int, int], upsampling: Upsampling) -> list[nn.Module]:
    """Layers that double height and width to exactly ``size`` (odd sizes included)."""
    if upsampling == "nearest":
        return [nn.Upsample(size=size), nn.Conv2d(wide, narrow, 3, padding=1)]
    # ceil(h / 2) doubles to 2 ceil(h / 2) - 1 without output padding: even sizes need one more row or column.
    padding = (1 - size[0] % 2, 1 - size[1] % 2)
    return [nn.ConvTranspose2d(wide, narrow, 3, stride=2, padding=1, output_padding=padding)]


def line_between(first: Tensor, second: Tensor, steps: int) -> Tensor:
    """Points on the lines between codes ``first`` (B, L) and ``second`` (B, L), ends included: (B, steps, L)."""
    weights = torch.linspace(0, 1, steps, device=first.device, dtype=first.dtype).view(1, steps, 1)
    return torch.lerp(first[:, None], second[:, None], weights)
