from unittest import mock

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import imread
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import ImageDataModule
from nnzoo.run.figures import MAX_SAMPLES, held_out, num_values
from support.found import recipe
from toys.toy_graphs import ToyGraphClassifier, ToyGraphs

pytestmark = pytest.mark.filterwarnings("ignore:.*")
QUICK = ["--config", "smoke", "--trainer.accelerator", "cpu", "--baselines", "null"]
QUICK += ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]


class Shown(ToyGraphClassifier):
    """Keeps what its pictures are drawn from."""

    batches: list = []  # noqa: RUF012 - filled by all instances

    def figures(self, batch, facts):
        self.batches.append((batch, facts["classes"], self.training))
        return {"one": Figure(figsize=(2, 1), dpi=50, facecolor="tab:red"), "other": Figure(facecolor="tab:blue")}


def test_a_whole_run_draws_once_and_a_fit_alone_too(in_tmp):
    for subcommand in ([], ["fit"]):
        Shown.batches.clear()
        recipe("toy_graphs").main([*subcommand, *QUICK, "--model", f"{__name__}.Shown"])
        ((batch, classes, training),) = Shown.batches
        assert classes == ["sparse", "dense"]
        assert not training
        assert len(batch["labels"]) == 40, "all of a small part"
        data = ToyGraphs()
        data.setup()
        own, another = (data.choose(name, 40)["nodes"] for name in (("val", "test") if subcommand else ("test", "val")))
        assert torch.equal(batch["nodes"], own)
        assert not torch.equal(batch["nodes"], another)
    assert {path.name for path in in_tmp.rglob("*.png")} == {"one.png", "other.png", "learning_curves.png"}
    for name, color in (("one", "tab:red"), ("other", "tab:blue")):
        for path in in_tmp.rglob(f"{name}.png"):
            pixels = imread(path)
            np.testing.assert_allclose(pixels[..., :3].reshape(-1, 3), [to_rgb(color)] * (pixels.size // 4), atol=0.01)
    assert imread(next(in_tmp.rglob("one.png"))).shape[:2] == (50, 100)


def test_no_pictures_are_drawn_if_none_are_wanted(in_tmp):
    Shown.batches.clear()
    recipe("toy_graphs").main([*QUICK, "--model", f"{__name__}.Shown", "--figures.draw", "false"])
    assert not Shown.batches
    assert not list(in_tmp.rglob("*.png"))


def test_a_picture_that_fails_does_not_cost_the_run(in_tmp):
    broken = mock.patch.object(ToyGraphClassifier, "figures", side_effect=ZeroDivisionError("nothing to divide"))
    with broken, pytest.warns(UserWarning, match="could not be drawn"):
        assert "test/loss" in recipe("toy_graphs").main(QUICK)


def trainer_with(data):
    trainer = L.Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
    trainer.datamodule = data
    return trainer


def test_what_is_shown_is_a_seeded_choice_of_the_whole_part_and_not_its_first_rows():
    """As of a folder, whose images come class by class."""
    data = ImageDataModule()
    data.setup()
    part = data.parts["test"]
    order = part.labels.argsort(stable=True)
    part.images, part.labels = part.images[order], part.labels[order]
    with mock.patch("nnzoo.run.figures.MAX_SAMPLES", 60):
        images, labels = held_out(trainer_with(data), "test")
        again = held_out(trainer_with(data), "test")[0]
    assert len(labels) == 60
    assert set(labels.tolist()) == set(range(10)), "every class is among them"
    assert torch.equal(images, again)
    whole = data.tensors("test")[0]
    assert all((whole == image).flatten(1).all(1).any() for image in images)


def test_large_samples_are_shown_in_smaller_numbers():
    data = ImageDataModule()
    size = num_values(data.choose("test", 1))
    assert 64 + 1 <= size <= 2000
    with mock.patch("nnzoo.run.figures.MAX_VALUES", 10 * size + 1):
        assert len(held_out(trainer_with(data), "val")[1]) == 10
    assert MAX_SAMPLES > 1


def test_graphs_are_chosen_whole():
    batch = held_out(trainer_with(ToyGraphs()), "val")
    assert int(batch["graph"].max()) + 1 == len(batch["labels"]) == 40
    assert batch["edges"].max() < len(batch["nodes"])


def test_without_our_datamodules_the_first_batch_is_shown():
    loader = DataLoader(TensorDataset(torch.arange(10.0)), batch_size=4)
    trainer = trainer_with(None)
    with mock.patch.object(L.Trainer, "test_dataloaders", loader):
        assert held_out(trainer, "test")[0].tolist() == [0, 1, 2, 3]


def test_the_curves_mark_the_epoch_of_the_best_checkpoint(in_tmp, monkeypatch):
    marked = []
    monkeypatch.setattr("nnzoo.run.figures.learning_curves", lambda curves, best: marked.append(best) or Figure())
    flags = ["--trainer.max_epochs", "4", "--trainer.accelerator", "cpu", "--baselines", "null", "--model.lr", "10"]
    recipe("toy_graphs").main([*flags, "--trainer.enable_progress_bar", "false"])
    (curves,) = in_tmp.rglob("metrics.csv")
    losses = pd.read_csv(curves).dropna(subset=["val/loss"])
    assert marked == [int(losses.loc[losses["val/loss"].idxmin(), "epoch"]) + 1]
