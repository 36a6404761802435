"""Multilayer perceptrons of tables; without hidden layers, linear and logistic regression."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.modules.classifier import Classifier
from nnzoo.modules.regressor import Regressor
from nnzoo.modules.tables import TableModule
from nnzoo.nets.layers import Activation
from nnzoo.nets.mlp import Norm, TabularMLP


class TablePerceptron(TableModule):
    """A multilayer perceptron on a table's rows.

    Args:
        hidden: Widths of the hidden layers.
        activation: relu | leaky_relu | silu | gelu | tanh.
        norm: none | batch | layer.
        dropout: Share of activations set to 0 in training.
        shared: What :class:`nnzoo.modules.tables.TableModule` and the base class of the task take.

    Raises:
        InputError: If a value is out of range.
    """

    def __init__(
        self,
        *,
        hidden: Sequence[int] = (128, 128),
        activation: Activation = "relu",
        norm: Norm = "none",
        dropout: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        check_sizes(hidden=self.hparams["hidden"])
        if not 0 <= self.hparams["dropout"] < 1:
            raise InputError(
                f"dropout is a share, from 0 to below 1, got {self.hparams['dropout']}: set --model.dropout."
            )

    @property
    def num_outputs(self) -> int:
        """Values that the network gives for a row; 0 for a single number without a dimension of its own."""
        return 0

    def build_net(self) -> nn.Module:
        """A network from (numbers (B, N), codes (B, C)) to ``num_outputs`` values."""
        names = ("hidden", "activation", "norm", "dropout")
        sizes = self.hparams["num_numeric"], self.hparams["cardinalities"], self.num_outputs
        return TabularMLP(*sizes, *(self.hparams[name] for name in names))


class MLPClassifier(TablePerceptron, Classifier):
    """Multilayer perceptron classifier of a table's rows; with ``hidden`` [] it is multinomial logistic regression.

    The loss is the mean cross-entropy plus ``l1 * sum |w| + l2 / 2 * sum w^2`` without the biases. scikit-learn's
    ``LogisticRegression(C=C)`` of n samples is ``hidden=[], l2=1/(C n)``. To use another network, override
    :meth:`build_net`: from (numbers, codes) to logits (B, K).
    """

    @property
    def num_outputs(self) -> int:
        """One logit for each class."""
        return self.hparams["num_classes"]


class MLPRegressor(TablePerceptron, Regressor):
    """Multilayer perceptron regressor of a table's rows; with ``hidden`` [] it is linear regression.

    The loss is the mean squared error of the standardised target plus ``l1 * sum |w| + l2 / 2 * sum w^2`` without the
    biases. scikit-learn's ``Ridge(alpha)`` of n samples is ``hidden=[], l2=2 alpha / n``. Metrics and predictions are
    in the target's own units. To use another network, override :meth:`build_net`: from (numbers, codes) to the
    standardised target (B,).
    """
