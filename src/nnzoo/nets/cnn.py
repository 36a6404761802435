"""A small plain convolutional network for images of any (C, H, W), and what all image classifiers here share."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.layers import ACTIVATIONS, Activation

Padding = Literal["same", "valid"]
Pooling = Literal["max", "average", "none"]
Norm = Literal["batch", "none"]

POOLINGS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}


class ImageClassifier(nn.Module):
    """A network of two parts: ``features`` from images to feature maps, ``head`` from these to class logits.

    Attributes:
        features: (B, C, H, W) -> (B, F, h, w).
        head: (B, F, h, w) -> (B, K).
        cam_layer: The layer whose output are the last feature maps after their nonlinearity, for Grad-CAM; None if
            there is no such layer.
    """

    def __init__(self, features: nn.Module, head: nn.Module, cam_layer: nn.Module | None = None) -> None:
        super().__init__()
        self.features, self.head = features, head
        # In a list, so that it is not registered a second time.
        self._cam_layer = [features if cam_layer is None else cam_layer]
        he_init(self)

    @property
    def cam_layer(self) -> nn.Module | None:
        """The layer that Grad-CAM looks at."""
        return self._cam_layer[0]

    @property
    def backbone(self) -> nn.Module:
        """What fine-tuning may freeze: all but the head."""
        return self.features

    def forward(self, images: Tensor) -> Tensor:
        """Class logits (B, K) of images (B, C, H, W)."""
        return self.head(self.features(images))


class PlainCNN(ImageClassifier):
    """Stages of convolution, batch norm, activation; pooling by 2 after each stage; one linear layer at the end.

    Args:
        in_shape: (C, H, W) of the images.
        num_classes: K.
        channels: Channels of each stage.
        convs_per_stage: Convolutions in each stage.
        kernel_size: Side of the kernels.
        stride: Stride of each stage's first convolution.
        padding: same (the size changes by stride and pooling only) | valid (no padding).
        pooling: max | average | none.
        norm: batch | none.
        activation: relu | leaky_relu | silu | gelu | tanh.
        dropout: Probability of dropping a feature before the linear layer.

    Raises:
        InputError: If a size is not positive, or the image is too small for the stages.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        num_classes: int,
        channels: Sequence[int] = (32, 64),
        convs_per_stage: int = 2,
        kernel_size: int = 3,
        stride: int = 1,
        padding: Padding = "same",
        pooling: Pooling = "max",
        norm: Norm = "batch",
        activation: Activation = "relu",
        dropout: float = 0.0,
    ) -> None:
        check_sizes(channels=channels, convs_per_stage=convs_per_stage, kernel_size=kernel_size, stride=stride)
        if not channels:
            raise InputError("A CNN needs a stage or more: set --model.channels, such as [32, 64].")
        if padding == "same" and kernel_size % 2 == 0:
            raise InputError(f"padding same needs an odd kernel_size, got {kernel_size}: set --model.kernel_size.")
        margin = kernel_size // 2 if padding == "same" else 0
        layers: list[nn.Module] = []
        height, width = in_shape[1:]
        cam_layer = None
        for fewer, more in pairwise([in_shape[0], *channels]):
            for number in range(convs_per_stage):
                step = stride if number == 0 else 1
                layers += conv(fewer if number == 0 else more, more, kernel_size, step, margin, norm, activation)
                height, width = ((side + 2 * margin - kernel_size) // step + 1 for side in (height, width))
            cam_layer = layers[-1]
            if pooling != "none":
                layers.append(POOLINGS[pooling](2))
                height, width = height // 2, width // 2
            if min(height, width) < 1:
                raise InputError(
                    f"A {in_shape[1]}x{in_shape[2]} image is too small for {len(channels)} stages: shorten "
                    "--model.channels, take away stride or pooling, or raise --data.image_size."
                )
        head = [nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels[-1] * height * width, num_classes)]
        super().__init__(nn.Sequential(*layers), nn.Sequential(*head), cam_layer)


def conv(
    fewer: int,
    more: int,
    kernel_size: int,
    stride: int = 1,
    padding: int = 0,
    norm: Norm = "batch",
    activation: Activation = "relu",
) -> list[nn.Module]:
    """Convolution, batch norm and activation; before a norm a convolution has no bias, which the norm would undo."""
    layers: list[nn.Module] = [nn.Conv2d(fewer, more, kernel_size, stride, padding, bias=norm == "none")]
    if norm == "batch":
        layers.append(nn.BatchNorm2d(more))
    return [*layers, ACTIVATIONS[activation]()]


def pooled_head(channels: int, num_classes: int, dropout: float = 0.0) -> nn.Sequential:
    """Mean over all positions, dropout, and a linear layer: (B, F, h, w) -> (B, K)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, num_classes))


def he_init(net: nn.Module) -> None:
    """Draws kernels from N(0, 2 / (k^2 out_channels)), as He et al. 2015 (arXiv:1502.01852) do; biases become 0."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def check_image(in_shape: Sequence[int], smallest: int, architecture: str) -> None:
    """Raises InputError if a side of the image is shorter than an architecture's strides need."""
    if min(in_shape[1:]) < smallest:
        raise InputError(
            f"A {in_shape[1]}x{in_shape[2]} image is too small for {architecture}, which needs {smallest}x{smallest}: "
            "raise --data.image_size or set --model.architecture plain."
        )
