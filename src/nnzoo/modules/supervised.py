"""What classifiers share, and what regressors share: loss, penalties, metrics, predictions.

A batch is a flat tuple of tensors whose first dimension is the batch; the last one is the target, the others are what
the network takes.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)
from torchmetrics.regression import MeanAbsoluteError, MeanSquaredError, R2Score

from nnzoo import plots
from nnzoo.errors import InputError
from nnzoo.modules.base import ZooModule
from nnzoo.modules.training import STAGES, StageMeans, check_hyperparameters
from nnzoo.nets.likelihoods import at_least_float32
from nnzoo.nets.supervised import cross_entropy, squared_error, weight_penalty

Batch = tuple[Tensor, ...]
ClassWeights = Literal["none", "balanced"]


class SupervisedModule(ZooModule):
    """A network trained on (inputs, target); :class:`Classifier` and :class:`Regressor` say by which loss.

    A subclass's constructor saves its hyperparameters, which include ``l1`` and ``l2``, and calls :meth:`build`.
    """

    net: nn.Module

    def build_net(self) -> nn.Module:
        """The network; override it to train another one."""
        raise NotImplementedError

    def build(self) -> None:
        """Checks the hyperparameters, then builds the network and the metrics."""
        check_hyperparameters(self)
        if min(self.hparams["l1"], self.hparams["l2"]) < 0:
            raise InputError("l1 and l2 must not be negative: set --model.l1 and --model.l2.")
        self.net = self.build_net()
        self.means = StageMeans({stage: ["loss"] for stage in STAGES})
        self.metrics = nn.ModuleDict({f"{stage}_": self.build_metrics(stage) for stage in STAGES})

    def build_metrics(self, stage: str) -> MetricCollection:
        """What a stage measures besides the loss."""
        raise NotImplementedError

    def outputs(self, *inputs: Tensor) -> Tensor:
        """What the network makes of the inputs; override it to prepare them."""
        return self.net(*inputs)

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Loss per sample (B,), without penalties."""
        raise NotImplementedError

    def measured(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """What the metrics compare."""
        raise NotImplementedError

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch plus the penalties, whose weight does not depend on the batch's size."""
        l1, l2 = self.hparams["l1"], self.hparams["l2"]
        losses, _ = self._step("train", batch, batch_idx)
        return losses.mean() + (weight_penalty(self.net, l1, l2) if l1 or l2 else 0.0)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures loss and metrics."""
        self._step("val", batch, batch_idx)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures loss and metrics."""
        self._step("test", batch, batch_idx)

    def predict_step(self, batch: Batch, batch_idx: int) -> Any:
        """What :meth:`forward` returns."""
        return self(*batch[:-1])

    def _step(self, stage: str, batch: Batch, batch_idx: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if batch_idx == 0:  # looking at the values costs a synchronisation on a GPU, so once per epoch
            self.check_batch(batch)
        *inputs, target = batch
        outputs = self.outputs(*inputs)
        losses = self.loss(outputs, target)
        self.means.update(stage, {"loss": losses})
        measured = self.measured(outputs.detach(), target)
        self.update_metrics(self.metrics[f"{stage}_"], measured, batch)  # type: ignore[arg-type]
        return losses, measured

    def update_metrics(self, metrics: MetricCollection, measured: tuple[Tensor, Tensor], batch: Batch) -> None:
        """Adds what was measured to a stage's metrics; override it where these need more of the batch."""
        metrics.update(*measured)

    def check_batch(self, batch: Batch) -> None:
        """Raises InputError if the inputs hold values that are not finite."""
        for tensor in batch:
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                raise InputError("The data hold NaN or infinite values: repair or remove them.")

    def log_stage(self, stage: str) -> None:
        """Logs the mean loss and the metrics."""
        super().log_stage(stage)
        self.log_dict(self.metrics[f"{stage}_"])  # type: ignore[arg-type]


class Classifier(SupervisedModule):
    """A network from inputs to class logits, trained by cross-entropy.

    Loss: mean over the batch of w_y * CE (see :func:`nnzoo.nets.supervised.cross_entropy`), plus
    ``l1 * sum |w| + l2 / 2 * sum w^2`` over weight matrices and kernels. Its hyperparameters include ``num_classes``,
    ``label_smoothing`` and ``class_weights``: "balanced" takes n / (K n_c) from the training part, so that all classes
    count the same.

    Metrics: accuracy; macro-averaged precision, recall and F1; calibration error (15 bins, Guo et al. 2017,
    arXiv:1706.04599). Labels must lie in 0 .. K - 1.
    """

    class_weight: Tensor

    def build(self) -> None:
        """Checks the hyperparameters, then builds the network and the metrics."""
        hparams = self.hparams
        if hparams["num_classes"] < 2:
            raise InputError(
                f"A classifier needs two classes or more, the data have {hparams['num_classes']}: choose data with "
                "labels, such as a folder with a subfolder for each class."
            )
        if not 0 <= hparams["label_smoothing"] < 1:
            raise InputError(f"label_smoothing goes from 0 to below 1, got {hparams['label_smoothing']}.")
        super().build()
        self.register_buffer("class_weight", torch.ones(hparams["num_classes"]))
        self.confusion = MulticlassConfusionMatrix(hparams["num_classes"])

    def build_metrics(self, stage: str) -> MetricCollection:
        """Accuracy in training; in validation and test also F1, precision, recall and calibration error."""
        classes = self.hparams["num_classes"]
        accuracy = {"accuracy": MulticlassAccuracy(classes, average="micro", validate_args=False)}
        further = {
            "f1": MulticlassF1Score(classes),
            "precision": MulticlassPrecision(classes),
            "recall": MulticlassRecall(classes),
            "calibration_error": MulticlassCalibrationError(classes),
        }
        return MetricCollection({**accuracy, **(further if stage != "train" else {})}, prefix=f"{stage}/")

    def setup(self, stage: str) -> None:
        """Takes balanced class weights from the training part."""
        if stage == "fit" and self.hparams["class_weights"] == "balanced":
            data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
            if data is None:
                raise InputError("class_weights balanced needs a datamodule with class_weights, such as nnzoo's own.")
            if getattr(data, "balanced", False):
                raise InputError(
                    "--data.balanced and --model.class_weights balanced would correct for rare classes twice: take one."
                )
            self.class_weight = data.class_weights.to(self.class_weight)

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Weighted, smoothed cross-entropy in training; plain cross-entropy in evaluation: (B,), in nats."""
        if not self.training:
            return cross_entropy(outputs, target)
        return cross_entropy(outputs, target, self.hparams["label_smoothing"], self.class_weight)

    def measured(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (B, K) and classes (B,)."""
        return at_least_float32(outputs).softmax(dim=1), target if target.dim() == 1 else target.argmax(dim=1)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures loss and metrics, and counts the confusions."""
        _, measured = self._step("test", batch, batch_idx)
        self.confusion.update(*measured)

    def on_test_epoch_end(self) -> None:
        """Logs the metrics and keeps the confusion matrix (K, K), true classes in rows, as ``confusion_counts``."""
        super().on_test_epoch_end()
        self.confusion_counts = self.confusion.compute()  # on every device: it adds up their counts
        self.confusion.reset()

    def check_batch(self, batch: Batch) -> None:
        """Raises InputError if a label is not a class, or inputs are not finite."""
        super().check_batch(batch)
        labels, classes = batch[-1], self.hparams["num_classes"]
        if labels.dim() == 1 and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise InputError(
                f"Labels must lie in 0 .. {classes - 1}, got {int(labels.min())} .. {int(labels.max())}: number the "
                "classes from 0, without gaps."
            )

    def logits(self, *inputs: Tensor) -> Tensor:
        """Scores (B, K) before the softmax."""
        return at_least_float32(self.outputs(*inputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Class probabilities (B, K)."""
        return self.logits(*inputs).softmax(dim=1)

    def prediction_columns(self, predictions: Sequence[Tensor], classes: Sequence[str]) -> dict[str, Any]:
        """The most probable class, and the probability of each."""
        return class_columns(torch.cat(list(predictions)), classes)

    def figures(self, batch: Batch, classes: Sequence[str]) -> dict[str, Figure]:
        """Pictures of held-out samples, for the ``Figures`` callback."""
        counts = getattr(self, "confusion_counts", None)
        return {} if counts is None else {"confusion_matrix": plots.confusion_matrix(counts, classes)}


def class_columns(probabilities: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Probabilities (N, K) as columns: the most probable class, then the probability of each."""
    names = list(classes) or [str(number) for number in range(probabilities.shape[1])]
    columns = {f"p({name})": column for name, column in zip(names, probabilities.T.numpy(), strict=True)}
    return {"predicted": [names[number] for number in probabilities.argmax(dim=1)], **columns}


class Regressor(SupervisedModule):
    """A network from inputs to a number, trained by the squared error of the standardised target.

    Loss: mean over the batch of ((y - y_hat) / std)^2, plus the penalties. Its hyperparameters include the training
    part's ``target_mean`` and ``target_std``; predictions and metrics (RMSE, MAE, R^2) are in the target's own units.
    """

    def build(self) -> None:
        """Checks the hyperparameters, then builds the network and the metrics."""
        if not self.hparams["target_std"] > 0:
            raise InputError("The target is constant: choose a column that varies.")
        super().build()

    def build_metrics(self, stage: str) -> MetricCollection:
        """RMSE and MAE in the target's units, and R^2 in validation and test."""
        errors = {"rmse": MeanSquaredError(squared=False), "mae": MeanAbsoluteError()}
        return MetricCollection({**errors, **({"r2": R2Score()} if stage != "train" else {})}, prefix=f"{stage}/")

    def standardized(self, target: Tensor) -> Tensor:
        """The target (B,) with mean 0 and standard deviation 1 in the training part."""
        return (target - self.hparams["target_mean"]) / self.hparams["target_std"]

    def original(self, outputs: Tensor) -> Tensor:
        """The network's outputs in the target's units."""
        return at_least_float32(outputs) * self.hparams["target_std"] + self.hparams["target_mean"]

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Squared error (B,) of the standardised target."""
        return squared_error(outputs, self.standardized(target))

    def measured(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions and targets (B,) in the target's units."""
        return self.original(outputs), target

    def forward(self, *inputs: Tensor) -> Tensor:
        """Predictions (B,) in the target's units."""
        return self.original(self.outputs(*inputs))

    def prediction_columns(self, predictions: Sequence[Tensor], classes: Sequence[str]) -> dict[str, Any]:
        """The predictions, in the target's units."""
        return {"predicted": torch.cat(list(predictions)).numpy()}

    def figures(self, batch: Batch, classes: Sequence[str]) -> dict[str, Figure]:
        """Predictions beside the truth."""
        return {"predictions": plots.predictions(self(*batch[:-1]), batch[-1])}
