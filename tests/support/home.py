"""Run folders that are taken to another place, without the data they were trained on."""

import shutil
from pathlib import Path

import pandas as pd

from support.found import recipe
from support.runs import QUICK


def taken_home(name, train, monkeypatch, tmp_path):
    """Fits for a moment, and moves the run folder alone to another place; returns the checkpoint there."""
    recipe(name).main(["fit", *QUICK, *train])
    (best,) = Path("runs").rglob("best.ckpt")
    home = tmp_path / "home"
    shutil.copytree(best.parent, home / "RUN")
    monkeypatch.chdir(home)
    return "RUN/best.ckpt"


def predictions(name, checkpoint, *flags):
    recipe(name).main(["predict", "--ckpt_path", checkpoint, *QUICK[2:], *flags])
    (table,) = Path("runs").rglob("predictions.csv")
    return pd.read_csv(table, dtype=str, keep_default_na=False)
