"""Files of series."""

import numpy as np
import pandas as pd
import torch

H, HORIZON = 8, 3


def sales(rows=100, seed=0, **columns):
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({"date": pd.date_range("2024-01-01", periods=rows, freq="D").astype(str)})
    table["units"] = rng.normal(50, 10, rows).round(3)
    table["price"] = rng.normal(3, 0.5, rows).round(3)
    return table.assign(**columns)


def whole(data, part):
    """History and target of all windows of a part, in order."""
    dataset = data.parts[part]
    history, *_, target = dataset.batch(torch.arange(len(dataset.origins)))
    return history, target
