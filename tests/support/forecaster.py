"""A forecaster trained for a moment on random walks."""

import lightning as L
import numpy as np
import pandas as pd
import torch

from nnzoo import ForecastDataModule, Forecaster
from nnzoo.baselines.series import ForecastBaselines
from support.found import linked
from support.quiet import QUIET

H, HORIZON = 24, 6


def walk(rows=400, columns=2, seed=0):
    """A file's rows: daily random walks with a weekly wave, of different levels and units."""
    rng = np.random.default_rng(seed)
    wave = 3 * np.sin(2 * np.pi * np.arange(rows) / 7)[:, None]
    values = (rng.normal(size=(rows, columns)).cumsum(axis=0) + wave) * [1.0, 50.0][:columns] + [10.0, 4000.0][:columns]
    table = pd.DataFrame(values, columns=["units", "income"][:columns])
    return table.assign(date=pd.date_range("2024-01-01", periods=rows, freq="D").astype(str))


def train(folder, table, model=None, **settings):
    """Trains a moment on a table, written into a folder, with the baselines; returns (module, data, test metrics)."""
    path = folder / "walk.csv"
    table.to_csv(path, index=False)
    defaults = {"time": "date", "targets": "all", "history": H, "horizon": HORIZON, "batch_size": 32, "min_windows": 1}
    data = ForecastDataModule(csv=str(path), **{**defaults, **settings})
    torch.manual_seed(0)
    small = {} if (model or {}).get("net") == "linear" else {"hidden_size": 8}
    module = Forecaster(**linked(Forecaster, data), **{**small, "instance_norm": "last", **(model or {})})
    trainer = L.Trainer(**QUIET, max_epochs=2, callbacks=[ForecastBaselines()])
    trainer.fit(module, data)
    (metrics,) = trainer.test(module, data, verbose=False)
    return module.eval(), data, metrics
