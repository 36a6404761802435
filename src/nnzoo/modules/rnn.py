"""Recurrent networks from a sequence to a class or to a number."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import MetricCollection
from torchmetrics.regression import MeanSquaredError

from nnzoo.modules.classifier import Classifier, ClassWeights
from nnzoo.modules.optimizers import Schedule
from nnzoo.modules.recurrent import build_sequence_net, gradient_figure
from nnzoo.modules.regressor import Regressor
from nnzoo.nets.rnn import Cell


class SequenceClassifier(Classifier):
    """Classifies sequences by the last valid state of a recurrent network.

    Batches are values (B, T, D), lengths (B,) and classes (B,). Long sequences need their gradients clipped by global
    norm: ``--trainer.gradient_clip_val 1``.

    Args:
        num_inputs: Values per step, D (linked from the data).
        num_classes: Number of classes, K (linked from the data).
        classes: Their names (linked from the data).
        features: Names of the values of a step (linked from the data, as the next two).
        feature_mean: Their means in the training part, by which the network standardises them; none if empty.
        feature_std: Their standard deviations.
        cell: ``rnn`` (tanh), ``lstm`` or ``gru``.
        hidden_size: Units per layer and direction.
        num_layers: Recurrent layers.
        bidirectional: Whether to read each sequence backwards too.
        dropout: Share of the values dropped between recurrent layers.
        head_dropout: Share of the last state's values dropped before the linear layer.
        label_smoothing: Share of the target spread evenly over all classes.
        class_weights: none | balanced (every class counts the same).
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
        features: Sequence[str] = (),
        feature_mean: Sequence[float] = (),
        feature_std: Sequence[float] = (),
        cell: Cell = "lstm",
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        head_dropout: float = 0.0,
        label_smoothing: float = 0.0,
        class_weights: ClassWeights = "none",
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

    def build_net(self) -> nn.Module:
        """An encoder with a linear layer on its last valid state."""
        return build_sequence_net(self.hparams, self.hparams["num_classes"])

    def figures(self, batch: tuple[Tensor, ...], classes: Sequence[str]) -> dict[str, Figure]:
        """Confusion matrix, and the gradient norms over time."""
        return super().figures(batch, classes) | gradient_figure(self, batch)


class SequenceRegressor(Regressor):
    """Predicts a number from the last valid state of a recurrent network, such as the sum of the adding problem.

    Batches are values (B, T, D), lengths (B,) and numbers (B,). Besides RMSE, MAE and R^2 the mean squared error is
    measured, in the target's units squared.

    Args:
        num_inputs: Values per step, D (linked from the data).
        target_mean: Mean of the training part's targets (linked from the data).
        target_std: Their standard deviation (linked from the data).
        features: Names of the values of a step (linked from the data, as the next two).
        feature_mean: Their means in the training part, by which the network standardises them; none if empty.
        feature_std: Their standard deviations.
        cell: ``rnn`` (tanh), ``lstm`` or ``gru``.
        hidden_size: Units per layer and direction.
        num_layers: Recurrent layers.
        bidirectional: Whether to read each sequence backwards too.
        dropout: Share of the values dropped between recurrent layers.
        head_dropout: Share of the last state's values dropped before the linear layer.
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
        target_mean: float = 0.0,
        target_std: float = 1.0,
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

    def build_net(self) -> nn.Module:
        """An encoder with a linear layer on its last valid state."""
        return build_sequence_net(self.hparams, None)

    def build_metrics(self, stage: str) -> MetricCollection:
        """Adds the mean squared error, in which the adding problem is reported, in validation and test."""
        metrics = super().build_metrics(stage)
        if stage != "train":  # a collection lets it share RMSE's state, and a checkpoint within an epoch would miss it
            metrics.add_metrics({"mse": MeanSquaredError()})
        return metrics

    def figures(self, batch: tuple[Tensor, ...], classes: Sequence[str]) -> dict[str, Figure]:
        """Predictions beside the truth, and the gradient norms over time."""
        return super().figures(batch, classes) | gradient_figure(self, batch)
