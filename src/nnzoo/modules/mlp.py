"""Multilayer perceptrons of tables; without hidden layers, linear and logistic regression."""

from collections.abc import Sequence

from torch import nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.modules.classifier import Classifier, ClassWeights
from nnzoo.modules.optimizers import Schedule
from nnzoo.modules.regressor import Regressor
from nnzoo.nets.layers import Activation
from nnzoo.nets.mlp import Norm, TabularMLP


class MLPClassifier(Classifier):
    """Multilayer perceptron classifier of a table's rows; with ``hidden`` [] it is multinomial logistic regression.

    The loss is the mean cross-entropy plus ``l1 * sum |w| + l2 / 2 * sum w^2`` without the biases. scikit-learn's
    ``LogisticRegression(C=C)`` of n samples is ``hidden=[], l2=1/(C n)``. A batch is numbers (B, N), codes of the
    categories (B, C), classes (B,). To use another network, override :meth:`build_net`.

    Args:
        num_numeric: Number of numeric columns, N (the command line takes it from the data).
        cardinalities: Categories of each categorical column (the command line takes it from the data).
        num_classes: Number of classes (the command line takes it from the data).
        classes: Their names (the command line takes them from the data).
        preprocessing: Fingerprint of how the data turn columns into numbers, so that no others are taken for the same
            (the command line takes it from the data).
        hidden: Widths of the hidden layers.
        activation: relu | leaky_relu | silu | gelu | tanh.
        norm: none | batch | layer.
        dropout: Share of activations set to 0 in training.
        label_smoothing: Share of the label that is spread over all classes, in training only.
        class_weights: none | balanced, so that all classes count the same in training.
        l1: Factor of the L1 penalty on the weights.
        l2: Factor of the L2 penalty on the weights.
        lr: Learning rate of AdamW.
        weight_decay: Decoupled weight decay, not applied to biases; under AdamW this is not an L2 penalty.
        lr_schedule: constant | cosine | linear.
        lr_warmup: Share of all steps during which the learning rate rises from 0.

    Raises:
        InputError: If a value is out of range.
    """

    def __init__(
        self,
        *,
        num_numeric: int = 64,
        cardinalities: Sequence[int] = (),
        num_classes: int = 10,
        classes: Sequence[str] = (),
        preprocessing: str = "",
        hidden: Sequence[int] = (128, 128),
        activation: Activation = "relu",
        norm: Norm = "none",
        dropout: float = 0.0,
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
        """A network from (numbers (B, N), codes (B, C)) to logits (B, K)."""
        return tabular_mlp(self, self.hparams["num_classes"])


class MLPRegressor(Regressor):
    """Multilayer perceptron regressor of a table's rows; with ``hidden`` [] it is linear regression.

    The loss is the mean squared error of the standardised target plus ``l1 * sum |w| + l2 / 2 * sum w^2`` without the
    biases. scikit-learn's ``Ridge(alpha)`` of n samples is ``hidden=[], l2=2 alpha / n``. Metrics and predictions are
    in the target's own units. A batch is numbers (B, N), codes of the categories (B, C), targets (B,).
    To use another network, override :meth:`build_net`.

    Args:
        num_numeric: Number of numeric columns, N (the command line takes it from the data).
        cardinalities: Categories of each categorical column (the command line takes it from the data).
        target_mean: Mean of the training targets (the command line takes it from the data).
        target_std: Standard deviation of the training targets (the command line takes it from the data).
        preprocessing: Fingerprint of how the data turn columns into numbers, so that no others are taken for the same
            (the command line takes it from the data).
        hidden: Widths of the hidden layers.
        activation: relu | leaky_relu | silu | gelu | tanh.
        norm: none | batch | layer.
        dropout: Share of activations set to 0 in training.
        l1: Factor of the L1 penalty on the weights.
        l2: Factor of the L2 penalty on the weights.
        lr: Learning rate of AdamW.
        weight_decay: Decoupled weight decay, not applied to biases; under AdamW this is not an L2 penalty.
        lr_schedule: constant | cosine | linear.
        lr_warmup: Share of all steps during which the learning rate rises from 0.

    Raises:
        InputError: If a value is out of range.
    """

    def __init__(
        self,
        *,
        num_numeric: int = 10,
        cardinalities: Sequence[int] = (),
        target_mean: float = 0.0,
        target_std: float = 1.0,
        preprocessing: str = "",
        hidden: Sequence[int] = (128, 128),
        activation: Activation = "relu",
        norm: Norm = "none",
        dropout: float = 0.0,
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
        """A network from (numbers (B, N), codes (B, C)) to the standardised target (B,)."""
        return tabular_mlp(self, 0)


def tabular_mlp(module: MLPClassifier | MLPRegressor, num_outputs: int) -> TabularMLP:
    """The network that a module's hyperparameters describe.

    Raises:
        InputError: If a size is not positive, or ``dropout`` is no share.
    """
    hparams = module.hparams
    check_sizes(hidden=hparams["hidden"])
    if not 0 <= hparams["dropout"] < 1:
        raise InputError(f"dropout is a share, from 0 to below 1, got {hparams['dropout']}: set --model.dropout.")
    names = ("hidden", "activation", "norm", "dropout")
    return TabularMLP(hparams["num_numeric"], hparams["cardinalities"], num_outputs, *(hparams[name] for name in names))
