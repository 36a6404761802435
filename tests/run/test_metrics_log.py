"""metrics.csv goes on where a resumed run goes on, and is read back as curves."""

import csv

import lightning as L

from nnzoo.run.metrics_log import MetricsLogger, read_curves
from support.quiet import QUIET

ROWS = "epoch,step,train/loss,val/loss\n0,9,0.9,\n0,9,,0.8\n1,19,0.5,\n1,19,,0.6\n"


def test_rows_that_a_resumed_checkpoint_did_not_know_are_dropped_and_those_before_stay(tmp_path):
    (tmp_path / "metrics.csv").write_text(ROWS)
    logger = MetricsLogger(tmp_path, {"rows": 2, "next_row": {}})
    logger.log_metrics({"val/loss": 0.7, "epoch": 1}, step=19)
    logger.save()
    with (tmp_path / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["train/loss"], row["val/loss"]) for row in rows] == [
        ("9", "0.9", ""),
        ("9", "", "0.8"),
        ("19", "", "0.7"),
    ]


def test_curves_have_an_epoch_for_each_value_counted_from_one(tmp_path):
    (tmp_path / "metrics.csv").write_text(ROWS)
    logger = MetricsLogger(tmp_path, {"rows": 4, "next_row": {}})
    curves = read_curves(L.Trainer(**{**QUIET, "logger": logger}))
    assert curves == {"loss": {"train": ([1, 2], [0.9, 0.5]), "val": ([1, 2], [0.8, 0.6])}}
