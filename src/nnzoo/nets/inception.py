"""A small Inception network."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnzoo.nets.cnn import ImageClassifier, check_image, conv, pooled_head

STAGES: list[list[tuple[int, int] | int]] = [
    [(32, 32), (32, 48), 80],
    [(112, 48), (96, 64), (80, 80), (48, 96), 96],
    [(176, 160), (176, 160)],
]
"""Branch widths (1x1, 3x3) of each Inception module; a single number is a downsampling module of that width."""


class SmallInception(ImageClassifier):
    """The small Inception of Zhang et al. 2016, appendix A (arXiv:1611.03530), after Szegedy et al. (arXiv:1409.4842).

    A 3x3 convolution with 96 channels, then modules of parallel 1x1 and 3x3 convolutions, halved twice by a strided 3x3
    convolution beside a 3x3 maximum; every convolution is followed by batch norm and ReLU.

    Args:
        in_shape: (C, H, W) of the images.
        num_classes: K.
        dropout: Probability of dropping a feature before the linear layer; 0 in the paper.

    Raises:
        InputError: If the image is smaller than 4x4.
    """

    def __init__(self, in_shape: Sequence[int], num_classes: int, dropout: float = 0.0) -> None:
        check_image(in_shape, 4, "the small Inception")
        layers = conv(in_shape[0], 96, 3, padding=1)
        channels = 96
        for widths in (module for stage in STAGES for module in stage):
            if isinstance(widths, int):
                halved = nn.Sequential(*conv(channels, widths, 3, stride=2, padding=1))
                layers.append(Parallel(halved, nn.MaxPool2d(3, stride=2, padding=1)))
                channels += widths
            else:
                one, three = widths
                layers.append(
                    Parallel(
                        nn.Sequential(*conv(channels, one, 1)), nn.Sequential(*conv(channels, three, 3, padding=1))
                    )
                )
                channels = one + three
        super().__init__(nn.Sequential(*layers), pooled_head(channels, num_classes, dropout))


class Parallel(nn.Module):
    """Branches over the same input, their channels side by side.

    Args:
        branches: Networks whose outputs have the same height and width.
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, sum of the branches' channels, h, w)."""
        return torch.cat([branch(features) for branch in self.branches], dim=1)
