"""metrics.csv of a run folder: continued when the run is resumed, and read for learning curves."""

import csv
import warnings
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import CSVLogger

from nnzoo.files import replacing
from nnzoo.run.folder import METRICS


def metrics_logger(run_dir: Path, first_step: int = 0) -> CSVLogger:
    """A logger that writes ``metrics.csv`` into the run folder.

    Lightning's logger starts by deleting an earlier file. Here the rows before ``first_step``, the step of the resumed
    checkpoint (:func:`nnzoo.run.progress.steps_at`), stay; those after it will be computed again.
    """
    logger = CSVLogger(run_dir, name="", version="")
    path = run_dir / METRICS
    if not path.is_file():
        return logger
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        rows = [row for row in reader if row["step"] and int(row["step"]) < first_step]
        names = list(reader.fieldnames or [])
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


def read_curves(trainer: L.Trainer) -> dict[str, dict[str, tuple[list[float], list[float]]]]:
    """Quantity to stage to (epochs, values) of the run so far, from metrics.csv."""
    curves: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    logger = next((logger for logger in trainer.loggers if isinstance(logger, CSVLogger)), None)
    if logger is None:
        return curves
    logger.save()
    path = Path(logger.log_dir) / METRICS
    if not path.is_file():
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
