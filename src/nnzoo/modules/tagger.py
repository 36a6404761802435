"""Recurrent networks from a sequence to a sequence of the same length: a class, or several labels, at each step."""

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassF1Score, MultilabelJaccardIndex

from nnzoo.errors import InputError
from nnzoo.metrics.means import STAGES, Perplexity, StageMeans
from nnzoo.modules.classifier import class_columns
from nnzoo.modules.optimizers import Schedule
from nnzoo.modules.recurrent import build_sequence_net, gradient_figure
from nnzoo.modules.supervised import Batch, SupervisedModule
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.rnn import Cell, step_losses
from nnzoo.plots import sequences as plots_sequence
from nnzoo.tokens import IGNORED


class SequenceTagger(SupervisedModule):
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
        num_inputs: Values per step, D (linked from the data).
        num_classes: Classes or labels, K (linked from the data).
        classes: Their names (linked from the data).
        multilabel: Whether several labels can be on at a step (linked from the data).
        features: Names of the values of a step (linked from the data, as the next two).
        feature_mean: Their means in the training part, by which the network standardises them; none if empty.
        feature_std: Their standard deviations.
        cell: ``rnn`` (tanh), ``lstm`` or ``gru``.
        hidden_size: Units per layer and direction.
        num_layers: Recurrent layers.
        bidirectional: Whether to read backwards too; not for data whose target is the next input, which it would see.
        dropout: Share of the values dropped between recurrent layers.
        head_dropout: Share of the states' values dropped before the linear layer.
        l1: Weight of sum |w|.
        l2: Weight of sum w^2 / 2.
        lr: Learning rate of AdamW.
        weight_decay: Decoupled weight decay of the weight matrices.
        lr_schedule: constant | cosine | linear.
        lr_warmup: Share of all steps during which the learning rate rises.
    """

    def __init__(
        self,
        *,
        num_inputs: int,
        num_classes: int,
        classes: Sequence[str] = (),
        multilabel: bool = False,
        features: Sequence[str] = (),
        feature_mean: Sequence[float] = (),
        feature_std: Sequence[float] = (),
        cell: Cell = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        head_dropout: float = 0.0,
        l1: float = 0.0,
        l2: float = 0.0,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: Schedule = "constant",
        lr_warmup: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.build()

    def build(self) -> None:
        """Checks the hyperparameters, then builds the network and the metrics."""
        if self.hparams["num_classes"] < 2:
            raise InputError("A tagger needs two classes or more at each step: choose data with such a target.")
        super().build()
        self.step_means = StageMeans({stage: ["nll", "accuracy"] for stage in STAGES})
        self.perplexities = nn.ModuleDict({f"{stage}_": Perplexity() for stage in STAGES})

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

    def _step(self, stage: str, batch: Batch, batch_idx: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        losses, (predicted, true) = super()._step(stage, batch, batch_idx)
        valid = valid_targets(batch[-1])
        right = predicted == true if true.dim() == 2 else (predicted == true).all(dim=1)
        steps = valid.sum(dim=1)
        accuracy = (right & valid).sum(dim=1) / steps
        self.step_means.update(stage, {"nll": losses, "accuracy": accuracy}, steps)
        self.perplexities[f"{stage}_"].update(losses.detach(), steps)  # type: ignore[operator]
        return losses, (predicted, true)

    def log_stage(self, stage: str) -> None:
        """Logs the mean loss, the means over all steps and the metrics."""
        super().log_stage(stage)
        self.step_means.log(self, stage)
        if not self.hparams["multilabel"]:
            self.log(f"{stage}/perplexity", self.perplexities[f"{stage}_"])  # type: ignore[arg-type]

    def check_batch(self, batch: Batch) -> None:
        """Raises InputError if a target is not among the classes, or inputs are not finite."""
        super().check_batch(batch)
        inputs, lengths, target = batch
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

    def predict_step(self, batch: Batch, batch_idx: int) -> list[Tensor]:
        """Probabilities at the valid steps of each sequence, each (T_i, K)."""
        inputs, lengths, _ = batch
        return [steps[:length] for steps, length in zip(self(inputs, lengths), lengths.tolist(), strict=True)]

    def prediction_columns(self, predictions: Sequence[list[Tensor]], classes: Sequence[str]) -> dict[str, Any]:
        """A row for each step of each sequence: its class, or the labels that are on, and the probability of each."""
        probabilities = torch.cat([steps for batch in predictions for steps in batch])
        columns = class_columns(probabilities, classes)
        if self.hparams["multilabel"]:
            on = [[name for name, is_on in zip(classes, row, strict=True) if is_on] for row in probabilities > 0.5]
            columns["predicted"] = [" ".join(names) for names in on]
        return columns

    def figures(self, batch: Batch, classes: Sequence[str]) -> dict[str, Figure]:
        """A held-out sequence with truth and prediction, and the gradient norms over time."""
        inputs, lengths, target = batch
        steps = int(lengths[0])
        truth = target[0, :steps]
        if not self.hparams["multilabel"]:
            truth = torch.nn.functional.one_hot(truth, self.hparams["num_classes"])
        names = self.hparams["features"], classes
        tags = plots_sequence.tags(inputs[0, :steps], truth, self(inputs[:1, :steps])[0], *names)
        return {"tags": tags} | gradient_figure(self, batch)


def valid_targets(target: Tensor) -> Tensor:
    """Which steps of a target (B, T) or (B, T, K) count: (B, T)."""
    return (target if target.dim() == 2 else target[..., 0]) != IGNORED
