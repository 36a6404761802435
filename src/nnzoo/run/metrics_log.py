"""metrics.csv of a run folder, continued when the run is resumed."""

import csv
import warnings
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger

from nnzoo.files import replacing


def metrics_logger(run_dir: Path, first_step: int = 0) -> CSVLogger:
    """A logger that writes ``metrics.csv`` into the run folder.

    Lightning's logger starts by deleting an earlier file. Here the rows before ``first_step``, the step of the resumed
    checkpoint, stay; those after it will be computed again.
    """
    logger = CSVLogger(run_dir, name="", version="")
    path = run_dir / "metrics.csv"
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
