"""The residual network for CIFAR, which is not the one for ImageNet."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from nnzoo.errors import InputError
from nnzoo.nets.cnn import ImageClassifier, check_image, conv, pooled_head


class CIFARResNet(ImageClassifier):
    """ResNet of 6n + 2 layers for small images: He et al. 2015, section 4.2 (arXiv:1512.03385).

    A 3x3 convolution, three stages of n basic blocks with 16, 32 and 64 channels (the last two halve the image), the
    mean over all positions, and a linear layer. Shortcuts between stages have no parameters (option A).

    Args:
        in_shape: (C, H, W) of the images.
        num_classes: K.
        depth: 6n + 2: 20, 32, 44, 56, 110.
        dropout: Probability of dropping a feature before the linear layer; 0 in the paper.

    Raises:
        InputError: If the depth is not 6n + 2, or the image is smaller than 4x4.
    """

    def __init__(self, in_shape: Sequence[int], num_classes: int, depth: int = 20, dropout: float = 0.0) -> None:
        if depth < 8 or depth % 6 != 2:
            raise InputError(f"This ResNet has 6n + 2 layers, got --model.depth {depth}: take 20, 32, 44, 56 or 110.")
        check_image(in_shape, 4, "this ResNet")
        layers = conv(in_shape[0], 16, 3, padding=1)
        channels = 16
        for more in (16, 32, 64):
            for number in range((depth - 2) // 6):
                layers.append(BasicBlock(channels, more, stride=2 if number == 0 and more > 16 else 1))
                channels = more
        super().__init__(nn.Sequential(*layers), pooled_head(channels, num_classes, dropout))


class BasicBlock(nn.Module):
    """relu(shortcut(x) + BN(conv(relu(BN(conv(x)))))) with 3x3 convolutions.

    The shortcut of option A takes every second pixel, and fills the further channels with zeros.

    Args:
        fewer: Channels of the input.
        more: Channels of the output.
        stride: 1, or 2 to halve the image.
    """

    def __init__(self, fewer: int, more: int, stride: int) -> None:
        super().__init__()
        self.stride, self.further = stride, more - fewer
        self.residual = nn.Sequential(*conv(fewer, more, 3, stride, 1), *conv(more, more, 3, 1, 1)[:-1])

    def forward(self, features: Tensor) -> Tensor:
        """(B, fewer, H, W) -> (B, more, H / stride, W / stride)."""
        shortcut = F.pad(features[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.further))
        return F.relu(shortcut + self.residual(features))
