"""What supervised modules share: steps, penalties, metrics, predictions.

A batch is a flat tuple of tensors whose first dimension is the batch; the last one is the target, the others are what
the network takes. A family with other batches overrides :meth:`SupervisedModule.split`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import MetricCollection

from nnzoo.errors import InputError
from nnzoo.metrics.means import STAGES, PerStage, StageMeans
from nnzoo.metrics.waiting import Waiting
from nnzoo.modules.base import ZooModule
from nnzoo.nets.supervised import weight_penalty

Batch = tuple[Tensor, ...]


class SupervisedModule(ZooModule, ABC):
    """A network trained on (inputs, target); a subclass says by which loss.

    The training loss is the mean over the batch plus ``l1 * sum |w| + l2 / 2 * sum w^2`` over the network's weight
    matrices and kernels.

    Args:
        l1: Factor of the L1 penalty on the weights.
        l2: Factor of the L2 penalty on the weights.
        shared: What :class:`nnzoo.modules.base.ZooModule` takes.
    """

    net: nn.Module

    def __init__(self, *, l1: float = 0.0, l2: float = 0.0, **shared: Any) -> None:
        super().__init__(**shared)
        self.net = self.build_net()
        self.means = StageMeans({stage: ["loss"] for stage in STAGES})
        self.metrics = PerStage(self.build_metrics)
        self.waiting = Waiting()

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        if min(self.hparams["l1"], self.hparams["l2"]) < 0:
            raise InputError("l1 and l2 must not be negative: set --model.l1 and --model.l2.")

    @abstractmethod
    def build_net(self) -> nn.Module:
        """The network; override it to train another one."""

    @abstractmethod
    def build_metrics(self, stage: str) -> MetricCollection:
        """What a stage measures besides the loss."""

    @abstractmethod
    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Loss per sample (B,), without penalties."""

    @abstractmethod
    def measured(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What the metrics compare."""

    def outputs(self, *inputs: Tensor) -> Tensor:
        """What the network makes of the inputs; override it to prepare them."""
        return self.net(*inputs)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch plus the penalties, whose weight does not depend on the batch's size."""
        l1, l2 = self.hparams["l1"], self.hparams["l2"]
        loss = self._step("train", batch, batch_idx).mean()
        return loss + weight_penalty(self.net, l1, l2) if l1 or l2 else loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures loss and metrics."""
        self._step("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures loss and metrics."""
        self._step("test", batch, batch_idx)

    def predict_step(self, batch: Any, batch_idx: int) -> Any:
        """What :meth:`forward` returns for a batch (inputs, target), or for inputs alone: a tensor or a tuple."""
        if isinstance(batch, Tensor):
            return self(batch)
        if isinstance(batch, tuple | list) and not self.has_target(batch):
            return self(*batch)
        return self(*self.split(batch)[0])

    def has_target(self, batch: Sequence[Tensor]) -> bool:
        """Whether the last tensor of a batch is a target: it is, if there are several and nothing tells otherwise."""
        return len(batch) > 1

    def split(self, batch: Any) -> tuple[Sequence[Any], Tensor]:
        """What the network takes of a batch, and the target; override it for batches that are not tuples."""
        *inputs, target = batch
        return inputs, target

    def _step(self, stage: str, batch: Any, batch_idx: int) -> Tensor:
        if batch_idx == 0:  # looking at the values costs a synchronisation on a GPU, so once per epoch
            self.check_batch(batch)
        inputs, target = self.split(batch)
        outputs = self.outputs(*inputs)
        losses = self.loss(outputs, target)
        seen = (outputs.detach(), target, losses.detach())
        if stage == "train" and self.losses_wait:
            for together in self.waiting.add(*seen):
                self.measure(stage, *together)
        else:
            self.measure(stage, *seen, batch)
        return losses

    @property
    def losses_wait(self) -> bool:
        """Whether several training batches are measured together: where a lost loss shows in what a step returns."""
        cls = type(self)
        plain = cls.training_step.__module__.startswith("nnzoo.") and self.automatic_optimization
        return plain and math.isinf(self.most_loss) and cls.update_metrics is SupervisedModule.update_metrics

    def measure(
        self, stage: str, outputs: Tensor, target: Tensor, losses: Tensor, batch: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Adds samples to the means and metrics of a stage: those of a batch, or in training of several.

        Returns:
            What the metrics compared.
        """
        self.means.update(stage, {"loss": losses})
        measured = self.measured(outputs, target)
        self.update_metrics(self.metrics[stage], measured, batch)
        return measured

    def update_metrics(self, metrics: MetricCollection, measured: tuple[Tensor, Tensor], batch: Any) -> None:
        """Adds what was measured to a stage's metrics; override it where these need more of the batch.

        As it is, it gets several training batches together, and then no ``batch``; an override gets each by itself.
        """
        metrics.update(*measured)

    def check_batch(self, batch: Any) -> None:
        """Raises InputError if the inputs hold values that are not finite."""
        inputs, target = self.split(batch)
        for tensor in (*inputs, target):
            if isinstance(tensor, Tensor) and tensor.layout == torch.sparse_csr:
                tensor = tensor.values()
            if isinstance(tensor, Tensor) and tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise InputError("The data hold NaN or infinite values: repair or remove them.")

    def log_stage(self, stage: str) -> None:
        """Logs the mean loss and the metrics."""
        if stage == "train":
            for together in self.waiting.take():
                self.measure(stage, *together)
        super().log_stage(stage)
        self.log_dict(self.metrics[stage])
