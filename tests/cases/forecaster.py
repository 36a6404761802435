"""The forecaster in the tests over all families."""

from pathlib import Path

import numpy as np

from support.case import Case


def write_sales() -> None:
    """sales.csv, five years of days."""
    days = np.arange("2015-01-01", "2020-01-01", dtype="datetime64[D]")
    noise = np.random.default_rng(0).random(len(days))
    lines = [f"{day},{10 + 5 * (i % 7) + noise[i]}\n" for i, day in enumerate(days)]
    Path("sales.csv").write_text("date,units\n" + "".join(lines))


forecaster = Case(
    noiseless=["--model.dropout", "0"],
    shorter={"batch_size": 640},
    quicker={"hidden_size": 16},
    other_values={"patch_length": [12]},
    files=write_sales,
    trained_on=["--data.csv", "sales.csv", "--data.time", "date", "--data.target", "units"],
)
