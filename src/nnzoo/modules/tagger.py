"""Recurrent networks from a sequence to a sequence of the same length: a class, or several labels, at each step."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassF1Score, MultilabelJaccardIndex

from nnzoo.errors import InputError
from nnzoo.metrics.means import STAGES, Perplexity, PerStage, StageMeans
from nnzoo.modules.classifier import class_columns
from nnzoo.modules.recurrent import RecurrentModule, build_sequence_net
from nnzoo.modules.supervised import Batch
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.rnn import SequenceEncoder, step_losses
from nnzoo.plots import sequences as plots
from nnzoo.tokens import IGNORED


class SequenceTagger(RecurrentModule):
    """Predicts a class at each step, or with ``multilabel`` which of K labels are on, such as the keys of a chord.

    Batches are values (B, T, D), lengths (B,) and targets: classes (B, T) or labels (B, T, K), ``IGNORED`` after a
    sequence's end. The negative log-likelihood of a step is the cross-entropy, or the sum over the labels of the binary
    ones, in nats.

    Loss: mean over the batch of each sequence's mean over its valid steps, so that every sequence counts the same.

    Metrics: ``nll``, the total over all steps divided by their number, so that every step counts the same, as in the
    published numbers of the chorales (arXiv:1803.01271; the first step of a piece is given, not scored); ``accuracy``
    over all steps (of labels: a step is right if all are); for classes ``perplexity``, exp(nll), and macro ``f1``; for
    labels ``overlap``, TP / (TP + FP + FN) over all steps and labels (the "accuracy" of arXiv:1206.6392).

    Args:
        num_classes: Classes or labels, K (the command line takes it from the data).
        classes: Their names (the command line takes them from the data).
        multilabel: Whether several labels can be on at a step (the command line takes it from the data).
        shared: What :class:`nnzoo.modules.recurrent.RecurrentModule` takes.
    """

    def __init__(
        self, *, num_classes: int, classes: Sequence[str] = (), multilabel: bool = False, **shared: Any
    ) -> None:
        super().__init__(**shared)
        self.step_means = StageMeans({stage: ["nll", "accuracy"] for stage in STAGES})
        self.perplexities = PerStage(lambda stage: Perplexity())

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        if self.hparams["num_classes"] < 2:
            raise InputError("A tagger needs two classes or more at each step: choose data with such a target.")

    def build_net(self) -> nn.Module:
        """An encoder with a linear layer on the state of each step."""
        return build_sequence_net(self.hparams, self.hparams["num_classes"], per_step=True)

    def build_metrics(self, stage: str) -> MetricCollection:
        """Macro F1 of the classes, or overlap of the labels, in validation and test."""
        classes = self.hparams["num_classes"]
        metrics: dict[str, Metric | MetricCollection] = {}
        if stage != "train" and self.hparams["multilabel"]:
            metrics = {"overlap": MultilabelJaccardIndex(classes, average="micro", ignore_index=IGNORED)}
        elif stage != "train":
            metrics = {"f1": MulticlassF1Score(classes, ignore_index=IGNORED)}
        return MetricCollection(metrics, prefix=f"{stage}/")

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Mean negative log-likelihood of each sequence's valid steps (B,), in nats."""
        return step_losses(outputs, target, IGNORED).sum(dim=1) / valid_targets(target).sum(dim=1)

    def measured(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Predicted and true classes (B, T), or labels (B, K, T)."""
        if self.hparams["multilabel"]:
            return (outputs > 0).int().transpose(1, 2), target.int().transpose(1, 2)
        return outputs.argmax(dim=2), target

    def measure(
        self, stage: str, outputs: Tensor, target: Tensor, losses: Tensor, batch: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Adds the means over steps, too."""
        predicted, true = super().measure(stage, outputs, target, losses, batch)
        valid = valid_targets(target)
        right = predicted == true if true.dim() == 2 else (predicted == true).all(dim=1)
        steps = valid.sum(dim=1)
        accuracy = (right & valid).sum(dim=1) / steps
        self.step_means.update(stage, {"nll": losses, "accuracy": accuracy}, steps)
        self.perplexities[stage].update(losses, steps)
        return predicted, true

    def log_stage(self, stage: str) -> None:
        """Logs the mean loss, the means over all steps and the metrics."""
        super().log_stage(stage)
        self.step_means.log(self, stage)
        if not self.hparams["multilabel"]:
            self.log(f"{stage}/perplexity", self.perplexities[stage])

    def check_batch(self, batch: Batch) -> None:
        """Raises InputError if a target is not among the classes, or inputs are not finite."""
        super().check_batch(batch)
        inputs, *given, target = batch
        lengths = given[0] if given else torch.full((len(inputs),), inputs.shape[1])
        classes, first = self.hparams["num_classes"], int(lengths[0])
        comparable = inputs.shape == target.shape and first > 1
        if self.hparams["bidirectional"] and comparable and torch.equal(inputs[0, 1:first], target[0, : first - 1]):
            raise InputError("The target is the next input, which a bidirectional network sees: read one way only.")
        if (target.dim() == 3) != self.hparams["multilabel"]:
            raise InputError(
                "The targets do not fit: labels (B, T, K) need multilabel, classes (B, T) must not have it."
            )
        limit = 1 if self.hparams["multilabel"] else classes - 1
        valid = target[target != IGNORED]
        if valid.min() < 0 or valid.max() > limit:
            raise InputError(f"Targets must lie in 0 .. {limit}, got {int(valid.min())} .. {int(valid.max())}.")

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Probabilities of the classes, or of each label by itself, at each step (B, T, K); noise past the end.

        Args:
            inputs: (B, T, D).
            lengths: Valid steps of each sequence (B,); all T if None.
        """
        logits = at_least_float32(self.net(inputs, lengths))
        return logits.sigmoid() if self.hparams["multilabel"] else logits.softmax(dim=2)

    def predict_step(self, batch: Any, batch_idx: int) -> list[Tensor]:
        """Probabilities at the valid steps of each sequence, each (T_i, K)."""
        steps = super().predict_step(batch, batch_idx)
        inputs = [batch] if isinstance(batch, Tensor) else batch[:-1] if self.has_target(batch) else batch
        if len(inputs) == 1:
            return list(steps)
        return [valid[:length] for valid, length in zip(steps, inputs[1].tolist(), strict=True)]

    def has_target(self, batch: Sequence[Tensor]) -> bool:
        """A batch of values, or of values and lengths (B,), has none."""
        return len(batch) > 1 and batch[-1].dim() > 1

    def prediction_columns(self, predictions: Sequence[list[Tensor]], facts: Mapping[str, Any]) -> dict[str, Any]:
        """A row for each step of each sequence: its class, or the labels that are on, and the probability of each."""
        probabilities = torch.cat([steps for batch in predictions for steps in batch])
        columns = class_columns(probabilities, facts.get("classes", ()))
        if self.hparams["multilabel"]:
            names = [name.removeprefix("p(").removesuffix(")") for name in columns if name != "predicted"]
            on = [[name for name, is_on in zip(names, row, strict=True) if is_on] for row in probabilities > 0.5]
            columns["predicted"] = [" ".join(names) for names in on]
        return columns

    def figures(self, batch: Batch, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """A held-out sequence with truth and prediction, and the gradient norms over time."""
        inputs, *given, target = batch
        steps = int(given[0][0]) if given else inputs.shape[1]
        truth = target[0, :steps]
        if not self.hparams["multilabel"]:
            truth = torch.nn.functional.one_hot(truth, self.hparams["num_classes"])
        seen = inputs[:1, :steps]
        encoder: Any = getattr(self.net, "encoder", None)
        scaled = isinstance(encoder, SequenceEncoder) and len(self.hparams["feature_mean"]) > 0
        shown = encoder.standardized(seen)[0] if scaled else seen[0]  # features of any unit on one scale
        names = self.hparams["features"], facts.get("classes", ())
        tags = plots.tags(shown, truth, self(seen)[0], *names, scale="standardised" if scaled else "")
        return {"tags": tags} | super().figures(batch, facts)


def valid_targets(target: Tensor) -> Tensor:
    """Which steps of a target (B, T) or (B, T, K) count: (B, T)."""
    return (target if target.dim() == 2 else target[..., 0]) != IGNORED
