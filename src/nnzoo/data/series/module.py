"""Forecasting: windows of a generated series, ETTh1 or the user's CSV file."""

import typing
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from nnzoo.data.facts import fact, held, view
from nnzoo.data.room import RoomDataModule
from nnzoo.data.series.dataset import SeriesTable, WindowDataset, Windows, warn_without_scale
from nnzoo.data.series.future import Future, Timeline
from nnzoo.data.series.scale import check_columns, column_scales, naive_errors, offsets_of
from nnzoo.data.series.series import Series
from nnzoo.data.series.sources import SOURCES, SeriesSource
from nnzoo.data.series.split import SeriesSplit
from nnzoo.data.series.tested import tested_windows, warn_of_overlap
from nnzoo.data.sources import options_of
from nnzoo.errors import InputError, check_sizes
from nnzoo.parameters import inactive_options

if TYPE_CHECKING:
    DatasetName = str
else:
    DatasetName = Literal[tuple(SOURCES)]


class ForecastDataModule(RoomDataModule):
    """Windows of time series: batches of :class:`~nnzoo.data.series.dataset.WindowDataset`, in the series' own units.

    The series is cut by time into training, validation and test part. A window belongs to the part that holds all its
    targets; the history of validation and test windows may reach back into the part before, whose values are known when
    the forecast is made. Mean, standard deviation and scale of MASE come from the training part alone. Several series
    (a group column) are cut at the same times, and each has a mean, a standard deviation and a scale of MASE of its
    own; no window reaches from one into another. Of columns far from 0 an offset is taken before they become float32.
    Nothing is known of the time to forecast: neither its calendar nor other columns' values. ``predict`` forecasts what
    comes after the end of each series.

    Args:
        dataset: generated (a made-up town's hourly temperature and electricity demand) | etth1 (arXiv:2012.07436; its
            usual split into 12, 4 and 4 months) | csv.
        csv: Path of your own file, which has a header; it implies ``dataset`` csv.
        time: Its column of dates, or of rising numbers; without one, the rows count as evenly spaced.
        drop: Its columns to leave out.
        test_csv: A file of the same columns to test on, instead of cutting off a test part: other series, or what comes
            after those of ``csv``. Its windows lie in it as a whole, so that the first ``history`` rows of a series are
            not forecast: put the last ones of ``csv`` before a continuation. A series of a name that training has is
            scaled as there, another one by each window's history.
        predict_csv: A file of the same columns whose series ``predict`` continues, in place of ``csv``.
        target: The column to forecast (default: demand for generated, OT for etth1).
        group: Its column that tells several series apart, such as a shop's number.
        targets: one | all: forecast the target column only, or every column.
        inputs: all | target: the history holds every column, or only what is forecast.
        root: Folder of ETTh1/ETTh1.csv (default: $NNZOO_DATA, else ~/.cache/nnzoo); it is downloaded if it is missing.
        history: Steps the model sees; by default seven seasons (84 steps without a season), or what a short series
            leaves room for, see :func:`~nnzoo.data.series.split.default_sizes`.
        horizon: Steps it forecasts; by default one season (12 steps without one), or what a short series has room for.
        season: Steps after which the series repeats, for the seasonal-naive forecast and MASE; from the calendar of the
            times if not given (24 for hours, 8 for every third, 7 for days, 5 for business days, 52 for weeks, 12 for
            months, 4 for quarters, else 1).
        batch_size: Windows per step over ALL devices.
        min_windows: An epoch goes through the training windows again until it has seen so many, so that short series
            get enough steps.
        val_fraction: Share of the time for validation (not for etth1).
        test_fraction: Share of the time for the test, at the end (not for etth1).
        shared: What :class:`nnzoo.data.base.GlobalBatchDataModule` takes.

    Raises:
        InputError: If a value is out of range, the data cannot be found, downloaded or read, a column is constant or
            too far from 0 in the training part, or the series is too short for a window in every part.
    """

    sources: ClassVar[Mapping[str, type[SeriesSource]]] = SOURCES
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = options_of(SOURCES)

    def __init__(
        self,
        *,
        dataset: DatasetName = "generated",
        csv: str | None = None,
        time: str | None = None,
        target: str | None = None,
        group: str | None = None,
        drop: Sequence[str] = (),
        test_csv: str | None = None,
        predict_csv: str | None = None,
        targets: Literal["one", "all"] = "one",
        inputs: Literal["all", "target"] = "all",
        root: str | None = None,
        history: int | None = None,
        horizon: int | None = None,
        season: int | None = None,
        batch_size: int = 64,
        min_windows: int = 4096,
        val_fraction: float = 0.15,
        test_fraction: float = 0.15,
        **shared: Any,
    ) -> None:
        super().__init__(batch_size=batch_size, val_fraction=val_fraction, test_fraction=test_fraction, **shared)
        self.root = self.source.root

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        hparams, idle = self.hparams, inactive_options(type(self), self.hparams)
        sizes = {name: hparams[name] for name in ("history", "horizon", "season") if hparams[name] is not None}
        check_sizes(**sizes, min_windows=hparams["min_windows"])
        if any(hparams[name] and name in idle for name in ("time", "group", "test_csv", "predict_csv")):
            raise InputError("--data.time, group, test_csv and predict_csv are for a file of your own: add --data.csv.")
        if {"season", "history"} <= sizes.keys() and sizes["season"] > sizes["history"]:
            raise InputError(
                f"The seasonal-naive forecast repeats the last season, so a season of {sizes['season']} steps needs at "
                f"least as much history, got {sizes['history']}: set --data.history {sizes['season']} or more."
            )

    @cached_property
    def series(self) -> Series:
        """All rows; reads the file, and downloads it first where that is still to be done."""
        return self.source.load()

    @fact
    def columns(self) -> list[str]:
        """Names of the D columns."""
        return self.series.columns

    @view
    def timeline(self) -> Timeline:
        """Which series and times the rows of windows are of."""
        return Timeline(lambda: self.series, self._tested)

    @fact
    def target_columns(self) -> list[int]:
        """Numbers of the columns to forecast, C of D."""
        columns = self.columns
        if self.hparams["targets"] == "all":
            return list(range(len(columns)))
        target = self.source.target
        if target not in columns:
            raise InputError(f"There is no column {target!r}: set --data.target to one of {', '.join(columns)}.")
        return [columns.index(target)]

    @cached_property
    def _split(self) -> SeriesSplit:
        settings = {name: self.hparams[name] for name in ("history", "horizon")}
        settings["season"] = self.hparams["season"] or self.series.season
        settings["cuts"] = self.source.cuts(int(self.series.times.max()) + 1)
        # The baselines beside a trained model see the training part that it has seen.
        split = SeriesSplit(self.series, **{**settings, **(self.fitted or {}).get("split", {})})
        check_columns(self.columns, [rows for rows in split.training_rows if len(rows)])
        return split

    @held("set --data.history to match")
    def history(self) -> int:
        """Steps the model sees."""
        return self._split.history

    @held("set --data.horizon to match")
    def horizon(self) -> int:
        """Steps it forecasts."""
        return self._split.horizon

    @held("set --data.season to match")
    def season(self) -> int:
        """Steps after which the series repeats; 1 if that is not known."""
        return self._split.season

    @cached_property
    def _trained(self) -> list[int]:
        """Numbers of the series that have a training part."""
        return [number for number, rows in enumerate(self._split.training_rows) if len(rows) > 1]

    @cached_property
    def _scales(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return column_scales([self._split.training_rows[number] for number in self._trained])

    @fact
    def series_names(self) -> list[str]:
        """Names of the series that have a training part, S; one without a name if there is no group."""
        return [str(self.series.names[number]) if self.series.names else "" for number in self._trained]

    @fact
    def column_mean(self) -> list[list[float]]:
        """Mean of each of these series and of the D columns in its training part."""
        return self._scales[0].tolist()

    @fact
    def column_std(self) -> list[list[float]]:
        """Its standard deviation; where it is 0, the median of the other series'."""
        return self._scales[1].tolist()

    @cached_property
    def naive_error(self) -> Tensor:
        """The scale of MASE for each series and target (S, C), from its training part; 0 where it is not defined."""
        errors = naive_errors(self._split.training_rows, self.season)[:, self.target_columns]
        return torch.from_numpy(errors).float()

    def setup(self, stage: str | None = None) -> None:
        """Makes the windows; a second call changes nothing. Without the training data, only those of a newer file."""
        if self.is_set_up(stage):
            return
        if self.uses_fitted(stage):
            self.parts |= {"test": self._test_windows()} if stage == "test" else {"predict": self._future_windows()}
            return
        split, table = self._split, self._table()
        sizes = split.history, split.horizon, self.target_columns
        datasets = {part: WindowDataset(table, split.origins(part), *sizes) for part in split.parts}
        if self._tested is not None:
            datasets["test"] = typing.cast(WindowDataset, self.parts.get("test")) or self._test_windows()
        datasets["train"].repeats = -(-self.hparams["min_windows"] // len(datasets["train"]))
        self.parts |= datasets
        split.warn_of_series_left_out()
        warn_without_scale({part: datasets[part] for part in ("val", "test")}, self.season)
        counts = ", ".join(f"{len(dataset.origins)} {part}" for part, dataset in datasets.items())
        several = f" of {len(split.bounds)} series" if len(split.bounds) > 1 else ""
        rank_zero_info(
            f"{self.dataset}: {counts} windows{several} of {self.history} + {self.horizon} steps, "
            f"{len(self.columns)} columns, {len(self.target_columns)} to forecast, season {self.season}"
        )

    def _table(self) -> SeriesTable:
        """All rows, less what is far from 0 in a series' training part, or in all of a series without one."""
        split, values = self._split, self.series.values
        whole = [values[rows[0] : rows[-1]] for rows in split.bounds]
        parts = [rows if len(rows) > 1 else all_rows for rows, all_rows in zip(split.training_rows, whole, strict=True)]
        offset = np.stack([offsets_of(rows.mean(axis=0), rows.std(axis=0)) for rows in parts])
        numbers = torch.full([len(parts)], -1)
        numbers[self._trained] = torch.arange(len(self._trained))
        return SeriesTable.of(values, [rows[0] for rows in split.bounds], offset, numbers, self.naive_error)

    @cached_property
    def _tested(self) -> Series | None:
        return self.source.later("test", self.columns, self.fitted or self.fitted_state())

    @cached_property
    def _future(self) -> Future:
        newer = self.source.later("predict", self.columns, self.fitted or self.fitted_state())
        return Future(newer or self.series, self.history, self.horizon)

    def fitted_state(self) -> dict[str, Any]:
        """How the file writes times, enough of them to tell its calendar, its split, and the scales of MASE."""
        scales = self.naive_error[self._trained].tolist()
        return {**self.series.times_as_written(), "split": self._split.settings, "naive_error": scales}

    def last_windows(self) -> tuple[Tensor, Tensor, Tensor]:
        """What a trained model takes to forecast what comes after the end of each series: ``model(*last_windows())``.

        Returns:
            Histories (S, H, D), places (S, 2) and offsets (S, D), as in batches.
        """
        dataset = self._future_windows()
        return dataset.batch(torch.arange(len(dataset)))[:3]

    @property
    def _known(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.series_names)}

    def _test_windows(self) -> WindowDataset:
        tested, known = typing.cast(Series, self._tested), self.fitted or self.fitted_state()
        path, sizes = self.hparams["test_csv"], (self.history, self.horizon, self.target_columns)
        warn_of_overlap(tested, known.get("ends", {}), self.history, path)  # which older checkpoints lack
        return tested_windows(tested, path, *sizes, self._known, torch.tensor(known["naive_error"]))

    def _future_windows(self) -> WindowDataset:
        return self._future.windows(self.target_columns, self._known)

    def predict_dataloader(self) -> DataLoader[Any]:
        """The last history of each series, with a target that is not known yet."""
        self.parts["predict"] = self._future_windows()
        return self._loader("predict")

    def predicted_rows(self) -> pd.DataFrame:
        """The series and the time of each step that is forecast."""
        return self._future.rows(self.hparams["time"] or "step", self.hparams["group"])

    def windows(
        self,
        part: Literal["train", "val", "test"],
        limit: int,
        inputs: Sequence[int] | None = None,
        targets: Sequence[int] | None = None,
    ) -> Windows:
        """History (n, H, D) and target (n, horizon, C) of at most ``limit`` windows, evenly from the whole part.

        Args:
            part: train | val | test.
            limit: The most windows to return.
            inputs: Columns of the history; all by default.
            targets: Columns of what follows; ``target_columns`` by default.
        """
        self.setup()
        dataset = typing.cast(WindowDataset, self.parts[part])
        count = len(dataset.origins)
        chosen = torch.linspace(0, count - 1, min(limit, count)).round().long()
        return dataset.columns(chosen, inputs or range(len(self.columns)), targets or self.target_columns)
