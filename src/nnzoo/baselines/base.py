"""What all baselines share: when they run, and how their scores come into the table."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, TypeVar

import lightning as L
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import nn
from torchmetrics import Metric

from nnzoo.data.facts import datamodule_of
from nnzoo.timing import timed

M = TypeVar("M", bound=nn.Module)
Scores = Mapping[str, Mapping[str, float]]
"""Metrics by the names of the baselines; those of :data:`OWN` are the module's own."""

OWN = ""
"""In the place of a baseline's name: logged as ``test/METRIC``."""


def fitting(name: str) -> AbstractContextManager[None]:
    """Says how long the model of a name takes to fit and to measure, and how to do without."""
    return timed(f"baselines: {name}", "leave out with --baselines null", least=0.1)


def subset_note(names: str, used: int, given: int, what: str = "rows") -> list[str]:
    """The note on models that have seen a random part only; none where that is all."""
    return [f"{names}: fitted on {used:,} of {given:,} {what}, chosen at random"] if used < given else []


def alone(metrics: M) -> M:
    """The same metrics, which now wait for those of no other process: baselines run on process 0 alone."""
    for metric in metrics.modules():
        if isinstance(metric, Metric):
            metric.distributed_available_fn = lambda: False
    return metrics


class Baselines(Callback, ABC):
    """Classical models that are fitted at the end of a test and logged as ``baseline/NAME/METRIC``.

    A recipe names them under ``baselines:``; ``--baselines null`` leaves them out. They run on process 0.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    """What the datamodule must have: names of facts and methods."""
    itemised: ClassVar[bool] = False
    """Whether :meth:`scores` says itself, with :func:`fitting`, how long each model takes."""
    notes: Sequence[str] = ()
    """What the table should say of the last scores, such as that a model has seen a part of the rows only."""

    @abstractmethod
    def scores(self, module: Any, data: Any) -> Scores:
        """Fits the models and measures them on the test part.

        Args:
            module: The tested module.
            data: A datamodule that has what is needed.
        """

    def remark(self, own: Mapping[str, float]) -> str | None:
        """What a user should be told of the scores beside the module's own metrics, which are named as logged."""
        return None

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Fits, measures and logs the baselines."""
        self._scored = False
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        data = datamodule_of(trainer)
        # Looked up in the class first: a property may read files, which a trained model does without.
        missing = [name for name in self.needs if not (hasattr(type(data), name) or hasattr(data, name))]
        if missing:
            rank_zero_warn(f"There are no {type(self).__name__}: the data have no {' and no '.join(missing)}.")
            return
        try:
            with nullcontext() if self.itemised else fitting(type(self).__name__):
                scores = self.scores(pl_module, data)
        except Exception as error:  # a baseline is not worth a finished run
            rank_zero_warn(f"The {type(self).__name__} could not be fitted ({type(error).__name__}: {error}).")
            return
        self._scored = True
        for name, metrics in scores.items():
            for metric, value in metrics.items():
                key = f"test/{metric}" if name == OWN else f"baseline/{name}/{metric}"
                pl_module.log(key, value, rank_zero_only=True)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Says what should be said of the scores."""
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        if self._scored and (said := self.remark(logged)):
            rank_zero_warn(said)
