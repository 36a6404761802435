"""The networks by whose features drawn images are compared with real ones: classifiers of just these data."""

import hashlib
import io
import logging
import math
import pickle
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from nnzoo.data.base import cache_root
from nnzoo.errors import InputError
from nnzoo.files import replacing
from nnzoo.modules.cnn import CNNClassifier
from nnzoo.timing import timed

NUM_FEATURES = 32
"""Fewer than test images, or the covariance of their features is singular: the digits have 270."""
MAX_SIDE = 32
"""Larger images are shrunk to so many pixels a side."""
MAX_VALUES = 2**27
"""Values of the images that are held at once, 512 MiB in float32: 171,196 images of MNIST, 43,690 of CIFAR-10."""
CHANNELS = (16, 32, 64, 64)
STEPS, BATCH_SIZE, LR = 2000, 128, 0.003
WEIGHTS = Path(__file__).parent / "weights"


class Shipped(NamedTuple):
    """Weights that come with the package, made by ``benchmarks/feature_weights.py``.

    Attributes:
        in_shape: (C, H, W) of the images that the network was trained on.
        num_classes: Of these images.
        sha256: Of the file.
    """

    in_shape: tuple[int, int, int]
    num_classes: int
    sha256: str


SHIPPED = {
    "digits": Shipped((1, 8, 8), 10, "769fea07d1b28a487fcde2e757754f7c62329930e35190c4b95f8b2dd0fc4789"),
    "mnist": Shipped((1, 28, 28), 10, "a014d6fd4a13499630690eb38e71d97c41b558d232295927122abe419ae7a831"),
}
"""By the names of the data sets. Of their test images these classifiers are right about 98.15 % and 99.14 %."""


class Features(nn.Module):
    """From images (B, C, H, W) in [0, 1] to what the last layer of a classifier sees of them, (B, NUM_FEATURES).

    Args:
        in_shape: (C, H, W) of the images.
        num_classes: Number of classes that :meth:`classes` tells apart; 0 for none.
        origin: Where the weights come from, in words.
    """

    num_features = NUM_FEATURES

    def __init__(self, in_shape: Sequence[int], num_classes: int = 0, origin: str = "") -> None:
        super().__init__()
        self.side, self.num_classes, self.origin = min(MAX_SIDE, max(in_shape[1:])), num_classes, origin
        stages = max(1, int(math.log2(self.side)))  # each halves the side, so that one pixel is left
        self.classifier = CNNClassifier(
            in_shape=(in_shape[0], self.side, self.side),
            num_classes=max(2, num_classes),
            channels=(*CHANNELS[: stages - 1], NUM_FEATURES),
            convs_per_stage=1,
            lr=LR,
            lr_schedule="cosine",
        )
        self.eval()

    def shrunk(self, images: Tensor) -> Tensor:
        """Images as the classifier takes them."""
        return F.adaptive_avg_pool2d(images, self.side)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Features of images."""
        classifier = self.classifier
        seen = ((self.shrunk(part) - classifier.pixel_mean) / classifier.pixel_std for part in images.split(500))
        return torch.cat([classifier.backbone(part).flatten(1) for part in seen])

    @torch.no_grad()
    def classes(self, features: Tensor) -> Tensor:
        """The classes (N,) that the classifier takes images for, from their features (N, NUM_FEATURES)."""
        return self.classifier.net.head(features).argmax(dim=1)  # type: ignore[operator]

    def weights(self) -> dict[str, Tensor]:
        """What the features and the classes depend on."""
        classifier = self.classifier
        return {**classifier.net.state_dict(), "mean": classifier.pixel_mean, "std": classifier.pixel_std}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        """Takes what :meth:`weights` gave."""
        own = dict(weights)
        self.classifier.pixel_mean.copy_(own.pop("mean"))
        self.classifier.pixel_std.copy_(own.pop("std"))
        self.classifier.net.load_state_dict(own)


@isolate_rng()  # a network draws its first weights from the global generator
def feature_network(data: Any) -> Features:
    """The network of a datamodule's images, the same for every recipe on them.

    Of scikit-learn's digits and of MNIST its weights come with the package. For other data with classes it is trained
    once and kept in the cache of nnzoo; for data without it keeps the random weights that it starts from, with a fixed
    seed.
    """
    name, in_shape = getattr(data, "dataset", ""), tuple(data.in_shape)
    if name in SHIPPED and in_shape == SHIPPED[name].in_shape:
        return shipped(name)
    images, labels = data.tensors("train", largest_number(in_shape))
    num_classes = getattr(data, "num_classes", 0)
    if num_classes < 2:
        return trained(images, labels, num_classes, 0)
    path = cache_root() / "classifiers" / f"{digest(images, labels, num_classes)}.pt"
    network = Features(in_shape, num_classes, "a classifier of the training images")
    try:
        network.load_weights(torch.load(path, map_location="cpu", weights_only=True))
        return network
    except FileNotFoundError:
        pass
    except (OSError, EOFError, RuntimeError, KeyError, AttributeError, pickle.UnpicklingError):
        rank_zero_warn(f"The cache {path} is damaged: training the classifier again.")
    rank_zero_info(f"Training a classifier whose features samples are compared by, once: it is kept as {path}.")
    with timed("baselines: classifier", "leave out with --baselines null", least=0.1):
        network = trained(images, labels, num_classes, STEPS)
    with replacing(path) as temporary:
        temporary.write_bytes(as_file(network.weights()))
    return network


def largest_number(in_shape: Sequence[int]) -> int:
    """Of images that are held at once."""
    return max(1, MAX_VALUES // math.prod(in_shape))


def shipped(name: str) -> Features:
    """The network of a data set with the weights that come with the package.

    Raises:
        InputError: If their file is not the one that was recorded.
    """
    path, known = WEIGHTS / f"{name}.pt", SHIPPED[name]
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != known.sha256:
        raise InputError(f"{path} is not the file that came with nnzoo: install nnzoo again.")
    network = Features(known.in_shape, known.num_classes, f"nnzoo's classifier of {name}")
    network.load_weights(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
    return network


def trained(images: Tensor, labels: Tensor, num_classes: int, steps: int) -> Features:
    """A network trained on images (N, C, H, W) in [0, 1] of classes (N,); with 0 steps, one with random weights.

    The same images give the same weights, whatever was drawn before, and the global generators stay as they are.
    """
    with isolate_rng(), torch.inference_mode(False), torch.enable_grad(), unsaid():
        torch.manual_seed(0)
        network = Features(images.shape[1:], num_classes)
        if not steps:
            network.origin = "an untrained network, as the data have no classes"
            return network
        network.origin = "a classifier of the training images"
        size = min(len(images), BATCH_SIZE)
        samples = TensorDataset(network.shrunk(images).clone(), labels.clone())
        loader = DataLoader(samples, size, shuffle=True, drop_last=True)
        # Barebones: nothing is logged, so that process 0 waits for no other one.
        trainer = L.Trainer(
            barebones=True,
            accelerator="cpu",
            devices=1,
            max_epochs=-1,
            max_steps=steps,
            plugins=[LightningEnvironment()],
        )
        trainer.fit(network.classifier, loader)
    return network.eval()


def digest(images: Tensor, labels: Tensor, num_classes: int) -> str:
    """Of all that changes a trained network."""
    settings = (
        tuple(images.shape),
        num_classes,
        NUM_FEATURES,
        MAX_SIDE,
        CHANNELS,
        STEPS,
        BATCH_SIZE,
        LR,
        torch.__version__,
    )
    found = hashlib.sha256(repr(settings).encode())
    for tensor in (images, labels):
        found.update(tensor.contiguous().numpy().data)
    return found.hexdigest()[:16]


def as_file(weights: dict[str, Tensor]) -> bytes:
    """The weights as torch.save writes them."""
    buffer = io.BytesIO()  # which has no name, where a file's would become part of its content
    torch.save({name: tensor.contiguous().cpu() for name, tensor in weights.items()}, buffer)
    return buffer.getvalue()


@contextmanager
def unsaid() -> Iterator[None]:
    """Leaves out what a trainer inside a run would say of itself."""
    log = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)
