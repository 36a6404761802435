"""What is tested, drawn and kept is the best epoch's, not the last one's."""

from pathlib import Path

import pytest
import torch

from nnzoo.run.checkpoint import read_checkpoint
from support.found import recipe
from support.runs import rows, run_folder
from toys.toy_graphs import ToyGraphClassifier

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
