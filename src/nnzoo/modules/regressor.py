"""What regressors share: squared error of the standardised target, metrics in the target's own units."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import MetricCollection
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError

from nnzoo.errors import InputError
from nnzoo.metrics.supervised import StandardizedR2
from nnzoo.modules.supervised import Batch, SupervisedModule
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.supervised import squared_error
from nnzoo.plots.supervised import predictions as plot_predictions


class Regressor(SupervisedModule):
    """A network from inputs to a number, trained by the squared error of the standardised target.

    Loss: mean over the batch of ((y - y_hat) / std)^2, plus the penalties. Predictions and metrics (RMSE, MAE, R^2) are
    in the target's own units.

    Targets far from 0 with a small spread come less an offset, since single precision would blur them; losses and
    metrics do not depend on it, and predictions have it added in double precision.

    Args:
        target_mean: Mean of the training targets (the command line takes it from the data).
        target_std: Standard deviation of the training targets (the command line takes it from the data).
        target_offset: What is subtracted from the targets in batches (the command line takes it from the data).
        shared: What :class:`nnzoo.modules.supervised.SupervisedModule` takes.
    """

    metric_note = "loss: of the standardised target; rmse and mae: in the target's units, mse in their square"
    target_mean: Tensor
    target_std: Tensor

    def __init__(
        self, *, target_mean: float = 0.0, target_std: float = 1.0, target_offset: float = 0.0, **shared: Any
    ) -> None:
        super().__init__(**shared)
        # Of the training part, whatever the data of a test.
        self.register_buffer("target_mean", torch.tensor(target_mean - target_offset, dtype=torch.float32))
        self.register_buffer("target_std", torch.tensor(target_std, dtype=torch.float32))

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        if not self.hparams["target_std"] > 0:
            raise InputError("The target is constant: choose a column that varies.")

    def check_batch(self, batch: Batch) -> None:
        """Raises InputError if the target is no number per sample, or inputs are not finite."""
        super().check_batch(batch)
        target = self.split(batch)[1]
        if target.dim() != 1:
            raise InputError(f"Targets must be of shape (B,), got {tuple(target.shape)}: take target[:, 0].")

    def build_metrics(self, stage: str) -> MetricCollection:
        """RMSE and MAE in the target's units, and R^2 in validation and test."""
        errors = {"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError()}
        mean = self.hparams["target_mean"] - self.hparams["target_offset"]
        r2 = StandardizedR2(mean, self.hparams["target_std"])
        return MetricCollection({**errors, **({"r2": r2} if stage != "train" else {})}, prefix=f"{stage}/")

    def standardized(self, target: Tensor) -> Tensor:
        """The target (B,) with mean 0 and standard deviation 1 in the training part."""
        return (target - self.target_mean) / self.target_std

    def original(self, outputs: Tensor) -> Tensor:
        """The network's outputs in the units of the batches' targets."""
        return at_least_float32(outputs) * self.target_std + self.target_mean

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Squared error (B,) of the standardised target."""
        return squared_error(outputs, self.standardized(target))

    def measured(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions and targets (B,) in the target's units, both less the offset."""
        return self.original(outputs), target

    def forward(self, *inputs: Tensor) -> Tensor:
        """Predictions (B,) in the target's units; float64 if there is an offset, where the device has it."""
        return self.with_offset(self.original(self.outputs(*inputs)))

    def with_offset(self, target: Tensor) -> Tensor:
        """Targets of a batch, or predictions of them, as they are in the data."""
        offset = self.hparams["target_offset"]
        if not offset:
            return target
        return (target if target.device.type == "mps" else target.double()) + offset

    def prediction_columns(self, predictions: Sequence[Tensor], facts: Mapping[str, Any]) -> dict[str, Any]:
        """The predictions, in the target's units."""
        return {"predicted": torch.cat(list(predictions)).numpy()}

    def figures(self, batch: Batch, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Predictions beside the truth."""
        inputs, target = self.split(batch)
        name = facts.get("target_name", "")
        return {"predictions": plot_predictions(self(*inputs), self.with_offset(target), name)}
