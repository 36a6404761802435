"""What all datamodules share: loaders over global batches (:mod:`nnzoo.data.sampler`), and where data are kept."""

import inspect
import itertools
import os
from collections import ChainMap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from lightning.pytorch.utilities.parsing import save_hyperparameters
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nnzoo.data.facts import fact, facts_of, view
from nnzoo.data.sampler import BatchIndex, GlobalBatchSampler
from nnzoo.data.splits import class_weights
from nnzoo.errors import InputError
from nnzoo.parameters import constructor_arguments
from nnzoo.seeds import mix_seed

MAX_WORKERS = max(32, 4 * (os.cpu_count() or 1))
"""More processes than that wait for each other."""


def cache_root() -> Path:
    """Where nnzoo keeps what it can make again: ``$XDG_CACHE_HOME/nnzoo``, by default ``~/.cache/nnzoo``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "nnzoo"


def data_root(root: str | None) -> Path:
    """Where data sets are kept: ``root``, else ``$NNZOO_DATA``, else :func:`cache_root`."""
    return Path(root or os.environ.get("NNZOO_DATA") or cache_root()).expanduser()


def random_rows(size: int, count: int, seed: int = 0) -> Tensor:
    """At most ``count`` of ``size`` rows, chosen at random: what lies in files is often sorted by class."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(mix_seed(seed, size)))[:count]


class GlobalBatchDataModule(L.LightningDataModule):
    """A datamodule over datasets that are fetched by whole batches; a subclass sets ``self.parts`` in ``setup``.

    A dataset of ``parts`` ("train", "val", "test") has ``__len__`` and ``__getitems__(BatchIndex)``, which returns a
    ready batch; where there are classes, ``labels`` of the datasets holds them. What a model or a picture may need to
    know is a :func:`~nnzoo.data.facts.fact`. Batches that are not tuples of tensors need a :meth:`select` of their own.

    Args:
        batch_size: Samples per step over ALL devices.
        seed: Seed of order, augmentation and other draws (the command line sets it to ``seed_everything``).
        num_workers: Loader processes; 0 is fastest for data in memory.
    """

    balanced = False
    """Whether training samples are drawn with replacement so that all classes are equally frequent."""

    def __init__(self, *, batch_size: int = 128, seed: int = 0, num_workers: int = 0) -> None:
        super().__init__()
        settings = dict(ChainMap(*reversed(constructor_arguments(self))))
        save_hyperparameters(self, frame=inspect.currentframe(), given_hparams=settings)
        self._log_hyperparams = False  # the run's config.yaml has them
        if not 0 <= num_workers <= MAX_WORKERS:
            raise InputError(
                f"num_workers must lie in 0 to {MAX_WORKERS} here, got {num_workers}: set --data.num_workers."
            )
        if batch_size < 1:
            raise InputError(f"batch_size must be positive, got {batch_size}: set --data.batch_size.")
        self.batch_size, self.seed, self.num_workers = batch_size, seed, num_workers
        self.parts: dict[str, Dataset[Any]] = {}
        self.fitted: Mapping[str, Any] | None = None
        self._epochs = itertools.count()

    @fact
    def classes(self) -> list[str]:
        """Names of the classes in the order of their numbers; empty if there are none."""
        return []

    @fact
    def num_classes(self) -> int:
        """Number of classes; 0 if there are none."""
        return len(self.classes)

    def fitted_state(self) -> dict[str, Any]:
        """What training fixed of the data besides the facts, for samples that come later; nothing by default.

        A checkpoint keeps it with all facts (:meth:`state_dict`), so that a trained model can be taken to another
        machine without the data it was trained on. A room whose settings can name new data (``test_csv``,
        ``predict_csv``, ``predict_root``) returns here what it needs to make batches of them: formats of columns,
        statistics, categories. Plain values only (numbers, texts, None, lists and dicts of these, tensors), as a
        checkpoint is loaded with ``weights_only``.

        On the way back, :meth:`load_state_dict` sets every fact to its value and ``self.fitted`` to what this method
        returned, if the settings name new data; ``setup(stage)`` then makes only the part of that stage, from
        ``self.fitted``, where :meth:`uses_fitted` says so, and touches no training data.
        """
        return {}

    def brings(self, stage: str) -> bool:
        """Whether the settings name data of their own for a stage, test or predict, which so needs no others."""
        kinds = ("csv", "root")
        return any(self.hparams.get(f"{own}_{kind}") for own in ("test", "predict") if own == stage for kind in kinds)

    def uses_fitted(self, stage: str | None) -> bool:
        """Whether a stage is set up from what a checkpoint keeps instead of the training data."""
        return self.fitted is not None and stage is not None and self.brings(stage)

    def is_set_up(self, stage: str | None) -> bool:
        """Whether what a stage needs is made already: all parts, or the one of new data."""
        return "train" in self.parts or (self.uses_fitted(stage) and stage in self.parts)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps of the data: all facts but views, and :meth:`fitted_state`."""
        kept = [name for name, known in facts_of(type(self)).items() if not isinstance(known, view)]
        return {"facts": {name: getattr(self, name) for name in kept}, "fitted": self.fitted_state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes facts and fitted state from a checkpoint if new data are to be read; not once it is set up."""
        if not self.parts and (self.brings("test") or self.brings("predict")):
            self.restore(state_dict)

    def restore(self, state_dict: dict[str, Any]) -> None:
        """Takes facts and fitted state from a checkpoint, so that no training data need to be read."""
        self.__dict__.update(state_dict["facts"])  # where cached properties keep their values
        self.fitted = state_dict["fitted"]

    def select(self, batch: Any, rows: slice | Tensor) -> Any | None:
        """Some of a batch's samples, as a batch; None if samples cannot be taken out, as of one whole graph.

        Args:
            batch: As a loader gives it.
            rows: Which samples, in the order of the batch.
        """
        return tuple(tensor[rows] for tensor in batch)

    def size_of(self, batch: Any) -> int:
        """Number of samples in a batch."""
        return len(batch[-1])

    def choose(self, part: str, count: int, seed: int = 0) -> Any:
        """A batch of at most ``count`` samples of a part, chosen at random: a folder's come class by class.

        Args:
            part: train | val | test.
            count: The most samples to return.
            seed: Of the choice.
        """
        self.setup("test")
        dataset: Any = self.parts[part]
        samples = random_rows(len(dataset), count, seed)
        return dataset.__getitems__(BatchIndex(samples, seed, slice(None), len(samples)))

    def batches(self, part: str) -> Iterator[Any]:
        """All batches of a part in order, as validation and test on one device see them."""
        self.setup("test")
        dataset: Any = self.parts[part]
        for index in self.build_sampler(part, len(dataset), self.batch_size, seed=self.seed, train=False):
            yield dataset.__getitems__(index)

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled batches; the last, incomplete one is left out."""
        return self._loader("train", weights=self.sample_weights())

    def val_dataloader(self) -> DataLoader[Any]:
        """Every validation sample once, in order."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """Every test sample once, in order."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """The test samples."""
        return self._loader("test")

    def predicted_rows(self) -> pd.DataFrame | None:
        """What the rows of ``predict_dataloader`` are, one line each, for a table of predictions; None if not known."""
        return None

    def column_report(self) -> pd.DataFrame | None:
        """What became of each column of a user's file: ``column``, ``use`` and ``note``; None without a file."""
        return None

    @property
    def class_weights(self) -> Tensor:
        """Weights n / (K n_c) per class of the training part: (K,); empty if there are no classes."""
        self.setup("fit")
        return class_weights(self._labels, self.num_classes) if self.num_classes else torch.empty(0)

    def sample_weights(self) -> Tensor | None:
        """With ``balanced``, the weight of each training sample's class; None draws each sample once per epoch."""
        if not self.balanced:
            return None
        if not self.num_classes:
            raise InputError("--data.balanced needs classes: use data with labels, such as a folder of class folders.")
        return self.class_weights[self._labels]

    @property
    def _labels(self) -> Tensor:
        return self.parts["train"].labels  # type: ignore[attr-defined]

    def _loader(self, part: str, weights: Tensor | None = None) -> DataLoader[Any]:
        if part not in self.parts:  # by hand: Lightning's trainer sets up before
            self.setup({"train": "fit", "val": "validate"}.get(part, part))
        dataset, train = self.parts[part], part == "train"
        world_size = self.trainer.world_size if self.trainer else 1
        size, batch_size = len(dataset), self.batch_size  # type: ignore[arg-type]
        if batch_size % world_size:
            raise InputError(
                f"batch_size {batch_size} is the global batch and does not divide over {world_size} devices: set "
                f"--data.batch_size {batch_size + world_size - batch_size % world_size}."
            )
        if size < world_size:
            raise InputError(f"The {part} part has {size} samples, too few for {world_size} devices.")
        if train and size < batch_size:
            batch_size = self.fitting_batch_size(size, world_size)
        left_out = size % batch_size
        if train and weights is None and left_out > 0.1 * size:
            rank_zero_warn(
                f"Each epoch leaves out {left_out} of {size} training samples, others each time: they do not fill "
                f"a batch of {batch_size}: a smaller --data.batch_size uses more."
            )
        sampler = self.build_sampler(
            part,
            size,
            batch_size,
            seed=self.seed,
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=world_size,
            position=self._position if train else lambda: (0, 0),
            train=train,
            weights=weights if train else None,
        )
        return DataLoader(
            dataset,
            batch_sampler=sampler,  # type: ignore[arg-type]
            collate_fn=_identity,
            num_workers=self.num_workers,
            # Without one, each new iterator would draw from the global generator and so shift the training noise.
            generator=torch.Generator().manual_seed(self.seed),
            pin_memory=torch.cuda.is_available(),
        )

    def build_sampler(self, part: str, num_samples: int, batch_size: int, **settings: Any) -> GlobalBatchSampler:
        """The order of a part's batches; override it for batches that go by something else than chance, as length."""
        return GlobalBatchSampler(num_samples, batch_size, **settings)

    def fitting_batch_size(self, size: int, world_size: int) -> int:
        """The size of batches where there are fewer training samples than a batch should have."""
        batch_size = max(4, size // 8)  # several steps an epoch
        batch_size = min(size, batch_size + -batch_size % world_size) // world_size * world_size
        rank_zero_warn(f"Only {size} training samples: using batches of {batch_size}, not {self.batch_size}.")
        return batch_size

    def _position(self) -> tuple[int, int]:
        if self.trainer is None or not self.trainer.training:
            return next(self._epochs), 0  # iterated by hand: every pass is another epoch
        # Not 0 only where a checkpoint from the middle of an epoch was loaded.
        step = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready
        return self.trainer.current_epoch, step


def _identity(batch: Any) -> Any:
    return batch
