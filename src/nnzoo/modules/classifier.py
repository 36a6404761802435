"""What classifiers share: cross-entropy, metrics, probabilities by the names of classes."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from nnzoo.data.facts import datamodule_of
from nnzoo.errors import InputError
from nnzoo.metrics.supervised import (
    PositiveAUROC,
    PositiveAveragePrecision,
    PositiveF1,
    PositivePrecision,
    PositiveRecall,
)
from nnzoo.modules.supervised import Batch, SupervisedModule
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.supervised import cross_entropy
from nnzoo.plots.supervised import confusion_matrix

ClassWeights = Literal["none", "balanced"]


class Classifier(SupervisedModule):
    """A network from inputs to class logits, trained by cross-entropy.

    Loss: mean over the batch of w_y * CE (see :func:`nnzoo.nets.supervised.cross_entropy`), plus
    ``l1 * sum |w| + l2 / 2 * sum w^2`` over weight matrices and kernels.

    Metrics: accuracy; macro-averaged precision, recall and F1; calibration error (15 bins, Guo et al. 2017,
    arXiv:1706.04599). Of two classes, precision, recall, F1, the area under the ROC curve and the average precision are
    those of the positive class, as in scikit-learn, and the averages over both are ``macro_precision``,
    ``macro_recall`` and ``macro_f1``. Labels must lie in 0 .. K - 1.

    Args:
        num_classes: Number of classes, K (the command line takes it from the data).
        classes: Their names (the command line takes them from the data).
        positive_class: Name of the positive one of two classes; the second if not given.
        label_smoothing: Share of the label that is spread evenly over all classes, in training only.
        class_weights: none | balanced: n / (K n_c) from the training part, so that all classes count the same.
        shared: What :class:`nnzoo.modules.supervised.SupervisedModule` takes.
    """

    class_weight: Tensor

    def __init__(
        self,
        *,
        num_classes: int = 10,
        classes: Sequence[str] = (),
        positive_class: str | None = None,
        label_smoothing: float = 0.0,
        class_weights: ClassWeights = "none",
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.register_buffer("class_weight", torch.ones(num_classes))
        self._ones: tuple[int, int] | None = None
        self.confusion = MulticlassConfusionMatrix(num_classes)

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        if hparams["num_classes"] < 2:
            raise InputError(
                f"A classifier needs two classes or more, the data have {hparams['num_classes']}: choose data with a "
                "class for each sample, such as a folder with a subfolder for each, or a column of classes."
            )
        if not 0 <= hparams["label_smoothing"] < 1:
            raise InputError(f"label_smoothing goes from 0 to below 1, got {hparams['label_smoothing']}.")
        if len(hparams["classes"]) not in (0, hparams["num_classes"]):
            raise InputError(f"There are {len(hparams['classes'])} names of classes for {hparams['num_classes']}.")
        positive = hparams["positive_class"]
        if positive is not None and (hparams["num_classes"] != 2 or positive not in hparams["classes"]):
            known = ", ".join(hparams["classes"]) or "classes without names"
            raise InputError(f"positive_class is one of two classes, these data have {known}: got {positive!r}.")

    @property
    def positive(self) -> int:
        """Number of the positive one of two classes."""
        name = self.hparams["positive_class"]
        return 1 if name is None else list(self.hparams["classes"]).index(name)

    def build_metrics(self, stage: str) -> MetricCollection:
        """Accuracy in training; all of them in validation and test."""
        classes = self.hparams["num_classes"]
        accuracy = {"accuracy": MulticlassAccuracy(classes, average="micro", validate_args=False)}
        macro = "macro_" if classes == 2 else ""
        further: dict[str, Metric | MetricCollection] = {
            f"{macro}f1": MulticlassF1Score(classes),
            f"{macro}precision": MulticlassPrecision(classes),
            f"{macro}recall": MulticlassRecall(classes),
            "calibration_error": MulticlassCalibrationError(classes),
        }
        if classes == 2:
            further |= {
                "f1": PositiveF1(self.positive),
                "precision": PositivePrecision(self.positive),
                "recall": PositiveRecall(self.positive),
                "auroc": PositiveAUROC(self.positive),
                "average_precision": PositiveAveragePrecision(self.positive),
            }
        return MetricCollection({**accuracy, **(further if stage != "train" else {})}, prefix=f"{stage}/")

    def setup(self, stage: str) -> None:
        """Takes balanced class weights from the training part; names the positive one of two classes."""
        if stage in ("fit", "test") and len(self.hparams["classes"]) == 2:
            rank_zero_info(
                f"precision, recall, f1, auroc and average_precision are of the class "
                f"{self.hparams['classes'][self.positive]} (--model.positive_class)"
            )
        if stage == "fit" and self.hparams["class_weights"] == "balanced":
            data = datamodule_of(self.trainer)
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
        ones = self._ones == version_of(self.class_weight)
        weights = None if ones and target.dim() == 1 else self.class_weight
        return cross_entropy(outputs, target, self.hparams["label_smoothing"], weights)

    def measured(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (B, K) and classes (B,)."""
        return at_least_float32(outputs).softmax(dim=1), target if target.dim() == 1 else target.argmax(dim=1)

    def measure(self, stage: str, *seen: Any) -> tuple[Tensor, Tensor]:
        """Counts the confusions of the test, too."""
        measured = super().measure(stage, *seen)
        if stage == "test":
            self.confusion.update(*measured)
        return measured

    def on_test_epoch_end(self) -> None:
        """Logs the metrics and keeps the confusion matrix (K, K), true classes in rows, as ``confusion_counts``."""
        super().on_test_epoch_end()
        self.confusion_counts = self.confusion.compute()  # on every device: it adds up their counts
        self.confusion.reset()

    def check_batch(self, batch: Batch) -> None:
        """Raises InputError if a label is not a class, or inputs are not finite."""
        super().check_batch(batch)
        # Weights of 1 change no bit, and take time.
        self._ones = version_of(self.class_weight) if (self.class_weight == 1).all() else None
        labels, classes = self.split(batch)[1], self.hparams["num_classes"]
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

    def prediction_columns(self, predictions: Sequence[Tensor], facts: Mapping[str, Any]) -> dict[str, Any]:
        """The most probable class, and the probability of each."""
        return class_columns(torch.cat(list(predictions)), facts.get("classes", ()))

    def figures(self, batch: Batch, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """The confusion matrix of the last test."""
        counts = getattr(self, "confusion_counts", None)
        classes = facts.get("classes", ())
        return {} if counts is None else {"confusion_matrix": confusion_matrix(counts, classes)}


def version_of(tensor: Tensor) -> tuple[int, int]:
    """What a tensor is known by until it is replaced or written to."""
    return id(tensor), tensor._version


def class_columns(probabilities: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    """Probabilities (N, K) as columns: the most probable class, then the probability of each."""
    names = list(classes) or [str(number) for number in range(probabilities.shape[1])]
    columns = {f"p({name})": column for name, column in zip(names, probabilities.T.numpy(), strict=True)}
    return {"predicted": [names[number] for number in probabilities.argmax(dim=1)], **columns}
