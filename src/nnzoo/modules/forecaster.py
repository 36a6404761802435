"""The forecaster: a window's next steps, all at once."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import MetricCollection

from nnzoo.errors import InputError, check_sizes
from nnzoo.metrics.forecasts import ScaledError, SymmetricPercentageError
from nnzoo.modules.forecaster_checkpoint import check_same_data
from nnzoo.modules.supervised import Batch, SupervisedModule
from nnzoo.nets.forecaster import InstanceNorm, LinearMap, RecurrentMap, WindowForecaster, seasonal_naive_forecast
from nnzoo.nets.rnn import Cell
from nnzoo.nets.supervised import squared_error
from nnzoo.plots import series as plots


class Forecaster(SupervisedModule):
    """Forecasts the next ``horizon`` steps of one or several series directly from the last ``history`` steps.

    It is trained by the squared error of the standardised target: the mean over windows, steps and targets of
    ((y - y_hat) / std)^2, plus ``l1 * sum |w| + l2 / 2 * sum w^2`` over weight matrices. With ``net`` linear,
    ``channels`` independent and ``instance_norm`` last it is NLinear (arXiv:2205.13504); DLinear's moving averages are
    linear too, so they change the path to the same maps, not which maps there are. With ``net`` recurrent and patches
    it is close to SegRNN (arXiv:2308.11200), but with one output layer instead of its parallel decoding.

    Metrics: ``mse`` and ``mae`` of the standardised series, which the ETT tables of the literature show; ``rmse`` and
    ``mae_original`` in the series' units and ``mase``, for each target, then their mean; ``smape`` in percent.

    To use another network, override :meth:`build_net`.

    Args:
        history: Steps of history, H (the command line takes it and the next six values from the data).
        horizon: Steps to forecast.
        column_mean: Mean of each of the D columns in the training part.
        column_std: Its standard deviation.
        columns: Names of the D columns: a checkpoint is refused beside data with others. Empty: they have no names.
        target_columns: Which columns are forecast, C of D.
        season: Steps after which the series repeats, for the figures.
        net: recurrent | linear.
        channels: mixed (all columns together) | independent (each target from its own history, with shared weights).
        instance_norm: none | last (subtract a window's last value) | mean_std (its mean, and divide by its standard
            deviation); undone on the forecast.
        cell: rnn | lstm | gru (recurrent).
        hidden_size: Units per layer and direction (recurrent).
        num_layers: Recurrent layers.
        bidirectional: Whether the history is read backwards too (recurrent).
        dropout: Share dropped between recurrent layers and of the last state (recurrent).
        patch_length: Steps that the recurrent network takes as one input; it must divide the history. By default a
            season, where the history is a whole number of them, else 1.
        shared: What :class:`nnzoo.modules.supervised.SupervisedModule` takes.

    Raises:
        InputError: If a value is out of range.
    """

    column_mean: Tensor
    column_std: Tensor
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = dict.fromkeys(
        ("cell", "hidden_size", "num_layers", "bidirectional", "dropout", "patch_length"), ("net", ["recurrent"])
    )

    def __init__(
        self,
        *,
        history: int = 168,
        horizon: int = 24,
        column_mean: Sequence[float] = (0.0,),
        column_std: Sequence[float] = (1.0,),
        columns: Sequence[str] = (),
        target_columns: Sequence[int] = (0,),
        season: int = 1,
        net: Literal["recurrent", "linear"] = "recurrent",
        channels: Literal["mixed", "independent"] = "mixed",
        instance_norm: InstanceNorm = "none",
        cell: Cell = "gru",
        hidden_size: int = 128,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        patch_length: int | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.register_buffer("column_mean", torch.tensor(list(column_mean), dtype=torch.float32))
        self.register_buffer("column_std", torch.tensor(list(column_std), dtype=torch.float32))

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        hparams["target_columns"] = list(hparams["target_columns"])  # a tuple would index several dimensions
        check_sizes(**{name: hparams[name] for name in ("history", "horizon", "season")})
        count = len(hparams["column_mean"])
        if count != len(hparams["column_std"]) or len(hparams["columns"]) not in (0, count):
            raise InputError("Give column_mean and column_std, and names if any, for every column.")
        if not set(hparams["target_columns"]) <= set(range(count)):
            raise InputError(
                f"target_columns are numbers of the {count} columns, got {list(hparams['target_columns'])}."
            )

    def build_net(self) -> nn.Module:
        """A network from standardised histories (B, H, D) to standardised forecasts (B, horizon, C)."""
        hparams = self.hparams
        independent = hparams["channels"] == "independent"
        columns, targets = (1, 1) if independent else (len(hparams["column_mean"]), len(hparams["target_columns"]))
        sizes = (hparams["history"], columns, hparams["horizon"], targets)
        names = ("hidden_size", "num_layers", "cell", "bidirectional", "dropout")
        recurrent: dict[str, Any] = {name: hparams[name] for name in names}
        patch_length = hparams["patch_length"]
        if patch_length is None:
            patch_length = hparams["season"] if hparams["history"] % hparams["season"] == 0 else 1
        recurrent["patch_length"] = patch_length
        body = LinearMap(*sizes) if hparams["net"] == "linear" else RecurrentMap(*sizes, **recurrent)
        return WindowForecaster(body, hparams["target_columns"], hparams["instance_norm"], independent)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the checkpoint's scaler; raises InputError if it is of other columns or windows of other sizes."""
        saved = checkpoint.get("hyper_parameters", self.hparams)
        check_same_data(self.hparams, saved)
        # The buffers, from which loss and metrics take it, come with the weights.
        self.hparams.update({name: saved[name] for name in ("column_mean", "column_std")})

    def build_metrics(self, stage: str) -> MetricCollection:
        """Errors of forecasts (B, horizon, C) in the series' units; in training only one, for speed."""
        targets = len(self.hparams["target_columns"])
        quick = {"mae": ScaledError(targets, "std")}
        further = {
            "mse": ScaledError(targets, "std", squared=True),
            "rmse": ScaledError(targets, squared=True, root=True),
            "mae_original": ScaledError(targets),
            "mase": ScaledError(targets, "naive_error"),
            "smape": SymmetricPercentageError(),
        }
        metrics = {**quick, **(further if stage != "train" else {})}
        # Not in groups: these are formed by what a first batch happens to give.
        return MetricCollection(metrics, prefix=f"{stage}/", compute_groups=False)  # type: ignore[arg-type]

    def update_metrics(self, metrics: MetricCollection, measured: tuple[Tensor, Tensor], batch: Batch) -> None:
        """Adds forecasts and targets; the scales are this module's and those of the batch's series."""
        std = self.column_std[self.hparams["target_columns"]]
        naive_error = batch[1] if len(batch) == 3 else torch.zeros_like(batch[-1][:, 0])  # 0: there is none
        metrics.update(*measured, std=std, naive_error=naive_error)

    def log_stage(self, stage: str) -> None:
        """Logs the mean loss and the metrics; MASE only where a series had a scale for it."""
        self.means.log(self, stage)
        metrics = dict(self.metrics[stage].items())
        mase = metrics.get(f"{stage}/mase")
        if mase is not None and mase.compute().isnan():  # the same on every device
            del metrics[f"{stage}/mase"]
            mase.reset()
        self.log_dict(metrics)

    def outputs(self, *inputs: Tensor) -> Tensor:
        """Standardised forecasts (B, horizon, C) from the first input, a history (B, H, D)."""
        return self.net(self.standardized(inputs[0]))

    def standardized(self, history: Tensor) -> Tensor:
        """The history (B, H, D) with mean 0 and standard deviation 1 per column in the training part."""
        if history.shape[1:] != (self.hparams["history"], len(self.column_mean)):
            raise InputError(
                f"The model takes {self.hparams['history']} steps of {len(self.column_mean)} columns, got a history of "
                f"shape {tuple(history.shape[1:])}: set --data.history and --data.inputs to match."
            )
        return (history - self.column_mean) / self.column_std

    def original(self, outputs: Tensor) -> Tensor:
        """The network's outputs (B, horizon, C) in the series' units."""
        columns = self.hparams["target_columns"]
        return outputs * self.column_std[columns] + self.column_mean[columns]

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Squared error (B,) of the standardised target, the mean over steps and targets."""
        columns = self.hparams["target_columns"]
        return squared_error(outputs, (target - self.column_mean[columns]) / self.column_std[columns])

    def measured(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Forecasts and targets (B, horizon, C) in the series' units."""
        return self.original(outputs), target

    def forward(self, history: Tensor, naive_error: Tensor | None = None) -> Tensor:
        """Forecasts (B, horizon, C) of histories (B, H, D), both in the series' units.

        The naive error, the batch's second tensor, is the scale of MASE: it is not needed to forecast, and ignored.
        """
        return self.original(self.outputs(history))

    @property
    def target_names(self) -> list[str]:
        """Names of the C columns to forecast; their numbers where they have none."""
        columns = self.hparams["columns"]
        return [columns[number] if columns else str(number) for number in self.hparams["target_columns"]]

    def prediction_columns(self, predictions: Sequence[Tensor], facts: Mapping[str, Any]) -> dict[str, Any]:
        """A column for each target, a row for each step of each forecast."""
        steps = torch.cat(list(predictions)).flatten(0, 1)
        return dict(zip(self.target_names, steps.T.numpy(), strict=True))

    def naive(self, history: Tensor, season: int) -> Tensor:
        """The last ``season`` steps of a history (B, H, D) repeated: forecasts (B, horizon, C) to compare with."""
        targets = history[:, :, self.hparams["target_columns"]]
        return seasonal_naive_forecast(targets, self.hparams["horizon"], season)

    def figures(self, batch: Batch, facts: Mapping[str, Any]) -> dict[str, Figure]:
        """Forecasts of held-out windows beside truth and seasonal-naive forecast, and the error at each step."""
        history, target = batch[0], batch[-1]
        forecasts = {
            type(self).__name__: torch.cat([self(part) for part in history.split(256)]),
            "seasonal naive": self.naive(history, self.hparams["season"]),
        }
        std = self.column_std[self.hparams["target_columns"]]
        past = history[:, :, self.hparams["target_columns"]]
        return {
            "forecasts": plots.forecasts(past, target, forecasts, self.target_names),
            "error_per_step": plots.error_per_step(target / std, {k: v / std for k, v in forecasts.items()}),
        }
