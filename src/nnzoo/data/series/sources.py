"""Where series come from: generated, ETTh1, or the user's own CSV."""

import hashlib
import shutil
import sys
import typing
import urllib.request
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from numpy.typing import NDArray

from nnzoo.data.csv_file import check_file
from nnzoo.data.series.series import Series, read_series
from nnzoo.data.sources import Source, sources_in
from nnzoo.errors import InputError
from nnzoo.files import replacing

ETTH1_URL = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/ETTh1.csv"
ETTH1_MD5 = "8381763947c85f4be6ac456c508460d6"
ETTH1_COLUMNS = ["HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT"]
ETTH1_CUTS = (8640, 11_520, 14_400)  # 12, 4 and 4 months of 30 days; the file's last rows stay unused


class SeriesSource(Source):
    """A data set of time series, cut by time into shares unless it has a usual split."""

    usual_target: ClassVar[str] = ""
    """The column to forecast where the user names none."""

    @property
    def target(self) -> str:
        """The column to forecast, if it is one only."""
        return self.settings["target"] or self.usual_target

    @property
    def only(self) -> list[str] | None:
        """The column to read where the others are neither seen nor forecast; None for all."""
        alone = self.settings["inputs"] == "target" and self.settings["targets"] == "one"
        return [self.target] if alone else None

    @abstractmethod
    def load(self) -> Series:
        """All rows."""

    def later(self, stage: str, columns: list[str], times: Mapping[str, Any]) -> Series | None:
        """The series of a file for a stage, test or predict, if there is one.

        Args:
            stage: test | predict.
            columns: Columns to read.
            times: Of :meth:`~nnzoo.data.series.series.Series.times_as_written` of the training file.
        """
        return None

    def cuts(self, total: int) -> Sequence[int]:
        """Times at which training, validation and, if there is one, test part end, of so many."""
        val, test = (round(self.settings[f"{part}_fraction"] * total) for part in ("val", "test"))
        return total - val - test, total - test, total


class Generated(SeriesSource):
    """A made-up town's temperature and electricity demand, see :func:`generated_series`."""

    name = "generated"
    uses = ("val_fraction", "test_fraction")
    usual_target = "demand"

    def load(self) -> Series:
        """The same every time."""
        series = generated_series()
        return series if self.only is None or self.target not in series.columns else series.only(self.only)


class ETTh1(SeriesSource):
    """ETTh1 (arXiv:2012.07436), seven hourly columns of a transformer, with its usual split."""

    name = "etth1"
    uses = ("root",)
    folder = "ETTh1"
    usual_target = "OT"

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return self.root / "ETTh1" / "ETTh1.csv"

    def fetch(self) -> None:
        """Downloads the file, unless it is there.

        Raises:
            InputError: If it cannot be downloaded, or is not the file that the published numbers are for.
        """
        path = self.path
        if path.is_file():
            if _md5(path) != ETTH1_MD5:
                raise InputError(
                    f"{path} is not the ETTh1.csv that published numbers are for, of MD5 {ETTH1_MD5}: delete it to "
                    "download it again, or give a file of your own with --data.csv."
                )
            return
        way_out = f"connect to the network, or copy ETTh1.csv from {ETTH1_URL} to {path} (--data.root sets the folder)."
        rank_zero_info(f"Downloading {ETTH1_URL} ...")
        try:
            with replacing(path) as temporary:
                with urllib.request.urlopen(ETTH1_URL, timeout=30) as answer, temporary.open("wb") as file:
                    shutil.copyfileobj(answer, file)
                if _md5(temporary) != ETTH1_MD5:
                    raise InputError(f"{ETTH1_URL} gave another file than ETTh1.csv: {way_out}")
        except OSError as error:
            raise InputError(f"ETTh1 is not at {path} and could not be downloaded ({error}): {way_out}") from error

    def load(self) -> Series:
        """The file's rows."""
        self.fetch()  # the scaler is one of the model's hyperparameters, so it is needed before the fit
        return read_series(self.path, "date", None, self.only or ETTH1_COLUMNS)

    def cuts(self, total: int) -> Sequence[int]:
        """Those of the literature."""
        return ETTH1_CUTS


class CSV(SeriesSource):
    """A file of the user's own, with one series or several."""

    name = "csv"
    uses = ("csv", "time", "group", "drop", "test_csv", "predict_csv", "val_fraction", "test_fraction")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if settings["target"] is None and settings["targets"] == "one":
            raise InputError("Name the column to forecast with --data.target, or forecast all with --data.targets all.")

    def load(self) -> Series:
        """The file's rows, series by series."""
        check_file(self.settings["test_csv"], "test_csv")
        return self._read("csv", self.only)

    def later(self, stage: str, columns: list[str], times: Mapping[str, Any]) -> Series | None:
        """The series of ``test_csv`` or ``predict_csv``, if it is given."""
        option = f"{stage}_csv"
        return self._read(option, columns, times) if self.settings[option] else None

    def cuts(self, total: int) -> Sequence[int]:
        """As of other sources, but for the test part where ``test_csv`` takes its place."""
        val, test, end = super().cuts(total)
        return (val + end - test, end) if self.settings["test_csv"] else (val, test, end)

    def _read(self, option: str, columns: list[str] | None, times: Mapping[str, Any] | None = None) -> Series:
        path, time, group, drop = (self.settings[name] for name in (option, "time", "group", "drop"))
        return read_series(Path(path), time, group, columns, drop, option, times)


def generated_series(rows: int = 14_400) -> Series:
    """A made-up town's hourly temperature (degrees Celsius) and electricity demand (MW) over 20 months.

    Generated, not measured. Temperature: a year's and a day's wave around 11 degrees, plus weather that lasts for days
    (an AR(1) process). Demand: a daily profile, lower at weekends; a slow rise; heating below 15 and cooling above 20
    degrees of the last day's mean temperature, so that it is not linear in what came before; and AR(1) noise.
    """
    rng = np.random.default_rng(0)
    hour = np.arange(rows)
    clock, day = hour % 24, hour // 24
    weather = _autoregressive(rng.normal(0, 0.45, rows), 0.99)
    temperature = 11 - 11 * np.cos(2 * np.pi * hour / 8766) - 4 * np.cos(2 * np.pi * (clock - 3) / 24) + weather
    felt = pd.Series(temperature).rolling(24, min_periods=1).mean().to_numpy()
    evening, morning = np.exp(-0.5 * ((clock - 19) / 2.5) ** 2), np.exp(-0.5 * ((clock - 9) / 3) ** 2)
    profile = np.where(day % 7 < 5, 14 * morning + 18 * evening, 6 * morning + 15 * evening)
    heating, cooling = np.maximum(0, 15 - felt), np.maximum(0, felt - 20)
    noise = _autoregressive(rng.normal(0, 0.8, rows), 0.8)
    demand = 60 + 4 * hour / 8766 + profile + 1.8 * heating + 3.0 * cooling + noise
    values = np.stack([temperature, demand], axis=1)
    return Series(values, ["temperature", "demand"], [rows], hour, season=24)


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _autoregressive(shocks: NDArray[np.float64], memory: float) -> NDArray[np.float64]:
    """x_t = memory * x_(t-1) + shock_t, with x_0 = shock_0."""
    states = shocks.copy()
    for index in range(1, len(states)):
        states[index] += memory * states[index - 1]
    return states


SOURCES = typing.cast(dict[str, type[SeriesSource]], sources_in(sys.modules[__name__]))
