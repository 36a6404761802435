"""What is tested, drawn and kept is the best epoch's, not the last one's, unless the module says so."""

import json
from pathlib import Path

import pytest
import torch

from nnzoo.run.checkpoint import read_checkpoint
from nnzoo.run.recipe import run_recipe
from support.found import recipe
from support.runs import rows, run_folder
from toys import toy_graphs
from toys.toy_graphs import ToyGraphClassifier, ToyGraphs

pytestmark = pytest.mark.filterwarnings("ignore:.*")
FLAGS = ["--trainer.max_epochs", "3", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
FLAGS += ["--baselines", "null", "--trainer.enable_model_summary", "false"]


class Forgetful(ToyGraphClassifier):
    """Loses what it has learned at the start of its third epoch; keeps the weights that its pictures are drawn from."""

    drawn: list = []  # noqa: RUF012 - filled by all instances

    def on_train_epoch_start(self):
        if self.current_epoch == 2:
            with torch.no_grad():
                for parameter in self.parameters():
                    parameter.mul_(-30)

    def figures(self, batch, facts):
        self.drawn.append({name: value.clone() for name, value in self.state_dict().items()})
        return {}


@pytest.fixture
def run(in_tmp):
    """A run whose second epoch was its best: its metrics and its folder."""
    Forgetful.drawn.clear()
    metrics = recipe("toy_graphs").main([*FLAGS, "--model", f"{__name__}.Forgetful"])
    folder = run_folder(Path("runs"))
    losses = [float(row["val/loss"]) for row in rows(folder) if "val/loss" in row]
    assert losses.index(min(losses)) == 1
    assert losses[2] > 2 * losses[1]
    return metrics, folder


def test_a_fit_ends_with_a_test_of_its_best_epoch(run):
    metrics, folder = run
    best, last = (read_checkpoint(folder / name) for name in ("best.ckpt", "last.ckpt"))
    assert (best["epoch"], last["epoch"]) == (1, 2)
    tested = {
        name: recipe("toy_graphs").main(["test", "--ckpt_path", str(folder / name), "--figures.draw", "false"])
        for name in ("best.ckpt", "last.ckpt")
    }
    for name, value in tested["best.ckpt"].items():
        assert metrics[name] == pytest.approx(value), name
    assert tested["last.ckpt"]["test/loss"] > 1.5 * metrics["test/loss"]


def test_pictures_are_drawn_from_the_tested_weights(run):
    _, folder = run
    (drawn,) = Forgetful.drawn
    torch.testing.assert_close(drawn, dict(read_checkpoint(folder / "best.ckpt")["state_dict"]), rtol=0, atol=0)


def test_the_record_says_which_epoch_was_tested_and_why(run):
    _, folder = run
    record = json.loads((folder / "result.json").read_text())
    assert (record["best_epoch"], record["best_by"], record["epochs"]) == (2, "lowest val/loss", 3)


class LastOne(Forgetful):
    """Is tested by its last weights, whatever validation says of them."""

    best_by = ("step", "max")


@pytest.mark.parametrize("flags", [[], ["--trainer.val_check_interval", "0.5"]])
def test_of_a_module_that_says_so_the_last_weights_are_the_best(flags, in_tmp, capsys):
    """Also where there are several validations in an epoch."""
    metrics = run_recipe(LastOne, ToyGraphs, toy_graphs.__file__, [*FLAGS, *flags])
    folder = run_folder(Path("runs"))
    best, last = (read_checkpoint(folder / name) for name in ("best.ckpt", "last.ckpt"))
    assert best["global_step"] == last["global_step"]
    torch.testing.assert_close(dict(best["state_dict"]), dict(last["state_dict"]), rtol=0, atol=0)
    record = json.loads((folder / "result.json").read_text())
    assert (record["best_epoch"], record["best_by"]) == (3, "last")
    assert record["metrics"]["test/loss"] == metrics["test/loss"] > 2
    assert "tested: the weights after epoch 3 of 3, last\n" in capsys.readouterr().out


def test_a_flag_overrules_the_module(in_tmp, capsys):
    by_loss = ["--checkpoint.monitor", "val/loss", "--checkpoint.mode", "min"]
    run_recipe(LastOne, ToyGraphs, toy_graphs.__file__, [*FLAGS, *by_loss])
    assert read_checkpoint(run_folder(Path("runs")) / "best.ckpt")["epoch"] == 1
    assert "tested: the weights after epoch 2 of 3, of the lowest val/loss\n" in capsys.readouterr().out
