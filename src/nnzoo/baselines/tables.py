"""scikit-learn's models on the same samples, so that the run's own table shows what the network is worth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from nnzoo.baselines.base import Baselines, Scores, fitting, subset_note
from nnzoo.errors import check_sizes

Arrays = tuple[NDArray[Any], NDArray[Any]]
MAX_CATEGORIES = 255
"""What scikit-learn's boosting takes; columns of more are numbers to it."""
WIDE, FEW_BINS = 256, 32
"""Of more columns, such as pixels, boosting makes so few bins: as accurate on MNIST as 255, and 2.6 times as fast."""


class SupervisedBaselines(Baselines):
    """A linear model, a multilayer perceptron and gradient boosting by scikit-learn, as ``baseline/NAME/METRIC``.

    All have scikit-learn's default settings (the perceptron 1,000 iterations, and a standardised target where three
    folds of cross-validation say so), see the module's own inputs (categories one-hot, for boosting as categories;
    images as rows of pixels) and are fitted on the training and the validation part together.

    Args:
        max_values: Fit on rows chosen at random where rows times columns times classes are more than that; the table
            says so. 2**26 are 8,559 images of MNIST, and a minute or two on a CPU.
    """

    needs = ("arrays", "task")
    itemised = True

    def __init__(self, max_values: int = 2**26) -> None:
        check_sizes(max_values=max_values)
        self.max_values = max_values

    def scores(self, module: Any, data: Any) -> Scores:
        """Fits all and measures them on the test part."""
        train, val, test = (data.arrays(part) for part in ("train", "val", "test"))
        inputs, target = (np.concatenate(both) for both in zip(train, val, strict=True))
        models = len(np.unique(target)) if data.task == "classification" else 1
        rows = chosen_rows(len(inputs), max(1, self.max_values // (inputs.shape[1] * models)))
        self.notes = subset_note("sklearn_*", len(rows), len(inputs))
        fitted = (inputs[rows], target[rows])
        categorical = getattr(data, "categorical_columns", [])
        return supervised_baselines(fitted, test, data.task, categorical, getattr(module, "positive", 1))


def chosen_rows(size: int, most: int) -> NDArray[np.int64]:
    """All of ``size`` rows in their order, or ``most`` of them chosen at random, always the same."""
    return np.arange(size) if size <= most else np.random.default_rng(0).choice(size, most, replace=False)


def supervised_baselines(
    train: Arrays, test: Arrays, task: str, categorical: Sequence[int] = (), positive: int = 1
) -> Scores:
    """Metrics on ``test`` of scikit-learn's models fitted on ``train``.

    Args:
        train: Inputs and targets.
        test: Inputs and targets.
        task: classification or regression.
        categorical: Columns of codes.
        positive: Number of the positive one of two classes.
    """
    few = [column for column in categorical if train[0][:, column].max() < MAX_CATEGORIES]
    settings: dict[str, Any] = {"random_state": 0, "early_stopping": False, "categorical_features": few or None}
    if train[0].shape[1] > WIDE and not few:  # each category needs a bin of its own
        settings["max_bins"] = FEW_BINS
    models: dict[str, Any]
    if task == "classification":
        models = {
            "sklearn_linear": LogisticRegression(max_iter=5000),
            "sklearn_mlp": MLPClassifier(max_iter=1000, random_state=0),
            "sklearn_boosting": HistGradientBoostingClassifier(**settings),
        }
    else:
        perceptron = TransformedTargetRegressor(MLPRegressor(max_iter=1000, random_state=0))
        models = {
            "sklearn_linear": Ridge(),
            "sklearn_mlp": GridSearchCV(perceptron, {"transformer": [None, StandardScaler()]}, cv=3),
            "sklearn_boosting": HistGradientBoostingRegressor(**settings),
        }
    one_hot = [("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(categorical))]
    models["sklearn_linear"] = make_pipeline(
        ColumnTransformer(one_hot, remainder=StandardScaler()), models["sklearn_linear"]
    )
    models["sklearn_mlp"] = make_pipeline(ColumnTransformer(one_hot, remainder="passthrough"), models["sklearn_mlp"])
    metrics = {}
    for name, model in models.items():
        try:
            with fitting(name):
                metrics[name] = scores_of(test, model.fit(*train), task, positive)
        except ValueError as error:  # such as a single class in the training rows
            rank_zero_warn(f"{name} could not be fitted: {error}")
    return metrics


def scores_of(test: Arrays, model: Any, task: str, positive: int = 1) -> Mapping[str, float]:
    """The module's metrics of a fitted model, by scikit-learn."""
    (inputs, target), predicted = test, model.predict(test[0])
    if task == "classification":
        found = {"accuracy": accuracy_score(target, predicted), "f1": f1_score(target, predicted, average="macro")}
        if len(model.classes_) == len(np.unique(target)) == 2:
            shares = model.predict_proba(inputs)[:, positive]
            found["macro_f1"], found["f1"] = found["f1"], f1_score(target == positive, predicted == positive)
            found["auroc"] = roc_auc_score(target == positive, shares)
            found["average_precision"] = average_precision_score(target == positive, shares)
        return found
    return {
        "rmse": root_mean_squared_error(target, predicted),
        "mae": mean_absolute_error(target, predicted),
        "r2": r2_score(target, predicted),
    }
