"""Generators and critics of adversarial models, and their losses as pure functions."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.encoder_decoder import stage_sizes
from nnzoo.nets.layers import append_one_hot, checked_labels, mlp
from nnzoo.nets.precision import at_least_float32, full_precision

Architecture = Literal["mlp", "dcgan", "resnet"]
Norm = Literal["none", "layer", "instance", "batch"]
Conditioning = Literal["projection", "auxiliary"]

SMALLEST = 8
"""The shortest side of an image that has room for convolutions of stride 2."""

NORMS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda channels: nn.Identity(),
    "layer": lambda channels: nn.GroupNorm(1, channels),  # over all channels and positions of a sample
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
    "batch": nn.BatchNorm2d,
}


def critic_losses(real: Tensor, drawn: Tensor, cross_entropy: bool = False) -> Tensor:
    """Loss of a critic for each pair of scores (B,).

    Args:
        real: Of real samples.
        drawn: Of drawn ones.
        cross_entropy: That of telling both apart, scores being logits, instead of the difference of the scores.
    """
    return F.softplus(-real) + F.softplus(drawn) if cross_entropy else drawn - real


def generator_losses(drawn: Tensor, cross_entropy: bool = False) -> Tensor:
    """Loss of a generator for each score of a drawn sample (B,): minus it, or the non-saturating cross-entropy."""
    return F.softplus(-drawn) if cross_entropy else -drawn


@torch.no_grad()
def clip_weights(critic: nn.Module, limit: float) -> None:
    """Clips every parameter to [-limit, limit]."""
    for parameter in critic.parameters():
        parameter.clamp_(-limit, limit)


def energy_scores(real: Tensor, drawn: Tensor) -> Tensor:
    """E ||Y - x|| - E ||Y - Y'|| / 2 of each real sample x (B,), for its own draws Y: lower is better.

    A strictly proper scoring rule (Gneiting & Raftery 2007): its mean is lowest for the law of the data alone.

    Args:
        real: (B, ...).
        drawn: K independent draws for each of them (K, B, ...), K at least 2.
    """
    real, drawn = real.flatten(1), drawn.flatten(2)
    between = torch.cdist(drawn.transpose(0, 1), drawn.transpose(0, 1), compute_mode="donot_use_mm_for_euclid_dist")
    pairs = len(drawn) * (len(drawn) - 1)
    return (drawn - real).norm(dim=2).mean(0) - between.sum((1, 2)) / pairs / 2


def gradient_norms(critic: Callable[[Tensor], Tensor], real: Tensor, drawn: Tensor, shares: Tensor) -> Tensor:
    """||grad D(x)|| of each sample (B,) at a point x between a real and a drawn one, without autocast.

    The penalty is (||grad D(x)|| - 1)^2 (Gulrajani et al. 2017, arXiv:1704.00028): a share for each sample, the norm
    over all its values.

    Args:
        critic: From samples (B, ...) to scores (B,), each of its own sample alone.
        real: Samples (B, ...).
        drawn: Samples (B, ...); no gradient goes to where they come from.
        shares: How far each x lies from the real sample (B,), from 0 to 1.
    """
    with full_precision(real.device):
        shares = shares.view(-1, *[1] * (real.dim() - 1))
        between = torch.lerp(real, drawn.detach().to(real.dtype), shares).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        # The root has no gradient at 0.
        return (at_least_float32(gradient).flatten(1).square().sum(1) + 1e-12).sqrt()


def num_stages(in_shape: Sequence[int], rounded: Callable[[float], int] = math.floor) -> int:
    """How often an image can be halved until its shorter side has 4 to 7 pixels.

    Args:
        in_shape: (C, H, W) of the image.
        rounded: math.ceil for 2 to 4 pixels.

    Raises:
        InputError: If it is too small.
    """
    if min(in_shape[1:]) < SMALLEST:
        raise InputError(
            f"A {in_shape[1]}x{in_shape[2]} image is too small for convolutions of stride 2: set --data.image_size "
            f"{SMALLEST} or more, or --model.architecture mlp."
        )
    return rounded(math.log2(min(in_shape[1:]) / 4))


class Generator(nn.Module):
    """From noise to samples: images in [-1, 1], or points.

    Args:
        out_shape: (C, H, W) of the images, or (D,) of points.
        latent_dim: Length of the noise.
        architecture: mlp (ReLU, no norm) | dcgan (transposed convolutions, batch norm and ReLU; Radford et al. 2015,
            arXiv:1511.06434) | resnet (residual blocks with nearest-neighbour upsampling, as for CIFAR-10 in
            arXiv:1704.00028).
        hidden: Widths of the mlp's layers.
        channels: Channels of resnet, and of dcgan's largest feature maps, which double at each stage inwards.
        num_classes: Classes to condition on, appended to the noise; 0 for none.
    """

    def __init__(
        self,
        out_shape: Sequence[int],
        latent_dim: int,
        architecture: Architecture = "mlp",
        hidden: Sequence[int] = (512, 512, 512),
        channels: int = 64,
        num_classes: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(out_shape=out_shape, latent_dim=latent_dim, hidden=hidden, channels=channels)
        self.num_classes, size = num_classes, latent_dim + num_classes
        if architecture == "mlp":
            self.net = nn.Sequential(
                mlp([size, *hidden, math.prod(out_shape)], "relu"), nn.Unflatten(1, tuple(out_shape))
            )
        else:
            sizes = stage_sizes(out_shape, num_stages(out_shape))[::-1]
            build = dcgan_layers if architecture == "dcgan" else resnet_layers
            self.net = nn.Sequential(*build(out_shape[0], size, channels, sizes))
        if len(out_shape) == 3:
            self.net.append(nn.Tanh())

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples (B, *out_shape) of noise (B, latent_dim), and of labels (B,) where the net is conditional."""
        return self.net(append_one_hot(noise, labels, self.num_classes))


def dcgan_layers(out_channels: int, size: int, channels: int, sizes: Sequence[tuple[int, int]]) -> list[nn.Module]:
    """Layers of a DCGAN's generator, from the smallest feature maps to images."""
    widths = [channels * 2**depth for depth in range(len(sizes) - 1, -1, -1)]
    start = (widths[0], *sizes[0])
    layers: list[nn.Module] = [nn.Linear(size, math.prod(start)), nn.Unflatten(1, start)]
    layers += [nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for (wide, narrow), target in zip(pairwise(widths), sizes[1:], strict=True):
        layers += [nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1), Cropped(target)]
        layers += [nn.BatchNorm2d(narrow), nn.ReLU()]
    return [*layers, nn.Conv2d(widths[-1], out_channels, 3, padding=1)]


def resnet_layers(out_channels: int, size: int, channels: int, sizes: Sequence[tuple[int, int]]) -> list[nn.Module]:
    """Layers of the residual generator, from the smallest feature maps to images."""
    start = (channels, *sizes[0])
    layers: list[nn.Module] = [nn.Linear(size, math.prod(start)), nn.Unflatten(1, start)]
    layers += [UpBlock(channels, target) for target in sizes[1:]]
    return [*layers, nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, out_channels, 3, padding=1)]


class Cropped(nn.Module):
    """The upper left part of feature maps, of a size: doubled odd sizes are one too large."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, features: Tensor) -> Tensor:
        """Feature maps (B, C, *size)."""
        return features[..., : self.size[0], : self.size[1]]


class UpBlock(nn.Module):
    """A residual block that doubles the size of its feature maps, with batch norm."""

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.first = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Feature maps (B, C, *size)."""
        larger = F.interpolate(features, self.size)
        return self.shortcut(larger) + self.second(F.interpolate(self.first(features), self.size))


class Critic(nn.Module):
    """From samples to scores, higher for what looks real; no score depends on other samples unless the norm is batch.

    Args:
        in_shape: (C, H, W) of the images, or (D,) of points.
        architecture: mlp (leaky ReLU) | dcgan (convolutions of stride 2 and leaky ReLU) | resnet (two residual blocks
            that halve the size, two that do not, the mean over positions).
        hidden: Widths of the mlp's layers.
        channels: As for :class:`Generator`.
        norm: Of feature maps: none | layer | instance | batch.
        num_classes: Classes to condition on; 0 for none.
        conditioning: projection (adds <embedding of the class, features>; Miyato & Koyama 2018, arXiv:1802.05637) |
            auxiliary (tells the class too; Odena et al. 2016, arXiv:1610.09585).
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        architecture: Architecture = "mlp",
        hidden: Sequence[int] = (512, 512, 512),
        channels: int = 64,
        norm: Norm = "none",
        num_classes: int = 0,
        conditioning: Conditioning = "projection",
    ) -> None:
        super().__init__()
        check_sizes(in_shape=in_shape, hidden=hidden, channels=channels)
        if architecture == "mlp":
            size = hidden[-1] if hidden else math.prod(in_shape)
            layers = mlp([math.prod(in_shape), *hidden], "leaky_relu") if hidden else nn.Sequential()
            self.features = nn.Sequential(nn.Flatten(), *layers, nn.LeakyReLU() if hidden else nn.Identity())
        else:
            stages = num_stages(in_shape, math.ceil if architecture == "dcgan" else math.floor)
            build = dcgan_features if architecture == "dcgan" else resnet_features
            self.features = nn.Sequential(*build(in_shape[0], channels, NORMS[norm], stages), nn.Flatten())
            with torch.no_grad():  # in evaluation, so that no batch statistics change
                size = self.features.eval()(torch.zeros(1, *in_shape)).shape[1]
            self.features.train()
        self.score = nn.Linear(size, 1)
        projects = num_classes and conditioning == "projection"
        self.embedding = nn.Embedding(num_classes, size) if projects else None
        self.classes = nn.Linear(size, num_classes) if num_classes and not projects else None

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Scores (B,) of samples (B, *in_shape), given their labels (B,) where the net is conditional."""
        return self.scores_and_classes(samples, labels)[0]

    def scores_and_classes(self, samples: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Scores (B,), and logits of the classes (B, K) where conditioning is auxiliary."""
        features = self.features(samples)
        scores = self.score(features)[:, 0]
        if self.embedding is not None:
            labels = checked_labels(labels, self.embedding.num_embeddings)
            scores = scores + (self.embedding(labels) * features).sum(1)
        return scores, None if self.classes is None else self.classes(features)


def dcgan_features(in_channels: int, channels: int, norm: Callable[[int], nn.Module], stages: int) -> list[nn.Module]:
    """Layers of a DCGAN's critic: half the size and twice the channels at each stage, no norm in the first.

    The smallest images have room for one stage only: another convolution comes before it.
    """
    first = (3, 1) if stages == 1 else (4, 2)
    widths = [channels * 2**depth for depth in range(max(2, stages))]
    layers: list[nn.Module] = [nn.Conv2d(in_channels, channels, first[0], first[1], padding=1), nn.LeakyReLU(0.2)]
    for fewer, more in pairwise(widths):
        layers += [nn.Conv2d(fewer, more, 4, stride=2, padding=1), norm(more), nn.LeakyReLU(0.2)]
    return layers


def resnet_features(in_channels: int, channels: int, norm: Callable[[int], nn.Module], stages: int) -> list[nn.Module]:
    """Layers of the residual critic; small images are halved once only."""
    halved = min(2, stages)
    blocks = [CriticBlock(in_channels, channels, norm, halves=True, first=True)]
    blocks += [CriticBlock(channels, channels, norm, halves=number < halved) for number in range(1, 4)]
    return [*blocks, nn.ReLU(), nn.AdaptiveAvgPool2d(1)]


class CriticBlock(nn.Module):
    """A residual block that may halve the size by the mean of four positions; the first one of a net has no norm."""

    def __init__(
        self, fewer: int, more: int, norm: Callable[[int], nn.Module], halves: bool, first: bool = False
    ) -> None:
        super().__init__()
        before = [] if first else [norm(fewer), nn.ReLU()]
        between = [nn.Identity() if first else norm(more), nn.ReLU()]
        convs = (nn.Conv2d(fewer, more, 3, padding=1), nn.Conv2d(more, more, 3, padding=1))
        self.changed = nn.Sequential(*before, convs[0], *between, convs[1])
        self.shortcut = nn.Conv2d(fewer, more, 1) if halves or fewer != more else nn.Identity()
        self.pool = nn.AvgPool2d(2) if halves else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Feature maps (B, more, h, w)."""
        return self.pool(self.changed(features)) + self.shortcut(self.pool(features))
