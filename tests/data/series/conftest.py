import pytest

from nnzoo import ForecastDataModule
from support.series import HORIZON, H


@pytest.fixture
def data_of(tmp_path):
    """Writes a table and returns its datamodule, set up."""

    def make(table, **settings):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
        table.to_csv(path, index=False)
        defaults = {"time": "date", "target": "units", "history": H, "horizon": HORIZON, "batch_size": 8}
        data = ForecastDataModule(csv=str(path), **{**defaults, **settings})
        data.setup()
        return data

    return make
