"""metrics.csv of a run folder: continued when the run is resumed, and read for learning curves."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import rank_zero_experiment
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from nnzoo.files import replacing
from nnzoo.run.folder import METRICS

Curves = dict[str, dict[str, tuple[list[float], list[float]]]]
"""Quantity to stage to (epochs, values)."""


class MetricsWriter(ExperimentWriter):
    """Lightning's, which deletes an earlier file when it is made; this one leaves it."""

    def _check_log_dir_exists(self) -> None:
        pass


class MetricsLogger(CSVLogger):
    """A logger that writes ``metrics.csv`` into the run folder, and goes on with that of a resumed run.

    The rows that the resumed checkpoint knew of stay, with that which was to be the next one; those after it will be
    computed again. They are cut when there is something to write, not before: where a checkpoint refuses the settings,
    the file stays whole.

    Args:
        run_dir: The run folder.
        progress: Of the checkpoint (:func:`nnzoo.run.checkpoint.progress_of`); None for a fit from its start.
    """

    def __init__(self, run_dir: Path, progress: Mapping[str, Any] | None = None) -> None:
        super().__init__(run_dir, name="", version="")
        self._path, self._progress = run_dir / METRICS, progress

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """What writes the file."""
        if self._experiment is None:
            self._experiment = MetricsWriter(log_dir=self.log_dir)
        return self._experiment  # type: ignore[return-value]

    @rank_zero_only
    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Adds a row."""
        self.begin()
        super().log_metrics(metrics, step)

    @rank_zero_only
    def begin(self) -> None:
        """Cuts the file of a resumed run, once."""
        progress, self._progress = self._progress, None
        if progress is None:
            return
        rows: list[Mapping[str, Any]] = []
        names: list[str] = []
        if self._path.is_file():
            with self._path.open(newline="") as file:
                reader = csv.DictReader(file)
                rows += list(reader)[: progress["rows"]]
                names = list(reader.fieldnames or [])
        if progress["next_row"]:
            rows.append(progress["next_row"])
            names = sorted({*names, *progress["next_row"]})
        if names:
            with replacing(self._path) as temporary, temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=names)
                writer.writeheader()
                writer.writerows(rows)
        self.experiment.metrics_keys = names


def rows_written(trainer: L.Trainer) -> int:
    """Rows in metrics.csv so far; 0 where there is none."""
    path = metrics_path(trainer)
    if path is None:
        return 0
    with path.open(newline="") as file:
        return sum(1 for _ in csv.DictReader(file))


def metrics_path(trainer: L.Trainer) -> Path | None:
    """The file with all that was logged so far; None where there is none."""
    logger = next((logger for logger in trainer.loggers if isinstance(logger, CSVLogger)), None)
    if logger is None:
        return None
    if isinstance(logger, MetricsLogger):
        logger.begin()
    logger.save()
    path = Path(logger.log_dir) / METRICS
    return path if path.is_file() else None


def read_curves(trainer: L.Trainer) -> Curves:
    """The curves of the run so far, see :func:`curves_in`."""
    path = metrics_path(trainer)
    return {} if path is None else curves_in(path)


def curves_in(path: Path) -> Curves:
    """Quantity to stage, train or val, to (epochs from 1, values), of a metrics.csv."""
    curves: Curves = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                stage, _, quantity = name.partition("/")
                if stage in ("train", "val") and value:
                    epochs, values = curves.setdefault(quantity, {}).setdefault(stage, ([], []))
                    epochs.append(int(row["epoch"]) + 1)
                    values.append(float(value))
    return curves
