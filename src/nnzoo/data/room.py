"""What the datamodules of all rooms share: a data set out of the room's sources, and how it is split."""

from collections.abc import Mapping
from typing import Any, ClassVar

from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from nnzoo.data.base import GlobalBatchDataModule
from nnzoo.data.csv_file import as_names
from nnzoo.data.sources import Source, chosen_dataset
from nnzoo.data.splits import check_fractions
from nnzoo.errors import InputError, check_choices
from nnzoo.parameters import check_options, parameters_of


class RoomDataModule(GlobalBatchDataModule):
    """A datamodule whose ``dataset`` is one of the room's sources; a subclass lists it and its other settings.

    Args:
        val_fraction: Share of the samples for validation (of the official training part, where there is one).
        test_fraction: Share of the samples for the test, where the data set brings no test part.
        shared: What :class:`nnzoo.data.base.GlobalBatchDataModule` takes.

    Raises:
        InputError: If a setting is out of range, or does nothing with the data set.
    """

    sources: ClassVar[Mapping[str, type[Source]]]
    """The data sets by their names."""

    acts_with: ClassVar[Mapping[str, tuple[str, Any]]]
    """Settings that act with some data sets only, see :func:`nnzoo.data.sources.options_of`."""

    def __init__(self, *, val_fraction: float = 0.15, test_fraction: float = 0.15, **shared: Any) -> None:
        super().__init__(**shared)
        check_choices(type(self), self.hparams)
        check_fractions(val_fraction, test_fraction, self.hparams.get("folds", 0))
        self.dataset: str = chosen_dataset(self.hparams)
        names = {name: as_names(self.hparams[name]) for name in ("drop", "categorical") if name in self.hparams}
        self.hparams.update({"dataset": self.dataset, **names})
        self._check_dropped()
        self.check_settings()
        if self.hparams.get("test_csv") and test_fraction != parameters_of(type(self))["test_fraction"].default:
            rank_zero_warn(f"--data.test_fraction {test_fraction} is not used: --data.test_csv is the whole test part.")
        self.source: Any = self.sources[self.dataset](self.hparams)
        check_options(type(self), self.acting_settings(), "data")

    def _check_dropped(self) -> None:
        """Raises InputError if a column is both used for something and left out."""
        for option in ("target", "time", "group", "categorical"):
            named = self.hparams.get(option) or []
            both = [column for column in as_names(named) if column in self.hparams.get("drop", [])]
            if both:
                raise InputError(
                    f"The column {both[0]} cannot be both --data.{option} and left out: take it out of --data.drop."
                )

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used, in a sentence that says more than that it does nothing."""

    def acting_settings(self) -> Mapping[str, Any]:
        """The settings, but for those of which it does not matter that they act with other data sets only."""
        return self.hparams

    def prepare_data(self) -> None:
        """Downloads the data set if it is missing and can be downloaded."""
        self.source.fetch()


class SplitDataModule(RoomDataModule):
    """A datamodule whose samples are split at random, or into folds.

    Args:
        split_seed: Seed of the split and of what is generated, apart from ``seed`` so that runs with other seeds share
            their test samples.
        folds: Cross-validation: the test part is one of so many folds; ``--folds`` runs them all. With ``val_fraction``
            0 it is the validation part, too: optimistic, for comparisons with tables that were made so.
        fold: Number of the fold to test on, from 0.
        balanced: Draw training samples with replacement so that all classes are equally frequent.
        shared: What :class:`RoomDataModule` takes.
    """

    def __init__(
        self, *, split_seed: int = 0, folds: int = 0, fold: int = 0, balanced: bool = False, **shared: Any
    ) -> None:
        super().__init__(**shared)
        self.balanced = balanced

    def split_settings(self) -> dict[str, Any]:
        """What :func:`nnzoo.data.splits.split_parts` takes besides the samples."""
        names = ("val_fraction", "test_fraction", "folds", "fold")
        return {"seed": self.hparams["split_seed"], **{name: self.hparams[name] for name in names}}
