"""What ``predict`` writes: ``predictions.csv``, which a user can read, and ``predictions.pt``, which holds it all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import pandas as pd
import torch
from lightning.pytorch.callbacks import BasePredictionWriter

from nnzoo.data.facts import Facts, datamodule_of
from nnzoo.files import replacing
from nnzoo.modules.base import ZooModule
from nnzoo.run.folder import PREDICTED_BATCHES, PREDICTIONS
from nnzoo.run.pictures import save_picture

FORMULAS = ("=", "+", "-", "@")
"""What a formula of a spreadsheet begins with."""


class PredictionWriter(BasePredictionWriter):
    """Writes what ``predict_step`` returned into the run folder.

    ``predictions.pt`` is a list with an entry for each batch. ``predictions.csv`` has a line for each prediction, where
    the module and the datamodule have a table for it: the columns of the datamodule's ``predicted_rows()`` say what was
    predicted (a file, a row, a date), those of the module's ``prediction_columns(predictions, facts)`` what came out.
    What a module makes up it may hand over as pictures, by ``drawn_files(predictions)``.
    """

    def __init__(self) -> None:
        super().__init__(write_interval="epoch")

    def write_on_epoch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, predictions: Sequence[Any], batch_indices: Sequence[Any]
    ) -> None:
        """Writes both files, whole or not at all."""
        folder = Path(trainer.default_root_dir)
        with replacing(folder / PREDICTED_BATCHES) as temporary:
            torch.save(predictions, temporary)
        written = f"{PREDICTED_BATCHES} (batch by batch)"
        data = datamodule_of(trainer)
        rows = data.predicted_rows() if hasattr(data, "predicted_rows") else None
        drawn = isinstance(pl_module, ZooModule) and pl_module.draws
        rows = pd.DataFrame(index=range(sum(map(len, predictions)))) if drawn else rows
        columns = pl_module.prediction_columns(predictions, Facts(data)) if isinstance(pl_module, ZooModule) else {}
        if rows is not None and columns:
            # A column of the user's file may have the name of one of ours.
            columns = {f"{name} (predicted)" if name in rows else name: values for name, values in columns.items()}
            predicted = pd.DataFrame(columns)
            # The batches come in order, and --trainer.limit_predict_batches may have ended them early.
            table = pd.concat([rows.head(len(predicted)).reset_index(drop=True), predicted], axis=1)
            with replacing(folder / PREDICTIONS) as temporary:
                without_formulas(table).to_csv(temporary, index=False, errors="surrogateescape")
            written = f"{PREDICTIONS} ({len(table)} rows) and {written}"
        pictures = pl_module.drawn_files(predictions) if isinstance(pl_module, ZooModule) else {}
        for name, picture in pictures.items():
            save_picture(folder / name, picture)
        print(f"written: {f'{len(pictures)} pictures, ' if pictures else ''}{written}")


def without_formulas(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a quote before texts that a spreadsheet would run as formulas, names of columns included."""
    texts = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    changed = {name: table[name].astype(object).map(quoted) for name in texts}
    return table.assign(**changed).set_axis([quoted(name) for name in table.columns], axis=1)


def quoted(value: Any) -> Any:
    """A text that begins as a formula does, but is no number, with a quote in front; anything else as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(FORMULAS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
