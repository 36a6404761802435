"""Images: scikit-learn's digits, MNIST, FashionMNIST, CIFAR-10 or a folder of the user's own."""

import math
import typing
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from nnzoo.data.base import random_rows
from nnzoo.data.facts import fact, held
from nnzoo.data.images.augment import Augmentation
from nnzoo.data.images.cache import CachedImages
from nnzoo.data.images.dataset import ImageDataset
from nnzoo.data.images.decoding import Color, Fit
from nnzoo.data.images.folder import ImageFolder
from nnzoo.data.images.source import ImageSource
from nnzoo.data.images.sources import SOURCES
from nnzoo.data.room import SplitDataModule
from nnzoo.data.sources import options_of
from nnzoo.data.splits import PARTS, split_parts, warn_of_absent_classes, warn_of_rare_classes
from nnzoo.errors import InputError
from nnzoo.seeds import mix_seed

if TYPE_CHECKING:
    DatasetName = str
else:
    DatasetName = Literal[tuple(SOURCES)]
Binarize = Literal["none", "dynamic", "static"]


class ImageDataModule(SplitDataModule):
    """Images in [0, 1] with labels: batches of float (B, C, H, W) and integers (B,).

    Sets without an official test part are split 70/15/15, in the same proportions for every class; official test parts
    stay untouched.

    Args:
        dataset: digits (1,797 real 8x8 digits that come with scikit-learn) | mnist | fashion_mnist | cifar10 | folder.
        root: Folder of the data: your images for ``folder``, else where downloads are kept (default: $NNZOO_DATA, else
            ~/.cache/nnzoo).
        image_size: Side in pixels to resize to; the images' own size if not given.
        fit: How a folder's image that is not square is resized: crop (the shorter side, then cut out the centre) | pad
            (the longer side, with black bars) | squash (both).
        color: auto | grey | rgb.
        binarize: none | dynamic (each pixel drawn anew in every epoch with its grey value as probability) | static
            (drawn once, with a seed of our own: not the fixed files of Larochelle). Validation and test images are
            drawn once in either case.
        shift: Augmentation: largest shift, as a share of the side, rounded to whole pixels.
        rotation: Augmentation: largest rotation in degrees.
        crop_padding: Augmentation: black pixels added on every side before a random crop of the image's own size.
        flip: Augmentation: mirror every second image, left to right; not for digits and letters.
        blur: Augmentation: largest standard deviation of a Gaussian blur, in pixels.
        exposure: Augmentation: largest relative change of brightness.
        cache: h5 decodes a folder of images once into an HDF5 file under ~/.cache/nnzoo and reads batches from there,
            for folders that do not fit in memory.
        skip_broken: Leave images out that cannot be read, with a warning that names them; otherwise they are an error.
        grey_range: The values that become black and white in a folder's images of 16 or 32 bits; the lowest and highest
            of its training images if not given.
        predict_root: A folder of images, in subfolders or not, that ``predict`` predicts in place of the test images;
            they are brought to the size of the others.
        shared: What :class:`nnzoo.data.room.SplitDataModule` takes.

    Raises:
        InputError: If a value is out of range, or the data cannot be found, downloaded or read.
    """

    sources: ClassVar[Mapping[str, type[ImageSource]]] = SOURCES
    """The data sets by their names."""
    acts_with = options_of(SOURCES)
    """Options that act with some data sets only."""

    def __init__(
        self,
        *,
        dataset: DatasetName = "digits",
        root: str | None = None,
        image_size: int | None = None,
        fit: Fit = "crop",
        color: Color = "auto",
        binarize: Binarize = "none",
        shift: float = 0.0,
        rotation: float = 0.0,
        crop_padding: int = 0,
        flip: bool = False,
        blur: float = 0.0,
        exposure: float = 0.0,
        cache: Literal["none", "h5"] = "none",
        skip_broken: bool = False,
        grey_range: tuple[float, float] | None = None,
        predict_root: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.binarize, self.cache, self.root = binarize, cache, self.source.root

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        hparams, uses = self.hparams, self.sources[self.dataset].uses
        if hparams["image_size"] is not None and hparams["image_size"] < 1:
            raise InputError(f"image_size must be positive, got {hparams['image_size']}: set --data.image_size.")
        if hparams["root"] is not None and "root" not in uses:
            raise InputError(
                f"The {self.dataset} need no --data.root: for images of your own add --data.dataset folder."
            )
        if hparams["cache"] == "h5" and ("cache" not in uses or hparams["binarize"] != "none"):
            raise InputError("--data.cache h5 is for --data.dataset folder with --data.binarize none.")
        low, high = hparams["grey_range"] or (0, 1)
        if not (low < high and math.isfinite(high - low)):
            raise InputError(f"grey_range must be two rising numbers, got {low:g} and {high:g}: set --data.grey_range.")
        changes = [hparams[name] for name in ("shift", "rotation", "blur", "exposure")]
        if not (hparams["shift"] < 1 and min(changes) >= 0 and math.isfinite(sum(changes))):
            raise InputError("shift, rotation, blur and exposure must not be negative, and shift must be below 1.")
        if hparams["rotation"] > 180:
            raise InputError(f"rotation goes up to 180 degrees, got {hparams['rotation']}: set --data.rotation.")
        if hparams["crop_padding"] < 0:
            raise InputError(
                f"crop_padding must not be negative, got {hparams['crop_padding']}: set --data.crop_padding."
            )

    def acting_settings(self) -> Mapping[str, Any]:
        """What acts on images to predict does so whatever the others come from."""
        acting = {"fit": "crop", "skip_broken": False, "grey_range": None}
        return self.hparams if self.hparams["predict_root"] is None else {**self.hparams, **acting}

    @held("set --data.image_size, --data.color and --data.binarize to match")
    def in_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images; for a folder this reads the headers of its images."""
        channels, height, width = self.source.shape
        channels = {"auto": channels, "grey": 1, "rgb": 3}[self.hparams["color"]]
        size = self.hparams["image_size"]
        return (channels, size, size) if size else (channels, height, width)

    @cached_property
    def augment(self) -> Augmentation | None:
        """Random changes of the training images, or None."""
        names = ("shift", "rotation", "crop_padding", "flip", "blur", "exposure")
        augmentation = Augmentation(**{name: self.hparams[name] for name in names})
        augmentation.check(self.in_shape[1:])
        return augmentation or None

    @held("use data with the same classes; what has no class yet is given by --data.predict_csv or predict_root")
    def classes(self) -> list[str]:
        """Names of the classes; empty if there are none."""
        return self.source.classes

    @held("set --data.image_size, --data.color and --data.binarize to match")
    def levels(self) -> int:
        """Number of grey levels: 2 after binarisation, 17 for digits in their own size, else 256."""
        return 2 if self.binarize != "none" else self._grey_levels

    @held("set --data.grey_range to match")
    def grey_range(self) -> tuple[float, float] | None:
        """The values that become black and white in a folder's images of 16 or 32 bits; None where there are none."""
        return self.source.grey_range

    @property
    def _grey_levels(self) -> int:
        """Levels before binarisation: the data set's own, which resizing would mix."""
        return self.source.levels if self.in_shape[1:] == self.source.shape[1:] else 256

    def prepare_data(self) -> None:
        """Downloads the data set if it is missing, or fills the cache of a folder."""
        self.source.fetch()

    def setup(self, stage: str | None = None) -> None:
        """Loads and splits the data; a second call changes nothing."""
        if self.is_set_up(stage):
            return
        if self._new is not None and "predict" not in self.parts:
            pixels = self._new.read(self.cache)  # which may leave some out
            every = torch.arange(len(self._new.paths))
            self.parts["predict"] = self._dataset("predict", pixels, self._new.labels, every)
        if self.uses_fitted(stage):
            return
        images, labels, official = self.source.load()
        if isinstance(images, Tensor):
            images = self._converted(images)
        rows = split_parts(labels, official, **self.split_settings())
        for part, chosen in rows.items():
            self.parts[part] = self._dataset(part, images, labels, chosen, self._grey_levels)
        if self.classes:
            warn_of_absent_classes(labels[rows["train"]], self.classes, "image")
            warn_of_rare_classes(labels, self.classes, self.hparams["folds"], self.hparams["fold"])
        self._test_rows = rows["test"]
        counts = ", ".join(f"{len(chosen)} {part}" for part, chosen in rows.items())
        rank_zero_info(f"{self.dataset}: {counts} images of shape {self.in_shape}, {self.num_classes} classes")

    def _dataset(
        self, part: str, images: Tensor | Path, labels: Tensor, rows: Tensor, levels: int = 256
    ) -> ImageDataset:
        chosen = CachedImages(images, rows) if isinstance(images, Path) else images[rows]
        dynamic = self.binarize == "dynamic" and part == "train"
        if isinstance(chosen, Tensor) and self.binarize != "none" and not dynamic:
            number = [*PARTS, "predict"].index(part)
            generator = torch.Generator().manual_seed(mix_seed(self.hparams["split_seed"], number))
            chosen = torch.rand(chosen.shape, generator=generator) < chosen / (levels - 1)
            levels = 2
        augment = self.augment if part == "train" else None
        return ImageDataset(chosen, labels[rows], levels, augment, binarize=dynamic)

    def _converted(self, images: Tensor) -> Tensor:
        """Images of the data set in the colour, size and grey levels that are asked for."""
        channels, *size = self.in_shape
        if self.source.levels != self._grey_levels:
            images = (images.double() * 255 / (self.source.levels - 1)).round().byte()
        if channels != images.shape[1]:
            images = v2.functional.rgb_to_grayscale(images) if channels == 1 else images.expand(-1, 3, -1, -1)
        return images if list(images.shape[2:]) == size else v2.functional.resize(images, size, antialias=True)

    @cached_property
    def _new(self) -> ImageFolder | None:
        """The images of ``predict_root``."""
        root, (channels, height, width) = self.hparams["predict_root"], self.in_shape
        if root is None:
            return None
        color: Color = "grey" if channels == 1 else "rgb"
        folder = ImageFolder(
            Path(root),
            height if height == width else None,
            color,
            self.hparams["fit"],
            labelled=False,
            grey_range=self.grey_range or self.hparams["grey_range"],
            skip_broken=self.hparams["skip_broken"],
        )
        if folder.shape != self.in_shape:
            raise InputError(f"The images of {root} have the shape {folder.shape}, those of training {self.in_shape}.")
        return folder

    def predict_dataloader(self) -> DataLoader[Any]:
        """The images of ``predict_root``, or the test samples."""
        return self._loader("test" if self._new is None else "predict")

    def predicted_rows(self) -> pd.DataFrame:
        """The file of each image, where there is one, and its class, where it is known."""
        if self._new is not None:
            return pd.DataFrame({"file": list(map(str, self._new.paths))})
        labels = self._part("test").labels.tolist()
        known = {"class": [self.classes[label] for label in labels]} if self.classes else {}
        return pd.DataFrame({**self.source.names(self._test_rows.tolist()), **known})

    def _part(self, name: str) -> ImageDataset:
        return typing.cast(ImageDataset, self.parts[name])

    def tensors(self, part: str, limit: int | None = None) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) in [0, 1], not augmented, and labels (N,) of a part in order.

        Args:
            part: train | val | test.
            limit: Take so many of them, chosen at random: a folder's come class by class.
        """
        self.setup()
        dataset = self._part(part)
        size = len(dataset)
        chosen = random_rows(size, size if limit is None else limit).sort().values
        return dataset.images[chosen].float() / (dataset.levels - 1), dataset.labels[chosen]

    @fact
    def task(self) -> str:
        """Classification, as far as there are classes."""
        return "classification"

    def arrays(self, part: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Pixels (n, C H W) and labels (n,) of a part, for scikit-learn."""
        images, labels = self.tensors(part)
        return images.flatten(1).numpy(), labels.numpy()

    @cached_property
    def channel_statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the pixels of the training part, not augmented, per channel: (C,), (C,)."""
        self.setup()
        dataset = self._part("train")
        counts = torch.zeros(self.in_shape[0], dataset.levels, dtype=torch.int64)
        for rows in torch.arange(len(dataset)).split(1000):  # counted, which is exact and needs no floats of them all
            for count, pixels in zip(counts, dataset.images[rows].byte().unbind(dim=1), strict=True):
                count += pixels.flatten().bincount(minlength=dataset.levels)
        values = torch.linspace(0, 1, dataset.levels, dtype=torch.float64)
        shares = counts.double() / counts.sum(dim=1, keepdim=True)
        mean = shares @ values
        variance = (shares * (values - mean[:, None]).square()).sum(dim=1)
        return mean.float(), variance.sqrt().float()
