"""The forecaster: a window's next steps, all at once."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
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
from nnzoo.nets.series_scaler import SeriesScaler, WindowScale, with_offset
from nnzoo.nets.supervised import squared_error
from nnzoo.plots import series as plots


class Forecaster(SupervisedModule):
    """Forecasts the next ``horizon`` steps of one or several series directly from the last ``history`` steps.

    Each series is standardised by the mean and standard deviation of its own training part, one that the training has
    not seen by those of its history. The loss is the squared error of the standardised target: the mean over windows,
    steps and targets of ((y - y_hat) / std)^2, plus ``l1 * sum |w| + l2 / 2 * sum w^2`` over weight matrices.

    With ``net`` linear, ``channels`` independent and ``instance_norm`` last it is NLinear (arXiv:2205.13504); DLinear's
    moving averages are linear too, so they change the path to the same maps, not which maps there are. With ``net``
    recurrent and patches it is close to SegRNN (arXiv:2308.11200), but with one output layer instead of its parallel
    decoding.

    Metrics: ``mse`` and ``mae`` of the standardised series, which the ETT tables of the literature show; ``rmse`` and
    ``mae_original`` in the series' units, in which large series outweigh small ones, and ``mase`` in units of each
    series' own seasonal-naive error, for each target, then their mean; ``smape`` in percent.

    To use another network, override :meth:`build_net`.

    Args:
        history: Steps of history, H (the command line takes it and the next seven values from the data).
        horizon: Steps to forecast.
        series_names: Names of the S series that it is trained on; one without a name by default.
        column_mean: Mean of each series and column in the training part (S, D); (D,) of one series.
        column_std: Its standard deviation, likewise.
        columns: Names of the D columns: a checkpoint is refused beside data with others. Empty: they have no names.
        target_columns: Which columns are forecast, C of D.
        season: Steps after which the series repeats.
        net: recurrent | linear.
        channels: mixed (all columns together) | independent (each target from its own history, with shared weights).
        instance_norm: none | last (subtract a window's last value) | mean_std (its mean, and divide by its standard
            deviation) | seasonal (its last season); undone on the forecast. With seasonal, the network forecasts the
            difference to the seasonal naive forecast and starts with none: the safest choice for few or short series.
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

    metric_note = (
        "loss, mse and mae: of series standardised each by its own training part; rmse and mae_original: in their "
        "units; mase: of each series' seasonal-naive errors; smape: percent"
    )
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = dict.fromkeys(
        ("cell", "hidden_size", "num_layers", "bidirectional", "dropout", "patch_length"), ("net", ["recurrent"])
    )

    def __init__(
        self,
        *,
        history: int = 168,
        horizon: int = 24,
        series_names: Sequence[str] = ("",),
        column_mean: Sequence[float] | Sequence[Sequence[float]] = ((0.0,),),
        column_std: Sequence[float] | Sequence[Sequence[float]] = ((1.0,),),
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
        self.scaler = SeriesScaler(self.hparams["column_mean"], self.hparams["column_std"])

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        hparams["target_columns"] = list(hparams["target_columns"])  # a tuple would index several dimensions
        check_sizes(**{name: hparams[name] for name in ("history", "horizon", "season")})
        if hparams["instance_norm"] == "seasonal" and hparams["season"] > hparams["history"]:
            raise InputError("instance_norm seasonal needs a season in the history: set a longer one, or another norm.")
        for name in ("column_mean", "column_std"):
            hparams[name] = np.atleast_2d(np.asarray(hparams[name], dtype=np.float64)).tolist()
        shape, count = (len(hparams["series_names"]), self.num_columns), self.num_columns
        if any(np.shape(hparams[name]) != shape for name in ("column_mean", "column_std")):
            raise InputError("Give column_mean and column_std for every series and column.")
        if len(hparams["columns"]) not in (0, count):
            raise InputError(f"Give names for every column or for none: there are {count}.")
        if not set(hparams["target_columns"]) <= set(range(count)):
            raise InputError(
                f"target_columns are numbers of the {count} columns, got {list(hparams['target_columns'])}."
            )

    def build_net(self) -> nn.Module:
        """A network from standardised histories (B, H, D) to standardised forecasts (B, horizon, C)."""
        hparams = self.hparams
        independent = hparams["channels"] == "independent"
        columns, targets = (1, 1) if independent else (self.num_columns, len(hparams["target_columns"]))
        sizes = (hparams["history"], columns, hparams["horizon"], targets)
        names = ("hidden_size", "num_layers", "cell", "bidirectional", "dropout")
        recurrent: dict[str, Any] = {name: hparams[name] for name in names}
        patch_length = hparams["patch_length"]
        if patch_length is None:
            patch_length = hparams["season"] if hparams["history"] % hparams["season"] == 0 else 1
        recurrent["patch_length"] = patch_length
        body = LinearMap(*sizes) if hparams["net"] == "linear" else RecurrentMap(*sizes, **recurrent)
        norm, season = hparams["instance_norm"], hparams["season"]
        return WindowForecaster(body, hparams["target_columns"], norm, independent, season)

    @property
    def num_columns(self) -> int:
        """Columns, D."""
        return len(self.hparams["column_mean"][0])

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the scales of the checkpoint's series; raises InputError if it is of other columns or window sizes."""
        saved = checkpoint.get("hyper_parameters", self.hparams)
        check_same_data(self.hparams, saved)
        names = self.hparams["series_names"]
        places = {name: number for number, name in enumerate(saved["series_names"])}
        for scale in ("column_mean", "column_std"):
            ours = self.hparams[scale]
            self.hparams[scale] = [
                saved[scale][places[name]] if name in places else own for name, own in zip(names, ours, strict=True)
            ]
        self.scaler = SeriesScaler(self.hparams["column_mean"], self.hparams["column_std"]).to(self.device)

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

    def split(self, batch: Batch) -> tuple[tuple[Tensor], Tensor]:
        """The standardised history, and the standardised target."""
        scale = self.scale_of(*batch[:-1])
        target = scale.of(self.hparams["target_columns"]).standardized(batch[-1])
        return (scale.standardized(batch[0]),), target

    def scale_of(
        self, history: Tensor, place: Tensor | None = None, offset: Tensor | None = None, *_: Tensor
    ) -> WindowScale:
        """What the windows of a batch are standardised by: of every column (B, 1, D)."""
        if history.shape[1:] != (self.hparams["history"], self.num_columns):
            raise InputError(
                f"The model takes {self.hparams['history']} steps of {self.num_columns} columns, got a history of "
                f"shape {tuple(history.shape[1:])}: set --data.history and --data.inputs to match."
            )
        several = len(self.hparams["series_names"])
        if place is None and several > 1:
            raise InputError(
                f"The model was trained on {several} series: give the number of each history's series (B, 1) as second "
                "argument, in the order of series_names, or -1 for another series."
            )
        return self.scaler(history, None if place is None else place[:, 0], offset)

    def update_metrics(self, metrics: MetricCollection, measured: tuple[Tensor, Tensor], batch: Batch) -> None:
        """Adds standardised forecasts."""
        scale = self.scale_of(*batch[:-1]).of(self.hparams["target_columns"])
        self.add_forecasts(metrics, scale.original(measured[0]), batch, scale)

    def add_forecasts(self, metrics: MetricCollection, forecasts: Tensor, batch: Batch, scale: WindowScale) -> None:
        """Adds forecasts (B, horizon, C) in the units of the batch's target, whose scale it takes, to a stage's."""
        columns, target = self.hparams["target_columns"], batch[-1]
        unknown = torch.zeros_like(target[:, 0])  # without our datamodule; 0: there is none
        offset, naive_error = (batch[2][:, columns], batch[3]) if len(batch) == 5 else (unknown, unknown)
        metrics.update(forecasts, target, std=scale.std[:, 0], naive_error=naive_error, offset=offset)

    def log_stage(self, stage: str) -> None:
        """Logs the mean loss and the metrics; MASE only where a series had a scale for it."""
        self.means.log(self, stage)
        metrics = dict(self.metrics[stage].items())
        mase = metrics.get(f"{stage}/mase")
        if mase is not None and mase.compute().isnan():  # the same on every device
            del metrics[f"{stage}/mase"]
            mase.reset()
        self.log_dict(metrics)

    def loss(self, outputs: Tensor, target: Tensor) -> Tensor:
        """Squared error (B,) of the standardised target, the mean over steps and targets."""
        return squared_error(outputs, target)

    def measured(self, outputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised forecasts and targets (B, horizon, C)."""
        return outputs, target

    def forward(
        self,
        history: Tensor,
        place: Tensor | None = None,
        offset: Tensor | None = None,
        naive_error: Tensor | None = None,
    ) -> Tensor:
        """Forecasts (B, horizon, C) of histories (B, H, D), both in the series' units.

        Args:
            history: Less the offset, where there is one.
            place: Number of each history's series in ``series_names``, -1 for another series, in its first column
                (B, 1 or more). It is needed where the model was trained on several series.
            offset: What was taken from the history's columns (B, D). Forecasts have it, so that those far from 0 are
                float64 numbers.
            naive_error: A batch's scale of MASE; it is not needed to forecast, and ignored.
        """
        forecasts = self.relative(history, place, offset)
        return forecasts if offset is None else with_offset(forecasts, offset[:, self.hparams["target_columns"]])

    def relative(self, *known: Tensor | None) -> Tensor:
        """Forecasts (B, horizon, C) in the units of a batch's target, from which the offset is taken."""
        scale = self.scale_of(*known)  # type: ignore[arg-type]
        standardized = scale.standardized(known[0])  # type: ignore[arg-type]
        own = torch.promote_types(self.scaler.std.dtype, torch.float32)  # float64 values may come to a float32 network
        return scale.of(self.hparams["target_columns"]).original(self.net(standardized.to(own)))

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Forecasts (B, horizon, C) in the series' units."""
        return self(batch) if isinstance(batch, Tensor) else self(*(batch[:-1] if self.has_target(batch) else batch))

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
        history, target, columns = batch[0], batch[-1], self.hparams["target_columns"]
        parts = zip(*(tensor.split(256) for tensor in batch[:-1]), strict=True)
        forecasts = {
            type(self).__name__: torch.cat([self.relative(*part) for part in parts]),
            "seasonal naive": self.naive(history, self.hparams["season"]),
        }
        std = self.scale_of(*batch[:-1]).of(columns).std
        shown = {"past": history[:, :, columns], "target": target, **forecasts}
        timeline, place = facts.get("timeline"), batch[1] if len(batch) == 5 else None
        if place is not None:
            shown = {name: with_offset(values, batch[2][:, columns]) for name, values in shown.items()}

        def where(window: int) -> plots.Place:
            if timeline is None or place is None:
                return plots.Place()
            origin = int(place[window, 1])
            return plots.Place(*timeline.window(origin - history.shape[1], origin + target.shape[1]))

        past, truth = shown.pop("past"), shown.pop("target")
        return {
            "forecasts": plots.forecasts(past, truth, shown, self.target_names, where),
            "error_per_step": plots.error_per_step(target / std, {k: v / std for k, v in forecasts.items()}),
        }
