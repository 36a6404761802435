"""Where images come from: scikit-learn's digits, what torchvision downloads, or a folder of the user's own."""

import gzip
import pickle
import sys
import typing
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from nnzoo.data.images.folder import ImageFolder
from nnzoo.data.images.source import Images, ImageSource
from nnzoo.data.sources import sources_in
from nnzoo.errors import InputError

DIGITS = [str(digit) for digit in range(10)]
FASHION = ["T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"]
CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


class Digits(ImageSource):
    """The 1,797 digits of 8x8 pixels that come with scikit-learn."""

    name = "digits"
    uses = ("test_fraction",)
    shape, levels, classes = (1, 8, 8), 17, DIGITS

    def load(self) -> Images:
        """All digits; there is no official test part."""
        digits = load_digits()
        pixels, labels = torch.from_numpy(digits.images).byte().unsqueeze(1), torch.from_numpy(digits.target).long()
        return Images(pixels, labels, ["train"] * len(labels))


class Download(ImageSource):
    """A set that torchvision downloads, with its official parts."""

    uses = ("root",)
    dataset: ClassVar[Any]
    """Torchvision's class."""
    files: ClassVar[str]
    """Where it looks for the files, under the data root."""

    def fetch(self) -> None:
        """Downloads the files into the data root unless they are there.

        Raises:
            InputError: If they cannot be downloaded, or are damaged.
        """
        try:
            self._official()
        except FileNotFoundError as missing:
            try:
                self.root.mkdir(parents=True, exist_ok=True)
                self.dataset(self.root, download=True)
            except (OSError, RuntimeError) as error:
                reason = " ".join(str(error).split())
                raise InputError(f"{missing} It could not be downloaded either: {reason}.") from error

    def load(self) -> Images:
        """The official parts, "train" and "test".

        Raises:
            InputError: If the files are not there, or are damaged.
        """
        try:
            parts = self._official()
        except FileNotFoundError as error:
            raise InputError(str(error)) from error
        images = torch.cat([_channels_first(torch.as_tensor(part.data)) for part in parts.values()])
        labels = torch.cat([torch.as_tensor(part.targets) for part in parts.values()])
        if len(images) != len(labels):
            raise InputError(
                f"{self.name} in {self.root} has {len(images)} images but {len(labels)} labels: delete its files, and "
                "they will be downloaded again."
            )
        return Images(images, labels, [part for part, samples in parts.items() for _ in range(len(samples))])

    def _check_hashes(self) -> None:
        """Raises InputError if files on disk are not those of torchvision's hashes; says which it cannot check."""
        if self._checked:
            return
        wrong, unknown = self.compared()
        if wrong:
            raise InputError(
                f"Not the official files of {self.name}: {', '.join(wrong)} in {self.root / self.files} have other "
                "contents: delete that folder, and they will be downloaded again."
            )
        if unknown:
            rank_zero_info(
                f"{self.name}: without the archives (.gz), which are what hashes are known of, {', '.join(unknown)} in "
                f"{self.root / self.files} are taken as they are."
            )
        self._checked = (self.root / self.files).is_dir()

    _checked = False

    @abstractmethod
    def compared(self) -> tuple[list[str], list[str]]:
        """Names of the files found on disk that differ from torchvision's hashes, and of those that have none."""

    def _official(self) -> dict[str, Any]:
        """The official parts; FileNotFoundError if they are not there."""
        root, files = self.root, self.root / self.files
        self._check_hashes()
        try:
            return {part: self.dataset(root, train=part == "train") for part in ("train", "test")}
        except RuntimeError as error:  # torchvision's word for missing files
            raise FileNotFoundError(
                f"{self.name} is not in {root}: connect to the network to download it, copy its files to {files}, or "
                "set --data.root to the folder that holds them."
            ) from error
        except (ValueError, AssertionError, IndexError, EOFError, pickle.UnpicklingError) as error:
            raise InputError(
                f"The files of {self.name} in {files} are damaged ({error}): delete that folder, and they will be "
                "downloaded again."
            ) from error


class Zipped(Download):
    """Files that torchvision keeps beside their archives, of which alone it has the hashes."""

    def compared(self) -> tuple[list[str], list[str]]:
        """Files that are not what is in their archive or whose archive has another hash; files without archive."""
        folder, wrong, unknown = self.root / self.files, [], []
        for name, md5 in self.dataset.resources:
            archive, file = folder / name, folder / Path(name).stem
            if not file.is_file():
                continue
            if not archive.is_file():
                unknown.append(file.name)
            elif not check_integrity(archive, md5) or gzip.decompress(archive.read_bytes()) != file.read_bytes():
                wrong.append(file.name)
        return wrong, unknown


class MNIST(Zipped):
    """MNIST: 70,000 digits of 28x28 pixels, 10,000 of them for the test."""

    name, folder, files = "mnist", "MNIST", "MNIST/raw"
    dataset = datasets.MNIST
    shape, classes = (1, 28, 28), DIGITS


class FashionMNIST(Zipped):
    """FashionMNIST: 70,000 articles of clothing of 28x28 pixels, 10,000 of them for the test."""

    name, folder, files = "fashion_mnist", "FashionMNIST", "FashionMNIST/raw"
    dataset = datasets.FashionMNIST
    shape, classes = (1, 28, 28), FASHION


class CIFAR10(Download):
    """CIFAR-10: 60,000 photographs of 32x32 pixels, 10,000 of them for the test."""

    name, folder, files = "cifar10", "cifar-10-batches-py", "cifar-10-batches-py"
    dataset = datasets.CIFAR10
    shape, classes = (3, 32, 32), CIFAR

    def compared(self) -> tuple[list[str], list[str]]:
        """Batches of another hash."""
        meta = self.dataset.meta
        hashes = [*self.dataset.train_list, *self.dataset.test_list, (meta["filename"], meta["md5"])]
        found = [(name, self.root / self.files / name, md5) for name, md5 in hashes]
        return [name for name, path, md5 in found if path.is_file() and not check_integrity(path, md5)], []


class Folder(ImageSource):
    """A folder of the user's own, see :class:`nnzoo.data.images.folder.ImageFolder`."""

    name = "folder"
    uses = ("root", "fit", "cache", "skip_broken", "grey_range", "test_fraction")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if settings["root"] is None:
            raise InputError("--data.dataset folder needs --data.root, the folder that holds your images.")

    @cached_property
    def images(self) -> ImageFolder:
        """The files, of which this reads the headers."""
        names = ("image_size", "color", "fit", "grey_range", "skip_broken")
        return ImageFolder(self.root, **{name: self.settings[name] for name in names})

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W), after decoding in the colour and size that are asked for."""
        return self.images.shape

    @property
    def classes(self) -> list[str]:
        """Names of the folders inside."""
        return self.images.classes

    @property
    def grey_range(self) -> tuple[float, float] | None:
        """The values that become black and white in images of 16 or 32 bits; a cache knows them."""
        self.fetch()
        return self.images.grey_range

    def fetch(self) -> None:
        """Fills the cache, if one is asked for."""
        if self.settings["cache"] == "h5":
            self.images.read("h5")

    def load(self) -> Images:
        """All images, decoded or in the cache."""
        pixels, official = self.images.read(self.settings["cache"]), [part or "train" for part in self.images.parts]
        return Images(pixels, self.images.labels, official)

    def names(self, rows: list[int]) -> dict[str, list[Any]]:
        """The files."""
        return {"file": [str(self.images.paths[row]) for row in rows]}


def _channels_first(images: Tensor) -> Tensor:
    return images.unsqueeze(1) if images.dim() == 3 else images.movedim(-1, 1)


SOURCES = typing.cast("dict[str, type[ImageSource]]", sources_in(sys.modules[__name__]))
"""The sets of images by their names."""
