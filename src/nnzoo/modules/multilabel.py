"""What classifiers share of which a sample may have several labels: binary cross-entropy, metrics, probabilities."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    MultilabelAUROC,
    MultilabelAveragePrecision,
    MultilabelExactMatch,
    MultilabelF1Score,
    MultilabelHammingDistance,
)

from nnzoo.data.facts import datamodule_of
from nnzoo.errors import InputError
from nnzoo.modules.classifier import ClassWeights
from nnzoo.modules.supervised import Batch, SupervisedModule
from nnzoo.nets.precision import at_least_float32
from nnzoo.plots.supervised import label_shares


class MultilabelClassifier(SupervisedModule):
    """A network from inputs to K logits, of which each says whether a label is on; trained by binary cross-entropy.

    Loss: mean over the batch of the mean over the labels of -w_k y log p - (1 - y) log(1 - p), plus the penalties.

    Metrics: accuracy, the share of samples all of whose labels are right; in validation and test also macro and micro
    F1 (a label is predicted if p > 0.5), the share of wrong labels (``hamming``), and macro averages of the area under
    the ROC curve and of the average precision.

    Args:
        num_classes: Number of labels, K (the command line takes it from the data).
        classes: Their names (the command line takes them from the data).
        class_weights: none | balanced: w_k = (n - n_k) / n_k from the training part, so that yes and no count the same.
        shared: What :class:`nnzoo.modules.supervised.SupervisedModule` takes.
    """

    class_weight: Tensor

    def __init__(
        self, *, num_classes: int = 10, classes: Sequence[str] = (), class_weights: ClassWeights = "none", **shared: Any
    ) -> None:
        super().__init__(**shared)
        self.register_buffer("class_weight", torch.ones(num_classes))

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        if hparams["num_classes"] < 1:
            raise InputError("There are no labels: choose data with labels for each sample.")
        if len(hparams["classes"]) not in (0, hparams["num_classes"]):
            raise InputError(f"There are {len(hparams['classes'])} names of labels for {hparams['num_classes']}.")

    def build_metrics(self, stage: str) -> MetricCollection:
        """Accuracy in training; all of them in validation and test."""
        labels = self.hparams["num_classes"]
        metrics: dict[str, Metric | MetricCollection] = {"accuracy": MultilabelExactMatch(labels)}
        if stage != "train":
            metrics |= {
                "f1": MultilabelF1Score(labels),
                "micro_f1": MultilabelF1Score(labels, average="micro"),
                "hamming": MultilabelHammingDistance(labels),
                "auroc": MultilabelAUROC(labels),
                "average_precision": MultilabelAveragePrecision(labels),
            }
        return MetricCollection(metrics, prefix=f"{stage}/")

    def setup(self, stage: str) -> None:
        """Takes balanced weights from the training part."""
        super().setup(stage)
        if stage == "fit" and self.hparams["class_weights"] == "balanced":
            data = datamodule_of(self.trainer)
            if data is None:
                raise InputError("class_weights balanced needs a datamodule with class_weights, such as nnzoo's own.")
            self.class_weight = data.class_weights.to(self.class_weight)

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Binary cross-entropy (B,), mean over the labels, in nats; weighted in training alone."""
        weight = self.class_weight if self.training else None
        logits = at_least_float32(outputs)
        return F.binary_cross_entropy_with_logits(logits, target, pos_weight=weight, reduction="none").mean(dim=1)

    def measured(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (B, K) and labels (B, K)."""
        return at_least_float32(outputs).sigmoid(), target.int()

    def check_batch(self, batch: Batch) -> None:
        """Raises InputError if a label is neither 0 nor 1, or inputs are not finite."""
        super().check_batch(batch)
        labels, count = self.split(batch)[1], self.hparams["num_classes"]
        if labels.dim() != 2 or labels.shape[1] != count or not ((labels == 0) | (labels == 1)).all():
            raise InputError(f"Labels must be 0 or 1, of shape (B, {count}), got shape {tuple(labels.shape)}.")

    def logits(self, *inputs: Tensor) -> Tensor:
        """Scores (B, K) before the sigmoid."""
        return at_least_float32(self.outputs(*inputs))

    def forward(self, *inputs: Tensor) -> Tensor:
        """Probability (B, K) of each label."""
        return self.logits(*inputs).sigmoid()

    def prediction_columns(self, predictions: Sequence[Tensor], facts: Mapping[str, Any]) -> dict[str, Any]:
        """The labels that are predicted, and the probability of each."""
        return label_columns(torch.cat(list(predictions)), facts.get("classes", ()))

    def figures(self, batch: Batch, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """How often each label is there, is predicted, and is right."""
        inputs, labels = self.split(batch)
        return {"labels": label_shares(self(*inputs) > 0.5, labels > 0.5, facts.get("classes", ()))}


def label_columns(probabilities: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Probabilities (N, K) as columns: the labels above 0.5, joined by a semicolon, then the probability of each."""
    names = list(classes) or [str(number) for number in range(probabilities.shape[1])]
    columns = {f"p({name})": column for name, column in zip(names, probabilities.T.numpy(), strict=True)}
    chosen = ["; ".join(names[k] for k in row.nonzero()[:, 0].tolist()) for row in probabilities > 0.5]
    return {"predicted": chosen, **columns}
