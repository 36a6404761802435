"""The lines that say how far a fit is."""

import csv
import re
from pathlib import Path

import pytest

from support.found import recipe
from support.runs import run_folder

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def test_losses_are_those_of_the_epoch_that_a_line_names(in_tmp, capsys):
    recipe("mlp").main(["--trainer.max_epochs", "3", "--baselines", "null", "--figures.draw", "false"])
    printed = capsys.readouterr().out
    found = re.findall(r"^epoch (\d) of 3, train/loss (\S+), val/loss (\S+)$", printed, re.MULTILINE)
    assert [line[0] for line in found] == ["1", "2", "3"]
    with (run_folder(Path("runs")) / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    for number, *losses in found:
        for name, printed_loss in zip(("train/loss", "val/loss"), losses, strict=True):
            (measured,) = [row[name] for row in rows if row["epoch"] == str(int(number) - 1) and row[name]]
            assert f"{float(measured):.4g}" == printed_loss
