"""Any image classifier of torchvision by its name, with its pretrained weights."""

import copy
import difflib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models

from nnzoo.errors import InputError
from nnzoo.nets.cnn import ImageClassifier

AUXILIARY = {"inception_v3": ("AuxLogits",), "googlenet": ("aux1", "aux2")}
"""Heads that torchvision's networks have in training only."""

NO_MAPS = ("vit_", "swin", "maxvit")
"""Transformers have no last convolution for Grad-CAM to look at."""


class TorchvisionClassifier(ImageClassifier):
    """A classifier of torchvision for images of one channel, which it repeats, or three.

    In training, a network with auxiliary heads (inception_v3, googlenet) returns their logits too: (B, 1 + A, K).

    Args:
        in_shape: (C, H, W) of the images.
        num_classes: K.
        name: A name of ``torchvision.models.list_models(module=torchvision.models)``.
        pretrained: Whether :meth:`load_pretrained` will be called: inception_v3 and googlenet then rescale their input
            to what their weights expect.

    Raises:
        InputError: If there is no such network, or it does not take such images.
    """

    def __init__(
        self, in_shape: Sequence[int], num_classes: int, name: str = "resnet18", pretrained: bool = False
    ) -> None:
        nn.Module.__init__(self)  # torchvision draws the first weights, each network's in its own way
        known = models.list_models(module=models)
        if name not in known:
            nearest = difflib.get_close_matches(str(name), known, n=3)
            hint = f": did you mean {' or '.join(nearest)}?" if nearest else ", such as resnet18, densenet121 or vgg11."
            raise InputError(f"torchvision has no classifier {name!r}{hint}")
        if in_shape[0] not in (1, 3):
            raise InputError(f"{name} takes images of 1 or 3 channels, got {in_shape[0]}: set --data.color.")
        self.name = name
        options: dict[str, Any] = {}
        if name in AUXILIARY:
            options = {"aux_logits": True, "init_weights": True, "transform_input": pretrained}
        self.network = models.get_model(name, weights=None, num_classes=num_classes, **options)
        check_image(self.network, in_shape, name)
        children = [child for child, module in self.network.named_children() if any(True for _ in module.parameters())]
        self._heads = (children[-1], *AUXILIARY.get(name, ()))

    @property
    def cam_layer(self) -> nn.Module | None:
        """The last part before the head that holds a convolution; None for transformers."""
        convolutional = [part for part in self.backbone if any(isinstance(m, nn.Conv2d) for m in part.modules())]
        return None if self.name.startswith(NO_MAPS) else convolutional[-1]

    @property
    def backbone(self) -> nn.ModuleList:
        """All parts but the heads."""
        parts = nn.ModuleList(part for name, part in self.network.named_children() if name not in self._heads)
        own = list(self.network.parameters(recurse=False))  # a vision transformer's class token
        return parts.append(nn.ParameterList(own)) if own else parts

    def forward(self, images: Tensor) -> Tensor:
        """Class logits (B, K); in training (B, 1 + A, K) for a network with A auxiliary heads, its own first."""
        outputs = self.network(images.expand(-1, 3, -1, -1))
        return outputs if isinstance(outputs, Tensor) else torch.stack(tuple(outputs), dim=1)

    def load_pretrained(self) -> None:
        """Loads torchvision's default weights from its cache; heads for another number of classes stay as they are.

        Raises:
            InputError: If the weights are neither in the cache nor can be downloaded.
        """
        weights = pretrained_weights(self.name)
        own = self.network.state_dict()
        kept = {
            key: value
            for key, value in weights.items()
            if key.split(".")[0] not in self._heads or (key in own and own[key].shape == value.shape)
        }
        self.network.load_state_dict({**own, **kept})


def check_image(net: nn.Module, in_shape: Sequence[int], name: str) -> None:
    """Raises InputError if a network of torchvision cannot take images (C, H, W)."""
    shapes_only = copy.deepcopy(net).to("meta").train()  # costs no time, and leaves batch statistics alone
    try:
        shapes_only(torch.empty(2, 3, *in_shape[1:], device="meta"))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise InputError(
            f"{name} does not take images of {in_shape[1]}x{in_shape[2]} ({str(error).splitlines()[0]}): set "
            "--data.image_size, 224 for most networks of torchvision, 299 for inception_v3."
        ) from error


def pretrained_weights(name: str) -> dict[str, Tensor]:
    """The default weights of a network of torchvision, from its cache or the network.

    Raises:
        InputError: If they are neither there nor can be downloaded.
    """
    weights = models.get_model_weights(name).DEFAULT
    try:
        return weights.get_state_dict(progress=False, check_hash=True, map_location="cpu")
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"The weights of {name} are not in {torch.hub.get_dir()}/checkpoints and could not be downloaded "
            f"({error}): connect to the network, copy {weights.url} there, or set --model.pretrained false."
        ) from error


def pretrained_normalization(name: str) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the pixels that the default weights were trained on, per channel: (3,), (3,)."""
    transforms = models.get_model_weights(name).DEFAULT.transforms()
    return torch.tensor(transforms.mean), torch.tensor(transforms.std)
