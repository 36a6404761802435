"""Recurrent networks from a sequence to a class or to a number."""

from torch import nn
from torchmetrics import MetricCollection
from torchmetrics.regression import MeanSquaredError

from nnzoo.modules.classifier import Classifier
from nnzoo.modules.recurrent import RecurrentModule, build_sequence_net
from nnzoo.modules.regressor import Regressor


class SequenceClassifier(RecurrentModule, Classifier):
    """Classifies sequences by the last valid state of a recurrent network.

    Batches are values (B, T, D), lengths (B,) and classes (B,). To use another network, override :meth:`build_net`.
    """

    def build_net(self) -> nn.Module:
        """An encoder with a linear layer on its last valid state."""
        return build_sequence_net(self.hparams, self.hparams["num_classes"])


class SequenceRegressor(RecurrentModule, Regressor):
    """Predicts a number from the last valid state of a recurrent network, such as the sum of the adding problem.

    Batches are values (B, T, D), lengths (B,) and numbers (B,). Besides RMSE, MAE and R^2 the mean squared error is
    measured, in the target's units squared. To use another network, override :meth:`build_net`.
    """

    def build_net(self) -> nn.Module:
        """An encoder with a linear layer on its last valid state."""
        return build_sequence_net(self.hparams, None)

    def build_metrics(self, stage: str) -> MetricCollection:
        """Adds the mean squared error, in which the adding problem is reported, in validation and test."""
        metrics = super().build_metrics(stage)
        if stage != "train":  # a collection lets it share RMSE's state, and a checkpoint within an epoch would miss it
            metrics.add_metrics({"mse": MeanSquaredError()})
        return metrics
