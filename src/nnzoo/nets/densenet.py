"""DenseNet-BC for small images."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError
from nnzoo.nets.cnn import ImageClassifier, check_image, pooled_head


class DenseNetBC(ImageClassifier):
    """DenseNet with bottlenecks and compression: Huang et al. 2016 (arXiv:1608.06993), in its form for CIFAR.

    A 3x3 convolution with 2k channels, then three dense blocks of (depth - 4) / 6 layers; each layer adds k channels to
    all that came before. Between blocks a 1x1 convolution halves the channels and a mean over 2x2 halves the image.

    Args:
        in_shape: (C, H, W) of the images.
        num_classes: K.
        depth: 6n + 4: 40, 100, 190, 250.
        growth: k, the channels that each layer adds.
        dropout: Probability of dropping a feature before the linear layer; 0 in the paper's runs with augmentation.

    Raises:
        InputError: If the depth is not 6n + 4, or the image is smaller than 4x4.
    """

    def __init__(
        self, in_shape: Sequence[int], num_classes: int, depth: int = 100, growth: int = 12, dropout: float = 0.0
    ) -> None:
        if depth < 10 or depth % 6 != 4:
            raise InputError(f"DenseNet-BC has 6n + 4 layers, got --model.depth {depth}: take 40, 100, 190 or 250.")
        if growth < 1:
            raise InputError(f"growth must be positive, got {growth}: set --model.growth.")
        check_image(in_shape, 4, "DenseNet-BC")
        channels = 2 * growth
        layers: list[nn.Module] = [nn.Conv2d(in_shape[0], channels, 3, padding=1, bias=False)]
        for block in range(3):
            if block > 0:
                layers += [*norm_relu_conv(channels, channels // 2, 1), nn.AvgPool2d(2)]
                channels //= 2
            for _ in range((depth - 4) // 6):
                layers.append(DenseLayer(channels, growth))
                channels += growth
        layers += [nn.BatchNorm2d(channels), nn.ReLU()]
        super().__init__(nn.Sequential(*layers), pooled_head(channels, num_classes, dropout))


class DenseLayer(nn.Module):
    """Appends k channels to its input: BN, ReLU, 1x1 convolution to 4k channels, BN, ReLU, 3x3 convolution to k.

    Args:
        channels: Channels of the input.
        growth: k.
    """

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.new = nn.Sequential(
            *norm_relu_conv(channels, 4 * growth, 1), *norm_relu_conv(4 * growth, growth, 3, padding=1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, channels + k, H, W)."""
        return torch.cat([features, self.new(features)], dim=1)


def norm_relu_conv(fewer: int, more: int, kernel_size: int, padding: int = 0) -> list[nn.Module]:
    """Batch norm, ReLU and convolution, in the order of pre-activation networks, without biases."""
    return [nn.BatchNorm2d(fewer), nn.ReLU(), nn.Conv2d(fewer, more, kernel_size, padding=padding, bias=False)]
