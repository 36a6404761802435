"""Simple forecasts of the same test windows, so that the table shows what the network is worth."""

from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from torch import Tensor


class ForecastBaselines(Callback):
    """The module's own metrics of three forecasts, as ``baseline/NAME/METRIC``.

    naive repeats the last value, seasonal_naive the last season; ridge is a linear map of the standardised history,
    fitted in closed form (:class:`RidgeForecast`).

    Args:
        max_windows: Fit and choose the ridge regression on at most so many windows of each part.
    """

    def __init__(self, max_windows: int = 20_000) -> None:
        self.max_windows = max_windows

    def on_test_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Fits the ridge regression."""
        self._metrics: dict[str, Any] = {}
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if not hasattr(data, "windows"):
            rank_zero_warn("There are no baselines without nnzoo's ForecastDataModule.")
            return
        rank_zero_info("Fitting the baselines ...")
        parts = []
        for part in ("train", "val"):
            history, target = data.windows(part, self.max_windows)
            parts.append((_standardized(pl_module, history), _standardized(pl_module, target, targets=True)))
        self._ridge = RidgeForecast(pl_module.hparams["target_columns"]).fit(*parts)
        names = ("naive", "seasonal_naive", "ridge")
        self._metrics = {name: pl_module.build_metrics("test").to(pl_module.device) for name in names}

    def on_test_batch_end(
        self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Measures the three on the module's own windows."""
        if not self._metrics:
            return
        history, target = batch
        linear = torch.from_numpy(self._ridge.predict(_standardized(pl_module, history))).to(history)
        forecasts = {
            "naive": pl_module.naive(history, season=1),
            "seasonal_naive": pl_module.naive(history, pl_module.hparams["season"]),
            "ridge": pl_module.original(linear),
        }
        for name, metrics in self._metrics.items():
            metrics.update(forecasts[name], target)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Logs the baselines."""
        for baseline, metrics in self._metrics.items():
            for name, value in metrics.compute().items():
                pl_module.log(f"baseline/{baseline}/{name.removeprefix('test/')}", value, rank_zero_only=True)


def _standardized(module: Any, values: Tensor, targets: bool = False) -> NDArray[np.float32]:
    columns = module.hparams["target_columns"] if targets else slice(None)
    return ((values.to(module.device) - module.column_mean[columns]) / module.column_std[columns]).cpu().numpy()


class RidgeForecast:
    """Ridge regressions (scikit-learn's, in closed form) from a history to each target's future.

    A target's last value is subtracted from its history and future. For each target, the history is its own or that of
    all columns, and the penalty one of five: whichever has the smaller squared error on the validation windows.

    Args:
        target_columns: Which of the D columns are forecast.
        max_features: All columns are tried only while they have at most so many values: the closed form is cubic.
    """

    ALPHAS = (1.0, 10.0, 100.0, 1000.0, 10_000.0)

    def __init__(self, target_columns: list[int], max_features: int = 1024) -> None:
        self.target_columns, self.max_features = list(target_columns), max_features
        self.models: list[tuple[list[int], Ridge]] = []

    def fit(
        self,
        train: tuple[NDArray[np.float32], NDArray[np.float32]],
        val: tuple[NDArray[np.float32], NDArray[np.float32]],
    ) -> "RidgeForecast":
        """Fits to the windows (n, H, D) and (n, horizon, C) of ``train`` and chooses on those of ``val``."""
        _, steps, num_columns = train[0].shape
        everything = list(range(num_columns))
        for number, column in enumerate(self.target_columns):
            few = [[column]] if num_columns == 1 or steps * num_columns > self.max_features else [[column], everything]
            best = np.inf
            for columns in few:
                (x, y), (x_val, y_val) = (
                    (_features(history, columns), target[:, :, number] - history[:, -1:, column])
                    for history, target in (train, val)
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
            model.predict(_features(history, columns)) + history[:, -1:, column]
            for column, (columns, model) in zip(self.target_columns, self.models, strict=True)
        ]
        return np.stack(futures, axis=2).astype(np.float32)


def _features(history: NDArray[np.float32], columns: list[int]) -> NDArray[np.float32]:
    """Differences to the last values, (n, H * columns), the last values' own zeros included."""
    chosen = history[:, :, columns]
    return (chosen - chosen[:, -1:]).reshape(len(chosen), -1)
