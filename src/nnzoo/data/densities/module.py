"""Points of laws in two dimensions whose densities are known: mixtures of Gaussians, curves, a checkerboard."""

import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor

from nnzoo.data.base import random_rows
from nnzoo.data.densities.dataset import PointDataset
from nnzoo.data.densities.law import Law, Modes
from nnzoo.data.densities.sources import SOURCES
from nnzoo.data.facts import held, view
from nnzoo.data.room import RoomDataModule
from nnzoo.data.sources import options_of
from nnzoo.errors import check_sizes

if TYPE_CHECKING:
    DatasetName = str
else:
    DatasetName = Literal[tuple(SOURCES)]

THE_LAW = "set --data.dataset to the law that it was trained on"


class DensityDataModule(RoomDataModule):
    """Points of 2-D laws whose density is known, for generative models.

    A batch is (points (B, 2), the component that each comes from (B,), 0 where there are none). The laws have the
    scales of WGAN-GP's toy data (Gulrajani et al. 2017, arXiv:1704.00028), so that coordinates have a variance of about
    1. Points are independent, and generated once: classical models are fitted on the very points that a network is
    trained on, and with few of them a network can be seen to learn them by heart. With many, as WGAN-GP's 100,000 of 25
    Gaussians, that is as good as drawing new ones at every step.

    Args:
        dataset: eight_gaussians (radius 2, standard deviation 0.02, all divided by 1.414) | twenty_five_gaussians (on
            the grid -4, -2, 0, 2, 4 with standard deviation 0.05, divided by 2.828) | swiss_roll (scikit-learn's with
            noise 0.25, seen from above, divided by 7.5) | moons (scikit-learn's with noise 0.1, centred, divided by
            0.71) | checkerboard (eight squares of side 2 in -4 to 4, divided by 2.309).
        num_samples: Points to draw for training, validation and test together.
        split_seed: Seed of the points, apart from ``seed`` so that runs with other seeds share them.
        shared: What :class:`nnzoo.data.room.RoomDataModule` takes.

    Raises:
        InputError: If a value is out of range.
    """

    sources: ClassVar[Mapping[str, type[Law]]] = SOURCES
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = options_of(SOURCES)

    def __init__(
        self, *, dataset: DatasetName = "eight_gaussians", num_samples: int = 50000, split_seed: int = 0, **shared: Any
    ) -> None:
        super().__init__(**shared)

    def check_settings(self) -> None:
        """Raises InputError if there are to be no points."""
        check_sizes(num_samples=self.hparams["num_samples"])

    @held("use data of the same kind and size")
    def in_shape(self) -> tuple[int, ...]:
        """The shape of a point, (2,)."""
        return (2,)

    @held("use data of the same kind and size")
    def levels(self) -> int:
        """0: coordinates are continuous."""
        return 0

    @held(THE_LAW)
    def classes(self) -> list[str]:
        """Names of the components; empty if there is but one."""
        return self.source.classes

    @held(THE_LAW)
    def mode_centers(self) -> list[list[float]]:
        """The modes of a mixture of Gaussians; empty for other laws."""
        return self.modes().centers.tolist() if self._has_modes else []

    @held(THE_LAW)
    def mode_std(self) -> float:
        """The standard deviation of each mode; 0 for other laws."""
        return self.modes().std if self._has_modes else 0.0

    @view
    def law(self) -> Law:
        """The law, for its density and further points."""
        return self.source

    @property
    def _has_modes(self) -> bool:
        return type(self.source).modes is not Law.modes

    def modes(self) -> Modes:
        """Centres (K, 2) and standard deviation of the modes; raises InputError unless the law is of Gaussians."""
        return self.source.modes()

    def log_density(self, points: Tensor) -> Tensor:
        """The logarithm of the law's density at points (N, 2), in nats: (N,)."""
        return self.source.log_density(points)

    def setup(self, stage: str | None = None) -> None:
        """Draws the points; a second call changes nothing."""
        if self.parts:
            return
        self.parts |= {part: PointDataset(*drawn) for part, drawn in self.source.load().items()}
        counts = ", ".join(f"{len(self._part(part))} {part}" for part in self.parts)
        rank_zero_info(f"{self.dataset}: {counts} points, {self.num_classes} components")

    def _part(self, name: str) -> PointDataset:
        return typing.cast(PointDataset, self.parts[name])

    def points(self, part: str, limit: int | None = None) -> Tensor:
        """Points (N, 2) of a part in order.

        Args:
            part: train | val | test.
            limit: Take so many of them, chosen at random.
        """
        self.setup()
        dataset = self._part(part)
        size = len(dataset)
        return dataset.points[random_rows(size, size if limit is None else limit).sort().values]

    def predicted_rows(self) -> pd.DataFrame:
        """The test points, and their components where there are any."""
        test = self._part("test")
        known = {"class": [self.classes[label] for label in test.labels.tolist()]} if self.classes else {}
        return pd.DataFrame({"x": test.points[:, 0].numpy(), "y": test.points[:, 1].numpy(), **known})
