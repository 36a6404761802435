"""Forecasting: windows of a generated series, ETTh1 or the user's CSV file."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.utils.data import DataLoader

from nnzoo.data.base import GlobalBatchDataModule, data_root
from nnzoo.data.forecast_dataset import WindowDataset, time_bounds, window_origins
from nnzoo.data.series import ETTH1_COLUMNS, Series, download_etth1, generated_series, read_series, season_of
from nnzoo.data.splits import check_fractions
from nnzoo.errors import InputError, check_choices
from nnzoo.nets.encoder_decoder import check_sizes

PARTS = ("train", "val", "test")
ETTH1_CUTS = (8640, 11_520, 14_400)  # 12, 4 and 4 months of 30 days; the file's last rows stay unused


class ForecastDataModule(GlobalBatchDataModule):
    """Windows of time series: batches of history (B, history, D) and target (B, horizon, C), in the series' own units.

    The series is cut by time into training, validation and test part. A window belongs to the part that holds all its
    targets; the history of validation and test windows may reach back into the part before, whose values are known
    when the forecast is made. Scaler and scale of MASE come from the training part alone. Several series (a group
    column) are cut at the same times and share one scaler; no window reaches from one into another.
    Nothing is known of the time to forecast: neither its calendar nor other columns' values. ``predict`` forecasts what
    comes after the end of each series.

    Args:
        dataset: generated (a made-up town's hourly temperature and electricity demand) | etth1 (arXiv:2012.07436; its
            usual split into 12, 4 and 4 months) | csv.
        csv: Path of your own file, which has a header; it implies ``dataset`` csv.
        time: Its column of dates, or of rising numbers; without one, the rows count as evenly spaced.
        drop: Its columns to leave out.
        predict_csv: A file of the same columns whose series ``predict`` continues, in place of ``csv``.
        target: The column to forecast (default: demand for generated, OT for etth1).
        group: Its column that tells several series apart, such as a shop's number.
        targets: one | all: forecast the target column only, or every column.
        inputs: all | target: the history holds every column, or only what is forecast.
        root: Folder of ETTh1/ETTh1.csv (default: $NNZOO_DATA, else ~/.cache/nnzoo); it is downloaded if it is missing.
        history: Steps the model sees.
        horizon: Steps it forecasts.
        season: Steps after which the series repeats, for the seasonal-naive forecast and MASE; from the spacing of the
            times if not given (24 for hours, 7 for days, 52 for weeks, 12 for months, 4 for quarters, else 1).
        batch_size: Windows per step over ALL devices.
        val_fraction: Share of the time for validation (not for etth1).
        test_fraction: Share of the time for the test, at the end (not for etth1).
        seed: Seed of the order (the command line sets it to ``seed_everything``).
        num_workers: Loader processes; 0 is fastest for data in memory.

    Raises:
        InputError: If a value is out of range, the data cannot be found, downloaded or read, a column is constant in
            the training part, or the series is too short for a window in every part.
    """

    def __init__(
        self,
        *,
        dataset: Literal["generated", "etth1", "csv"] = "generated",
        csv: str | None = None,
        time: str | None = None,
        target: str | None = None,
        group: str | None = None,
        drop: Sequence[str] = (),
        predict_csv: str | None = None,
        targets: Literal["one", "all"] = "one",
        inputs: Literal["all", "target"] = "all",
        root: str | None = None,
        history: int = 168,
        horizon: int = 24,
        season: int | None = None,
        batch_size: int = 64,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(batch_size, seed, num_workers)
        self.save_hyperparameters(logger=False)
        check_choices(type(self), self.hparams)
        check_sizes(history=history, horizon=horizon, season=1 if season is None else season)
        check_fractions(val_fraction, test_fraction)
        self.dataset = "csv" if csv is not None else dataset
        if self.dataset == "csv" and csv is None:
            raise InputError("--data.dataset csv needs --data.csv, the path of your file.")
        if self.dataset == "csv" and target is None and targets == "one":
            raise InputError("Name the column to forecast with --data.target, or forecast all with --data.targets all.")
        if self.dataset != "csv" and (time or group or predict_csv):
            raise InputError("--data.time, group and predict_csv are for a file of your own: give it with --data.csv.")
        if season is not None and season > history:
            raise InputError(
                f"The seasonal-naive forecast repeats the last season, so a season of {season} steps needs at least as "
                f"much history, got {history}: set --data.history {season} or more."
            )
        self.history, self.horizon, self.root = history, horizon, data_root(root)

    def prepare_data(self) -> None:
        """Downloads ETTh1 if it is missing."""
        if self.dataset == "etth1":
            download_etth1(self._etth1)

    @property
    def _etth1(self) -> Path:
        return self.root / "ETTh1" / "ETTh1.csv"

    @cached_property
    def series(self) -> Series:
        """All rows; reads the file, and downloads it first where that is still to be done."""
        only_target = self.hparams["inputs"] == "target" and self.hparams["targets"] == "one"
        columns = [self._target] if only_target else None
        if self.dataset == "csv":
            return self._read(columns)
        if self.dataset == "etth1":
            self.prepare_data()  # the scaler is one of the model's hyperparameters, so it is needed before the fit
            series = read_series(self._etth1, "date", None, columns or ETTH1_COLUMNS)
            if len(series.values) < ETTH1_CUTS[-1]:
                rows = len(series.values)
                raise InputError(f"{self._etth1} has {rows} rows, not 17,420: delete it to download it again.")
            return series
        series = generated_series()
        if columns is None or self._target not in series.columns:
            return series
        return series._replace(values=series.values[:, [series.columns.index(self._target)]], columns=columns)

    def _read(self, columns: list[str] | None, option: str = "csv") -> Series:
        path, time, group, drop = (self.hparams[name] for name in (option, "time", "group", "drop"))
        return read_series(Path(path), time, group, columns, drop, option)

    @cached_property
    def _continued(self) -> Series:
        """What ``predict`` continues."""
        return self._read(self.series.columns, "predict_csv") if self.hparams["predict_csv"] else self.series

    @property
    def _target(self) -> str:
        return self.hparams["target"] or {"generated": "demand", "etth1": "OT"}.get(self.dataset, "")

    @cached_property
    def target_columns(self) -> list[int]:
        """Numbers of the columns to forecast, C of D."""
        columns = self.series.columns
        if self.hparams["targets"] == "all":
            return list(range(len(columns)))
        if self._target not in columns:
            raise InputError(f"There is no column {self._target!r}: set --data.target to one of {', '.join(columns)}.")
        return [columns.index(self._target)]

    @property
    def classes(self) -> list[str]:
        """Names of the columns to forecast, for the figures."""
        return [self.series.columns[column] for column in self.target_columns]

    @cached_property
    def _bounds(self) -> list[list[int]]:
        times = self.series.times
        total = int(times.max()) + 1
        val, test = (round(self.hparams[f"{part}_fraction"] * total) for part in ("val", "test"))
        cuts = ETTH1_CUTS if self.dataset == "etth1" else (total - val - test, total - test, total)
        return time_bounds(times, self.series.lengths, cuts)

    @cached_property
    def _origins(self) -> dict[str, Tensor]:
        origins = {}
        for number, part in enumerate(PARTS):
            origins[part] = window_origins(self._bounds, number, self.history, self.horizon)
            if not len(origins[part]):
                longest = max(rows[number + 1] - rows[number] for rows in self._bounds)
                raise InputError(
                    f"The series is too short: the {part} part has {longest} steps, which leaves no window of "
                    f"{self.history} + {self.horizon} steps: lower --data.history or --data.horizon, or change "
                    "--data.val_fraction and --data.test_fraction."
                )
        return origins

    @cached_property
    def _training_rows(self) -> list[NDArray[np.float64]]:
        assert self._origins  # says so first if the series is too short
        return [self.series.values[rows[0] : rows[1]] for rows in self._bounds]

    def _check_columns(self) -> None:
        spreads = zip(self.series.columns, np.ptp(np.concatenate(self._training_rows), axis=0), strict=True)
        constant = [name for name, spread in spreads if not spread > 0]
        if constant:
            raise InputError(
                f"Column {constant[0]} is constant in the training part: choose another --data.target, or leave it "
                "out with --data.drop."
            )

    @cached_property
    def _scaler(self) -> StandardScaler:
        self._check_columns()
        return StandardScaler().fit(np.concatenate(self._training_rows))

    @property
    def column_mean(self) -> list[float]:
        """Mean of each of the D columns in the training part."""
        return self._scaler.mean_.tolist()

    @property
    def column_std(self) -> list[float]:
        """Standard deviation of each of the D columns in the training part."""
        return self._scaler.scale_.tolist()

    @cached_property
    def season(self) -> int:
        """Steps after which the series repeats; 1 if that is not known."""
        season = self.hparams["season"] or season_of(self.series.step)
        if season > self.history:
            rank_zero_warn(
                f"The season of {season} steps is longer than the history, so the seasonal-naive forecast repeats the "
                f"last value instead: set --data.history {season} or more."
            )
            return 1
        return season

    @cached_property
    def naive_error(self) -> list[float]:
        """The scale of MASE for each of the C targets: mean |y_t - y_(t - season)| within the training part.

        The mean of each series' T - season differences (Hyndman & Koehler 2006), over all series together.
        """
        differences = [rows[self.season :] - rows[: -self.season] for rows in self._training_rows]
        return np.abs(np.concatenate(differences)).mean(axis=0)[self.target_columns].tolist()

    def setup(self, stage: str | None = None) -> None:
        """Makes the windows; a second call changes nothing."""
        if self.parts:
            return
        self._check_columns()
        values = torch.from_numpy(self.series.values).float()
        for part, origins in self._origins.items():
            self.parts[part] = WindowDataset(values, origins, self.history, self.horizon, self.target_columns)
        short = sum(length < self.history + self.horizon for length in self.series.lengths)
        if short:
            rank_zero_warn(f"{short} of {len(self.series.lengths)} series are too short for a window and not used.")
        counts = ", ".join(f"{len(self.parts[part])} {part}" for part in PARTS)  # type: ignore[arg-type]
        rank_zero_info(
            f"{self.dataset}: {counts} windows of {self.history} + {self.horizon} steps, {values.shape[1]} columns, "
            f"{len(self.target_columns)} to forecast, season {self.season}"
        )

    def _long_enough(self) -> list[int]:
        """Numbers of the series that ``predict`` can continue."""
        lengths = self._continued.lengths
        found = [number for number, length in enumerate(lengths) if length >= self.history]
        if not found:
            raise InputError(
                f"A forecast needs the last {self.history} steps (--data.history), the longest series has "
                f"{max(lengths)}: give more of them."
            )
        if len(found) < len(lengths):
            few = len(lengths) - len(found)
            rank_zero_warn(f"{few} of {len(lengths)} series are shorter than the history and not forecast.")
        return found

    def last_history(self) -> Tensor:
        """The last steps of each series (S, H, D): a trained model forecasts what comes after the data from these."""
        ends = np.cumsum(self._continued.lengths)[self._long_enough()]
        rows = self._continued.values
        return torch.stack([torch.from_numpy(rows[end - self.history : end]).float() for end in ends])

    def predict_dataloader(self) -> DataLoader[Any]:
        """The last history of each series, with a target that is not known yet."""
        history = self.last_history()
        values = torch.nn.functional.pad(history, (0, 0, 0, self.horizon), value=torch.nan)
        origins = torch.arange(len(history)) * (self.history + self.horizon) + self.history
        self.parts["predict"] = WindowDataset(
            values.flatten(0, 1), origins, self.history, self.horizon, self.target_columns
        )
        return self._loader("predict")

    def predicted_rows(self) -> pd.DataFrame:
        """The series and the time of each step that is forecast."""
        series, time, group = self._continued, self.hparams["time"] or "step", self.hparams["group"]
        tables = []
        for number in self._long_enough():
            table = pd.DataFrame({time: series.following(number, self.horizon)})
            if group is not None:
                table.insert(0, group, series.names[number])
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def windows(self, part: Literal["train", "val", "test"], limit: int) -> tuple[Tensor, Tensor]:
        """History (n, H, D) and target (n, horizon, C) of at most ``limit`` windows, evenly from the whole part."""
        self.setup()
        dataset: WindowDataset = self.parts[part]  # type: ignore[assignment]
        chosen = torch.linspace(0, len(dataset) - 1, min(limit, len(dataset))).round().long()
        return dataset.batch(chosen)
