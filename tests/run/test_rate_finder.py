"""--lr_find: the rate that it finds is the one that is used, and nothing else is left of the trial."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from nnzoo import InputError, MLPClassifier
from nnzoo.plots.curves import rate_curve
from nnzoo.run import rate_finder
from nnzoo.run.rate_finder import steepest
from support.found import recipe
from support.runs import assert_same_bits, run_folder

pytestmark = pytest.mark.filterwarnings("ignore:.*")
FLAGS = [
    *("--trainer.max_epochs", "2", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--baselines", "null", "--figures.draw", "false", "--model.hidden", "[16]", "--model.lr_schedule", "cosine"),
]
RATES = np.geomspace(1e-6, 1, 100)


def test_the_fit_has_the_bits_of_one_that_was_started_with_the_rate_that_was_found(in_tmp, capsys):
    found = recipe("mlp").main([*FLAGS, "--lr_find", "true", "--trainer.default_root_dir", "found"])
    folder = run_folder(Path("found"))
    printed = capsys.readouterr()
    assert "few for a network" not in printed.err + printed.out
    assert "Finding best" not in printed.err
    record = json.loads((folder / "result.json").read_text())
    rate = record["hyperparameters"]["model"]["lr"]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert (config["model"]["lr"], config["lr_find"]) == (rate, False)
    assert (folder / "figures" / "learning_rates.png").is_file()
    assert {path.name for path in folder.glob("*.ckpt")} == {"best.ckpt", "last.ckpt"}

    by_hand = recipe("mlp").main([*FLAGS, "--model.lr", str(rate), "--trainer.default_root_dir", "hand"])
    other = run_folder(Path("hand"))
    assert by_hand == found
    assert (other / "metrics.csv").read_bytes() == (folder / "metrics.csv").read_bytes()
    for checkpoint in ("last.ckpt", "best.ckpt"):
        keys = ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "loops")
        assert_same_bits(folder / checkpoint, other / checkpoint, keys)


@pytest.mark.parametrize("accumulated", [1, 2])
def test_the_picture_is_the_running_mean_of_the_losses_over_the_rates(in_tmp, monkeypatch, accumulated):
    trial, drawn, training_step = [], [], MLPClassifier.training_step

    def recorded(self, batch, batch_idx):
        loss = training_step(self, batch, batch_idx)
        assert self.trainer.num_training_batches % 2 == 1, "an epoch's last batch makes a step of its own"
        if not drawn and (batch_idx + 1) % accumulated == 0:
            trial.append((self.trainer.optimizers[0].param_groups[0]["lr"], loss.item()))
        return loss

    monkeypatch.setattr(MLPClassifier, "training_step", recorded)
    monkeypatch.setattr(rate_finder, "rate_curve", lambda *curve: drawn.append(rate_curve(*curve)) or drawn[0])
    recipe("mlp").main([*FLAGS, "--lr_find", "true", "--trainer.accumulate_grad_batches", str(accumulated)])
    rates, losses = zip(*trial, strict=True)
    (axis,) = drawn[0].axes
    shown_rates, shown = axis.get_lines()[0].get_data()
    assert len(shown) > 50
    assert shown_rates == pytest.approx(rates, rel=1e-6)
    assert shown == pytest.approx(pd.Series(losses).ewm(alpha=0.02).mean().to_numpy(), rel=1e-6)


def test_without_a_rate_that_stands_out_the_curve_is_drawn_and_the_run_refused(in_tmp):
    still = ["--model.lr_warmup", "0.5", "--trainer.gradient_clip_val", "1e-12", "--model.optimizer", "sgd"]
    with pytest.raises(InputError, match=r"No learning rate .* stands out, see .*learning_rates\.png: set"):
        recipe("mlp").main([*FLAGS, *still, "--lr_find", "true"])
    (folder,) = {path.parents[1] for path in Path("runs").rglob("learning_rates.png")}
    assert not list(folder.rglob("*.ckpt"))


def test_a_command_lines_own_optimizer_has_no_rate_to_find(in_tmp):
    with pytest.raises(InputError, match=r"--lr_find sets --model\.lr of one optimizer, which does not act here"):
        recipe("mlp").main([*FLAGS, "--lr_find", "true", "--optimizer", "SGD", "--optimizer.lr", "0.1"])


@pytest.mark.parametrize("center", [1e-4, 1e-3, 1e-2])
def test_the_steepest_fall_over_the_logarithm_is_found(center):
    """Of a logistic curve it is at the centre."""
    losses = 2 - 1 / (1 + (RATES / center) ** -2)
    assert steepest(RATES, losses) == pytest.approx(center, rel=0.1)
    rising = np.where(20 * center < RATES, 9.0, losses)
    assert steepest(RATES, rising) == pytest.approx(center, rel=0.1)
    assert steepest(RATES, np.where(20 * center < RATES, np.nan, losses)) == pytest.approx(center, rel=0.1)


FALLS_AT_ONCE, FALLS_LAST = 2 - np.exp(-RATES / 1e-6), 2 - np.linspace(0, 1, 100) ** 9


@pytest.mark.parametrize(
    "losses", [np.ones(100), np.linspace(1, 2, 100), np.full(100, np.nan), FALLS_AT_ONCE, FALLS_LAST]
)
def test_what_does_not_stand_out_is_not_found(losses):
    assert steepest(RATES, losses) is None


def test_the_picture_marks_the_rate():
    (axis,) = rate_curve(RATES, 1 - RATES, 0.01).axes
    assert axis.get_xscale() == "log"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["0.01"]
    curve, mark = axis.get_lines()
    assert list(curve.get_ydata()) == list(1 - RATES)
    assert list(mark.get_xdata()) == [0.01, 0.01]
