"""A trained forecaster continues new files with its run folder alone: scales, calendar and date order come with it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import Trainer

from nnzoo import ForecastBaselines, ForecastDataModule, Forecaster, InputError
from support.found import recipe
from support.home import predictions, taken_home
from support.runs import SMOKE

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def sales(days, shop, size, seed):
    rng = np.random.default_rng(seed)
    units = size * (10 + np.arange(len(days)) % 5 + rng.random(len(days)))
    return pd.DataFrame({"day": days.strftime("%d/%m/%Y"), "shop": shop, "units": units.round(4)})


@pytest.fixture
def trained(in_tmp, monkeypatch, tmp_path):
    """Business days of two shops of very different size."""
    days = pd.date_range("2023-01-02", periods=150, freq="B")
    pd.concat([sales(days, "007", 1, 0), sales(days, "8", 1000, 1)]).to_csv("sales.csv", index=False)
    flags = ["--data.csv", "sales.csv", "--data.time", "day", "--data.group", "shop", "--data.target", "units"]
    return taken_home("forecaster", [*flags, "--data.min_windows", "64"], monkeypatch, tmp_path)


def test_new_rows_are_scaled_dated_and_continued_as_the_training_file_was(trained):
    """A week and two days, all of whose dates may have the month first, tell neither weekends nor the order."""
    model = Forecaster.load_from_checkpoint(trained, map_location="cpu").eval()
    history = model.hparams["history"]
    days = pd.bdate_range(end="2024-07-12", periods=history)
    new = [sales(days, "8", 1000, 2), sales(days, "new", 50, 3), sales(days, "007", 1, 4)]
    pd.concat(new).to_csv("new.csv", index=False)
    table = predictions("forecaster", trained, "--data.predict_csv", "new.csv")
    horizon = model.hparams["horizon"]
    following = pd.bdate_range("2024-07-15", periods=horizon).strftime("%d/%m/%Y")
    assert table["day"].tolist() == [*following] * 3
    assert table["shop"].tolist() == [name for name in ("8", "new", "007") for _ in range(horizon)]
    histories = torch.tensor(np.stack([rows["units"] for rows in new]), dtype=torch.float32)[:, :, None]
    with torch.no_grad():
        expected = model(histories, torch.tensor([[1], [-1], [0]]))
    np.testing.assert_allclose(table["units"].astype(float), expected.flatten(), rtol=1e-4)


def test_new_rows_are_tested_as_where_the_training_file_is(trained, tmp_path):
    """The scale of MASE comes with the checkpoint; pictures name days of the file."""
    days = pd.bdate_range("2024-02-05", periods=80)
    pd.concat([sales(days, "8", 1000, 2), sales(days, "new", 50, 3)]).to_csv("test.csv", index=False)
    flags = [*SMOKE[2:], "--figures.draw", "true", "--data.test_csv", "test.csv"]
    home = recipe("forecaster").main(["test", "--ckpt_path", trained, *flags])
    (figure,) = Path("runs").rglob("forecasts.png")
    assert figure.stat().st_size > 0
    model = Forecaster.load_from_checkpoint(trained, map_location="cpu").eval()
    settings = {"csv": str(tmp_path / "sales.csv"), "time": "day", "group": "shop", "target": "units"}
    there = ForecastDataModule(**settings, test_csv="test.csv", history=model.hparams["history"], horizon=5)
    there.setup()
    trainer = Trainer(logger=False, enable_progress_bar=False, enable_checkpointing=False, accelerator="cpu")
    (expected,) = trainer.test(model, there, verbose=False)
    mase = home.pop("test/mase"), expected.pop("test/mase")  # of another training part there, without one for the test
    assert home == pytest.approx(expected)
    trained_on = ForecastDataModule(**settings)
    assert mase[0] == pytest.approx(mase[1] * float(there.naive_error[1, 0] / trained_on.naive_error[1, 0]))
    data = ForecastDataModule.load_from_checkpoint(trained, test_csv="test.csv")
    data.setup("test")
    assert data.parts.keys() == {"test"}
    with pytest.raises(InputError, match=r"no file sales\.csv"):
        data.setup("fit")


def test_baselines_beside_a_test_file_see_the_training_part_that_the_model_has_seen(trained, tmp_path):
    """Without a test part to cut off, the rows would be cut elsewhere, and the default history be another."""
    days = pd.bdate_range("2024-02-05", periods=80)
    pd.concat([sales(days, "8", 1000, 2), sales(days, "new", 50, 3)]).to_csv("test.csv", index=False)
    settings = {"csv": str(tmp_path / "sales.csv"), "time": "day", "group": "shop", "target": "units"}
    first = ForecastDataModule(**settings)
    first.setup()
    later = ForecastDataModule.load_from_checkpoint(trained, csv=settings["csv"], test_csv="test.csv")
    later.setup("test")
    tested = later.parts["test"]
    later.setup()
    assert later.parts["test"] is tested, "or what is to be told of the file would be told again"
    for part in ("train", "val"):
        for ours, theirs in zip(later.windows(part, 10**6), first.windows(part, 10**6), strict=True):
            torch.testing.assert_close(ours, theirs)
    scores = ForecastBaselines().scores(Forecaster.load_from_checkpoint(trained, map_location="cpu").eval(), later)
    assert scores.keys() == {"naive", "seasonal_naive", "ridge"}


def test_the_calendar_of_the_training_file_counts_for_files_too_short_to_tell(trained):
    state = torch.load(trained, weights_only=True)["ForecastDataModule"]
    assert state["facts"]["series_names"] == ["007", "8"]
    assert state["fitted"]["day_first"] is True
    assert Path(trained).parent.parent.name == "home" or not Path("sales.csv").exists()
    days = pd.bdate_range("2024-02-05", periods=state["facts"]["history"])  # 05/02/2024: the day first, as in training
    sales(days, "007", 1, 5).to_csv("new.csv", index=False)
    table = predictions("forecaster", trained, "--data.predict_csv", "new.csv")
    assert table["day"][0] == (days[-1] + pd.offsets.BDay()).strftime("%d/%m/%Y")


def test_numbers_of_days_in_place_of_dates_are_refused(trained):
    days = pd.Series(range(45292, 45392), name="day").astype(str)
    pd.DataFrame({"day": days, "shop": "8", "units": range(100)}).to_csv("new.csv", index=False)
    with pytest.raises(InputError, match=r"new\.csv: day is 45292, where the training file has 20"):
        predictions("forecaster", trained, "--data.predict_csv", "new.csv")


def test_rows_that_training_has_are_told_without_the_training_file(trained):
    days = pd.bdate_range("2023-03-06", periods=80)
    sales(days, "8", 1000, 2).to_csv("test.csv", index=False)
    data = ForecastDataModule.load_from_checkpoint(trained, test_csv="test.csv")
    with pytest.warns(UserWarning, match=r"tests from 2023-0.* but the training series '8' goes on until 2023-07-28"):
        data.setup("test")
