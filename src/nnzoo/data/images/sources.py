"""Public sets of images that torchvision downloads: MNIST, FashionMNIST and CIFAR-10, with their official parts."""

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchvision import datasets

from nnzoo.errors import InputError


class Download(NamedTuple):
    """A data set of torchvision: its class, (C, H, W), where its files lie under the data root, and its classes."""

    dataset: type
    shape: tuple[int, int, int]
    files: str
    classes: list[str]


DIGITS = [str(digit) for digit in range(10)]
FASHION = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
DOWNLOADS = {
    "mnist": Download(datasets.MNIST, (1, 28, 28), "MNIST/raw", DIGITS),
    "fashion_mnist": Download(datasets.FashionMNIST, (1, 28, 28), "FashionMNIST/raw", FASHION),
    "cifar10": Download(datasets.CIFAR10, (3, 32, 32), "cifar-10-batches-py", CIFAR),
}


def fetch(name: str, root: Path) -> None:
    """Downloads a data set into ``root`` unless it is there.

    Raises:
        InputError: If it cannot be downloaded, or its files are damaged.
    """
    try:
        _official(name, root)
    except FileNotFoundError as missing:
        try:
            root.mkdir(parents=True, exist_ok=True)
            DOWNLOADS[name].dataset(root, download=True)
        except (OSError, RuntimeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{missing} It could not be downloaded either: {reason}.") from error


def load(name: str, root: Path) -> tuple[Tensor, Tensor, list[str]]:
    """Images (N, C, H, W) as bytes, labels (N,), and the official part of each, "train" or "test".

    Raises:
        InputError: If the data set is not there, or its files are damaged.
    """
    try:
        official = _official(name, root)
    except FileNotFoundError as error:
        raise InputError(str(error)) from error
    images = torch.cat([_channels_first(torch.as_tensor(part.data)) for part in official.values()])
    labels = torch.cat([torch.as_tensor(part.targets) for part in official.values()])
    if len(images) != len(labels):
        raise InputError(
            f"{name} in {root} has {len(images)} images but {len(labels)} labels: delete its files, and they will be "
            "downloaded again."
        )
    return images, labels, [part for part, samples in official.items() for _ in range(len(samples))]


def _official(name: str, root: Path) -> dict[str, Any]:
    """The official parts; FileNotFoundError if they are not there."""
    download = DOWNLOADS[name]
    try:
        return {part: download.dataset(root, train=part == "train") for part in ("train", "test")}
    except RuntimeError as error:  # torchvision's word for missing files
        raise FileNotFoundError(
            f"{name} is not in {root}: connect to the network to download it, copy its files to "
            f"{root / download.files}, or set --data.root to the folder that holds them."
        ) from error
    except (ValueError, AssertionError, IndexError, EOFError, pickle.UnpicklingError) as error:
        raise InputError(
            f"The files of {name} in {root / download.files} are damaged ({error}): delete that folder, and they will "
            "be downloaded again."
        ) from error


def _channels_first(images: Tensor) -> Tensor:
    return images.unsqueeze(1) if images.dim() == 3 else images.movedim(-1, 1)
