"""scikit-learn's models on the same samples, so that the run's own table shows what the network is worth."""

from collections.abc import Mapping
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Arrays = tuple[NDArray[Any], NDArray[Any]]


class SupervisedBaselines(Callback):
    """A linear model, a multilayer perceptron and gradient boosting by scikit-learn, as ``baseline/NAME/METRIC``.

    All have scikit-learn's default settings (the perceptron 1,000 iterations), see the module's own inputs (categories
    as their codes, images as rows of pixels) and are fitted on the training and the validation part together: they
    choose nothing on the latter.
    """

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Fits and logs the baselines."""
        if not trainer.is_global_zero:
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        rank_zero_info("Fitting the baselines ...")
        train, val, test = (data.arrays(part) for part in ("train", "val", "test"))
        inputs, target = (np.concatenate(both) for both in zip(train, val, strict=True))
        for name, metrics in supervised_baselines((inputs, target), test, data.task).items():
            for metric, value in metrics.items():
                pl_module.log(f"baseline/{name}/{metric}", value, rank_zero_only=True)


def supervised_baselines(train: Arrays, test: Arrays, task: str) -> Mapping[str, Mapping[str, float]]:
    """Metrics on ``test`` of scikit-learn's models fitted on ``train``."""
    models: dict[str, Any]
    if task == "classification":
        models = {
            "sklearn_linear": LogisticRegression(max_iter=5000),
            "sklearn_mlp": MLPClassifier(max_iter=1000, random_state=0),
            "sklearn_boosting": HistGradientBoostingClassifier(random_state=0, early_stopping=False),
        }
    else:
        models = {
            "sklearn_linear": Ridge(),
            "sklearn_mlp": MLPRegressor(max_iter=1000, random_state=0),
            "sklearn_boosting": HistGradientBoostingRegressor(random_state=0, early_stopping=False),
        }
    models["sklearn_linear"] = make_pipeline(StandardScaler(), models["sklearn_linear"])
    metrics = {}
    for name, model in models.items():
        try:
            metrics[name] = scores(test[1], model.fit(*train).predict(test[0]), task)
        except ValueError as error:  # such as a single class in the training rows
            rank_zero_warn(f"{name} could not be fitted: {error}")
    return metrics


def scores(target: NDArray[Any], predicted: NDArray[Any], task: str) -> Mapping[str, float]:
    """The module's metrics, by scikit-learn."""
    if task == "classification":
        return {"accuracy": accuracy_score(target, predicted), "f1": f1_score(target, predicted, average="macro")}
    return {
        "rmse": root_mean_squared_error(target, predicted),
        "mae": mean_absolute_error(target, predicted),
        "r2": r2_score(target, predicted),
    }
