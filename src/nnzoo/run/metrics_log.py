"""metrics.csv of a run folder: continued when the run is resumed, and read for learning curves."""

import csv
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.loggers import CSVLogger

from nnzoo.files import replacing
from nnzoo.run.folder import METRICS


def metrics_logger(run_dir: Path, progress: Mapping[str, Any] | None = None) -> CSVLogger:
    """A logger that writes ``metrics.csv`` into the run folder.

    Lightning's logger starts by deleting an earlier file. Here the rows that a resumed checkpoint knew of stay, with
    that which was to be the next one; those after it will be computed again.

    Args:
        run_dir: The run folder.
        progress: Of the checkpoint (:func:`nnzoo.run.checkpoint.progress_of`); None for a fit from its start.
    """
    logger = CSVLogger(run_dir, name="", version="")
    path = run_dir / METRICS
    rows: list[Mapping[str, Any]] = []
    names: list[str] = []
    if progress and path.is_file():
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            rows += list(reader)[: progress["rows"]]
            names = list(reader.fieldnames or [])
    if progress and progress["next_row"]:
        rows.append(progress["next_row"])
        names = sorted({*names, *progress["next_row"]})
    if not rows and not path.is_file():
        return logger
    with replacing(path) as temporary:
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=names)
            writer.writeheader()
            writer.writerows(rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it announces the deletion
            experiment = logger.experiment
    experiment.metrics_keys = names
    return logger


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
    logger.save()
    path = Path(logger.log_dir) / METRICS
    return path if path.is_file() else None


def read_curves(trainer: L.Trainer) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """Quantity to stage to (epochs, values) of the run so far, from metrics.csv."""
    curves: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    path = metrics_path(trainer)
    if path is None:
        return curves
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                stage, _, quantity = name.partition("/")
                if stage in ("train", "val") and value:
                    epochs, values = curves.setdefault(quantity, {}).setdefault(stage, ([], []))
                    epochs.append(int(row["epoch"]) + 1)
                    values.append(float(value))
    return curves
