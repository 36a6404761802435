"""The average of the weights is what is validated, saved and tested."""

import csv
from pathlib import Path

import pytest
import torch

from support.found import recipe, run

FLAGS = [
    *("--trainer.max_epochs", "2", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--model.channels", "[4]", "--model.lr_schedule", "constant", "--config", "ema"),
    *("--baselines", "null", "--figures.draw", "false"),
]
pytestmark = pytest.mark.filterwarnings("ignore:.*")


def test_what_is_tested_after_a_fit_is_the_average_that_was_validated_and_saved(in_tmp):
    fitted = run("cnn", FLAGS)
    (best,) = Path("runs").glob("cnn/*/best.ckpt")
    checkpoint = torch.load(best, weights_only=True)
    average, last = checkpoint["state_dict"], checkpoint["current_model_state"]
    assert not torch.allclose(average["net.head.2.weight"], last["net.head.2.weight"])
    without = ["--ckpt_path", str(best), "--trainer.callbacks", "null"]
    assert recipe("cnn").main(["test", *without]) == fitted
    with (best.parent / "metrics.csv").open(newline="") as file:
        validated = [float(row["val/loss"]) for row in csv.DictReader(file) if row["val/loss"]]
    assert recipe("cnn").main(["validate", *without])["val/loss"] == pytest.approx(min(validated), abs=1e-6)


def test_the_average_is_the_exponential_one_of_the_weights_after_each_step(in_tmp):
    run(
        "cnn",
        [*FLAGS, "--trainer.callbacks+=support.helpers.RecordWeights", "--trainer.callbacks.folder=weights"],
        ["fit"],
    )
    steps = torch.load("weights/steps.pt")
    assert len(steps) == 18
    expected = steps[0]
    for weights in steps[1:]:
        expected = 0.99 * expected + 0.01 * weights
    (last,) = Path("runs").glob("cnn/*/last.ckpt")
    torch.testing.assert_close(torch.load(last, weights_only=True)["state_dict"]["net.head.2.weight"], expected)


def test_an_overlays_callback_takes_the_place_of_a_recipes_own_of_its_kind(in_tmp):
    Path("mine.yaml").write_text("trainer: {callbacks: [{class_path: nnzoo.EMA, init_args: {decay: 0.5}}]}\n")
    flags = ["--baselines", "null", "--figures.draw", "false", "--config", "smoke", "--config", "mine.yaml"]
    recipe("rnn").main([*flags, "--config", "ema", "--trainer.accelerator", "cpu"])
    (saved,) = in_tmp.rglob("config.yaml")
    assert saved.read_text().count("nnzoo.EMA") == 2, "both are in the config, the later one counts"
