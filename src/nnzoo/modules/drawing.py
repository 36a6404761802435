"""What modules share that make samples up: images in [0, 1], or points of a two-dimensional law."""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from nnzoo.errors import InputError, check_sizes
from nnzoo.metrics.modes import mode_metrics
from nnzoo.modules.base import ZooModule
from nnzoo.modules.checks import check_images
from nnzoo.modules.generative import images_and_labels, samples_figure
from nnzoo.nets.layers import checked_labels
from nnzoo.nets.noise import Source
from nnzoo.plots.densities import samples_and_data
from nnzoo.plots.images import Picture, enlarged, grid_picture, picture
from nnzoo.seeds import mix_seed

Labels = Tensor | Sequence[int] | None
"""Classes of samples (N,), or None."""

DRAWN_AT_ONCE = 64
"""Samples of a batch of ``predict``."""

MODE_SAMPLES = 2500
"""Samples among which modes are counted, as Srivastava et al. 2017 do (arXiv:1705.07761): more reach more."""


class DrawingModule(ZooModule):
    """A module that draws: ``predict`` makes samples up, each from a seed of its own, and reads no data.

    Args:
        in_shape: (C, H, W) of the images, or (2,) for points (the command line takes it from the data).
        levels: Number of grey levels of the images, 0 for points (the command line takes it from the data).
        num_classes: Number of classes, needed if ``conditional`` (the command line takes it from the data).
        conditional: Learn each class's own law: p(x | y).
        num_images: How many samples ``predict`` draws; as many as ``labels``, or 64, if not given.
        labels: Numbers of the classes that ``predict`` draws, in turn; all classes if not given.
        mode_centers: Modes of a law of points, of which the test counts those that samples reach (the command line
            takes them from the data).
        mode_std: Their standard deviation (the command line takes it from the data).
        shared: What :class:`nnzoo.modules.base.ZooModule` takes.

    Raises:
        InputError: If a value is out of range, or labels are given to a model without classes.
    """

    draws = True
    told: ClassVar[str] = "class"
    """What the model may be conditioned on, in words."""
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {"labels": ("conditional", [True])}

    def __init__(
        self,
        *,
        in_shape: Sequence[int] = (1, 28, 28),
        levels: int = 256,
        num_classes: int = 0,
        conditional: bool = False,
        num_images: int | None = None,
        labels: Sequence[int] | None = None,
        mode_centers: Sequence[Sequence[float]] = (),
        mode_std: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self._drawn = 0

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        check_sizes(in_shape=hparams["in_shape"])
        if len(hparams["in_shape"]) not in (1, 3):
            raise InputError(
                f"The model takes images (C, H, W) or points (2,), not shape {tuple(hparams['in_shape'])}."
            )
        if hparams["num_images"] is not None:
            check_sizes(num_images=hparams["num_images"])
        self.check_conditions()

    def check_conditions(self) -> None:
        """Raises InputError if the model cannot be conditioned, or not on what ``predict`` is to draw."""
        if self.hparams["conditional"] and self.hparams["num_classes"] < 1:
            raise InputError("conditional needs classes: use data with labels, such as a folder with class folders.")
        if self.hparams["labels"] is not None:
            self.check_labels(self.hparams["labels"])

    def check_labels(self, labels: Sequence[int]) -> None:
        """Raises InputError unless all labels are classes of the model."""
        most = self.hparams["num_classes"] - 1
        wrong = [label for label in labels if not 0 <= label <= most]
        if wrong or not labels:
            shown = f"class {wrong[0]}" if wrong else "an empty list"
            raise InputError(f"labels are numbers of classes from 0 to {most}, got {shown}: set --model.labels.")

    @property
    def num_conditions(self) -> int:
        """Number of classes the networks are conditioned on; 0 for none."""
        return self.hparams["num_classes"] if self.hparams["conditional"] else 0

    @property
    def is_image(self) -> bool:
        """Whether the samples are images, rather than points."""
        return len(self.hparams["in_shape"]) == 3

    @abstractmethod
    def sample(self, num_samples: int, labels: Labels = None, *, generator: Source = None) -> Tensor:
        """Samples (num_samples, *in_shape).

        Args:
            num_samples: How many.
            labels: Their classes, a tensor (num_samples,) or a list, if the model is conditional; all in turn if not
                given.
            generator: Source of the noise: on the model's device, or one on the CPU for each sample.
        """

    def sampled_labels(self, num_samples: int, labels: Labels) -> Tensor | None:
        """The classes of samples as a tensor: those that are given, else all in turn; None where there are none."""
        check_sizes(num_samples=num_samples)
        if isinstance(labels, list | tuple) and all(isinstance(label, int) for label in labels):
            labels = torch.tensor(labels)
        if labels is not None and not isinstance(labels, Tensor):
            raise InputError(
                "This model was not trained with captions: give it numbers of classes, or take prompts to a TextDDPM."
            )
        if not self.num_conditions:
            if labels is not None:
                raise InputError("This model was not trained with classes (--model.conditional): leave out the labels.")
            return None
        if labels is None:
            labels = self.conditions_of(range(num_samples))
        if len(labels) != num_samples:
            raise InputError(f"{num_samples} samples need as many labels, got {len(labels)}.")
        return self.checked_conditions(labels.cpu()).to(self.device)

    def conditions_of(self, numbers: Sequence[int]) -> Tensor:
        """What samples of some numbers are conditioned on, where nothing is asked for: all classes in turn."""
        return torch.tensor(numbers) % self.num_conditions

    def asked_of(self, numbers: Sequence[int]) -> Tensor | None:
        """What ``predict`` asks of samples of some numbers: the classes of ``labels`` in turn, or all."""
        labels = self.hparams["labels"]
        if labels is not None:
            return torch.tensor([labels[number % len(labels)] for number in numbers])
        return self.conditions_of(numbers) if self.num_conditions else None

    def checked_conditions(self, labels: Tensor | None) -> Tensor:
        """The classes (B,) on the CPU; raises InputError unless the model has them."""
        return checked_labels(labels, self.num_conditions)

    def no_conditions(self, labels: Tensor) -> Tensor:
        """In the place of classes (B,), what tells a network none."""
        return torch.full_like(labels, self.num_conditions)

    def to_model(self, batch: Sequence[Tensor] | Tensor) -> tuple[Tensor, Tensor | None]:
        """Data in the model's scale, grey levels in [-1, 1] and points as they are, and labels if it is conditional."""
        data, labels = images_and_labels(batch)
        data = data.to(self.dtype)
        return 2 * data - 1 if self.is_image else data, labels if self.num_conditions else None

    def checked(self, batch: Any, batch_idx: int) -> tuple[Tensor, Tensor | None]:
        """A batch as :meth:`to_model` gives it; raises InputError where data or labels do not fit the model."""
        data, labels = images_and_labels(batch)
        if batch_idx == 0:  # looking at the values costs a synchronisation on a GPU, so once per epoch
            if self.is_image:
                check_images(data, self.hparams["in_shape"])
            if self.num_conditions:
                self.checked_conditions(None if labels is None else labels.cpu())
        return self.to_model(batch)

    def scaled(self, data: Tensor) -> Tensor:
        """A user's data in the model's scale; raises InputError where they do not fit the model."""
        if self.is_image:
            check_images(data, self.hparams["in_shape"])
        return self.to_model(data)[0]

    def from_model(self, data: Tensor) -> Tensor:
        """Samples in the data's scale."""
        return ((data + 1) / 2).clamp(0, 1) if self.is_image else data

    def drawing_loader(self) -> DataLoader[Any]:
        """Batches of the numbers of the samples that ``predict`` draws."""
        return DataLoader(range(self.num_drawn), batch_size=DRAWN_AT_ONCE)  # type: ignore[arg-type]

    @property
    def num_drawn(self) -> int:
        """How many samples ``predict`` draws."""
        labels = self.hparams["labels"]
        return self.hparams["num_images"] or (DRAWN_AT_ONCE if labels is None else len(labels))

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Draws the samples of a batch of numbers; for a batch of data as many, of its classes."""
        if isinstance(batch, Tensor) and batch.dim() == 1:
            numbers = batch.tolist()
            labels = self.asked_of(numbers)
        else:
            data, labels = self.checked(batch, batch_idx)
            numbers = self._numbers_of(len(data), batch_idx)
        return self.sample(len(numbers), labels, generator=seeded(numbers))

    def _numbers_of(self, count: int, batch_idx: int) -> list[int]:
        """Numbers of the samples of a batch of data, whatever the sizes of those before: no two alike on any device."""
        first = self._drawn if batch_idx else 0
        self._drawn = first + count
        trainer = self._trainer
        rank, devices = (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)
        return [number * devices + rank for number in range(first, first + count)]

    def prediction_columns(self, predictions: Sequence[Tensor], facts: Mapping[str, Any]) -> dict[str, Any]:
        """Coordinates of points; images are files."""
        if self.is_image:
            return {}
        points = torch.cat(list(predictions))
        return {f"x{number + 1}": column.tolist() for number, column in enumerate(points.T)}

    def drawn_files(self, predictions: Sequence[Tensor]) -> dict[str, Picture]:
        """Each image as a file, and all in a grid; none of points."""
        if not self.is_image:
            return {}
        images = torch.cat(list(predictions)).cpu()
        files = dict(zip(image_names(len(images)), map(picture, images), strict=True))
        return {**files, "grid.png": enlarged(grid_picture(images, math.ceil(math.sqrt(len(images)))))}

    def on_test_epoch_end(self) -> None:
        """Counts the modes that samples reach, too, where the law has any."""
        super().on_test_epoch_end()
        if self.hparams["mode_centers"]:
            metrics = mode_metrics(self.hparams["mode_centers"], self.hparams["mode_std"])
            found = metrics(self.sample(MODE_SAMPLES, generator=torch.Generator(self.device).manual_seed(0)).cpu())
            self.log_dict({f"test/{name}": value for name, value in found.items()})

    def figures(self, batch: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Samples: a grid, or a row for each class; of points all over those of the data."""
        if self.is_image:
            return {"samples": self.samples_figure(facts)}
        points = images_and_labels(batch)[0]
        samples = self.sample(len(points), generator=torch.Generator(self.device).manual_seed(0))
        return {"samples": samples_and_data(samples, points, f"{len(points):,} samples over as many held-out points")}

    def samples_figure(self, facts: Mapping[str, Any]) -> Picture:
        """Images: a grid, or a row for each class."""
        return samples_figure(self, self.num_conditions, facts)


def image_names(count: int) -> list[str]:
    """Files of the images that ``predict`` draws, in their order."""
    width = max(4, len(str(count - 1)))
    return [f"images/{number:0{width}d}.png" for number in range(count)]


def seeded(numbers: Sequence[int]) -> list[torch.Generator]:
    """A source of noise for each sample, from its number and the run's seed."""
    return [torch.Generator().manual_seed(mix_seed(torch.initial_seed(), number)) for number in numbers]
