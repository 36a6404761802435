"""Simple forecasts of the same test windows, so that the table shows what the network is worth."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from nnzoo.baselines.base import Baselines, Scores, alone

MAX_VALUES = 20_480_000
"""The most values of histories, or of futures, in memory at a time: 82 MB of float32."""

Windows = Callable[[Sequence[int], int], tuple[NDArray[np.float32], NDArray[np.float32]]]


class ForecastBaselines(Baselines):
    """The module's own metrics of three forecasts, as ``baseline/NAME/METRIC``.

    naive repeats the last value, seasonal_naive the last season; ridge is a linear map of the standardised history,
    fitted in closed form (:class:`RidgeForecast`). A warning says so if a naive forecast is better than the module's.

    Args:
        max_windows: Fit and choose the ridge regression on at most so many windows of each part.
    """

    needs = ("windows", "batches")

    def __init__(self, max_windows: int = 20_000) -> None:
        self.max_windows = max_windows

    def scores(self, module: Any, data: Any) -> Scores:
        """Fits the ridge regression and measures the three on the module's own windows."""
        train, val = (partial(_windows, module, data, part, self.max_windows) for part in ("train", "val"))
        sizes = module.hparams["history"], module.num_columns
        ridge = RidgeForecast(module.hparams["target_columns"]).fit(train, val, *sizes)
        names = ("naive", "seasonal_naive", "ridge")
        metrics = {name: alone(module.build_metrics("test")).to(module.device) for name in names}
        for batch in data.batches("test"):
            batch = tuple(tensor.to(module.device) for tensor in batch)
            history, scale = batch[0], module.scale_of(*batch[:-1])
            of_target = scale.of(module.hparams["target_columns"])
            linear = torch.from_numpy(ridge.predict(scale.standardized(history).cpu().numpy())).to(history)
            forecasts = {
                "naive": module.naive(history, season=1),
                "seasonal_naive": module.naive(history, module.hparams["season"]),
                "ridge": of_target.original(linear),
            }
            for name, measured in metrics.items():
                module.add_forecasts(measured, forecasts[name], batch, of_target)
        found = {name: {key.removeprefix("test/"): float(value) for key, value in measured.compute().items()}
                 for name, measured in metrics.items()}  # fmt: skip
        # NaN: as MASE is without a scale, which the module leaves out too.
        return {name: {key: value for key, value in s.items() if not math.isnan(value)} for name, s in found.items()}

    def remark(self, own: Mapping[str, float]) -> str | None:
        """Says so if a naive forecast is better than the module's."""
        names = ("naive", "seasonal_naive")
        found = {name: own[f"baseline/{name}/mse"] for name in names if f"baseline/{name}/mse" in own}
        if not found or "test/mse" not in own:
            return None
        best = min(found, key=found.__getitem__)
        if own["test/mse"] <= found[best]:
            return None
        return (
            f"The {best.replace('_', '-')} forecast is better than the model (test MSE {found[best]:.4g} against "
            f"{own['test/mse']:.4g}): try another --model.instance_norm or --model.net linear, give more or longer "
            "series, or use that forecast."
        )


def _windows(
    module: Any, data: Any, part: str, limit: int, inputs: Sequence[int], target: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Standardised histories (n, H, inputs) of some columns and futures (n, horizon) of one."""
    limit = min(limit, MAX_VALUES // max(module.hparams["history"] * len(inputs), module.hparams["horizon"]) or 1)
    history, future, place, offset = (
        values.to(module.device) for values in data.windows(part, limit, inputs, [target])
    )
    scale = module.scaler(history, place[:, 0], offset, inputs)
    future = scale.of([list(inputs).index(target)]).standardized(future)
    return scale.standardized(history).cpu().numpy(), future[:, :, 0].cpu().numpy()


class RidgeForecast:
    """Ridge regressions (scikit-learn's, in closed form) from a history to each target's future.

    A target's last value is subtracted from its history and future. For each target, the history is its own or that of
    all columns, and the penalty one of five: whichever has the smaller squared error on the validation windows.

    Args:
        target_columns: Which of the D columns are forecast.
        max_features: The most values of a history that are used, as the closed form is cubic in them: all columns are
            tried only while they have no more, and of a longer history of its own a target sees the last steps.
    """

    ALPHAS = (1.0, 10.0, 100.0, 1000.0, 10_000.0)

    def __init__(self, target_columns: Sequence[int], max_features: int = 1024) -> None:
        self.target_columns, self.max_features = list(target_columns), max_features
        self.models: list[tuple[list[int], Ridge]] = []

    def fit(self, train: Windows, val: Windows, history: int, num_columns: int) -> "RidgeForecast":
        """Fits to the windows of ``train`` and chooses on those of ``val``.

        Both are functions, so that only what one regression needs is in memory at a time: of the numbers of the columns
        to read and the one to forecast they return histories (n, H, columns) and futures (n, horizon).

        Args:
            train: Windows of the training part.
            val: Windows of the validation part.
            history: Steps of a history, H.
            num_columns: Columns, D.
        """
        for target in self.target_columns:
            choices = [[target]]
            if 1 < num_columns <= self.max_features // history:
                choices.append(list(range(num_columns)))
            best = np.inf
            for columns in choices:
                (x, y), (x_val, y_val) = (
                    (self._features(past), future - past[:, -1:, columns.index(target)])
                    for past, future in (part(columns, target) for part in (train, val))
                )
                for alpha in self.ALPHAS:
                    model = Ridge(alpha=alpha).fit(x, y)
                    error = float(np.square(model.predict(x_val) - y_val).mean())
                    if error < best:
                        best, chosen = error, (columns, model)
            self.models.append(chosen)
        return self

    def predict(self, history: NDArray[np.float32]) -> NDArray[np.float32]:
        """Forecasts (n, horizon, C) of windows (n, H, D)."""
        futures = [
            model.predict(self._features(history[:, :, columns])) + history[:, -1:, target]
            for target, (columns, model) in zip(self.target_columns, self.models, strict=True)
        ]
        return np.stack(futures, axis=2).astype(np.float32)

    def _features(self, history: NDArray[np.float32]) -> NDArray[np.float32]:
        """Differences to the last values, (n, steps * columns), the last values' own zeros included."""
        chosen = history[:, -self.max_features :]
        return (chosen - chosen[:, -1:]).reshape(len(chosen), -1)
