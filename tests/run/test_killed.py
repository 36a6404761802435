"""Killed at any place and resumed: metrics.csv and the record are those of the run that was never stopped."""

import json
import re
import signal
from pathlib import Path

import pytest

from support.forked import run_forked
from support.found import recipe
from support.runs import assert_same_bits, run_folder

pytestmark = pytest.mark.filterwarnings("ignore:.*")
NAME = "mlp"
FLAGS = [
    *("--last_checkpoint.seconds", "0"),
    *("--trainer.max_epochs", "3", "--trainer.limit_train_batches", "6", "--data.batch_size", "32"),
    *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", "--baselines", "null"),
    *("--trainer.enable_model_summary", "false", "--figures.draw", "false", "--model.hidden", "[16]"),
]
SETTINGS = {
    "each epoch": [],
    "within epochs": ["--trainer.val_check_interval", "2"],
    "every second epoch": ["--trainer.check_val_every_n_epoch", "2"],
    # Saved between the last batch of every other validation and that validation.
    "saved before": [
        *("--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint", "--trainer.callbacks.filename=step"),
        *("--trainer.callbacks.every_n_train_steps=3", "--trainer.callbacks.enable_version_counter=false"),
    ],
}


def at(hook, call):
    flags = ["--trainer.callbacks+=support.helpers.KillAt", f"--trainer.callbacks.hook={hook}"]
    return [*flags, f"--trainer.callbacks.call={call}"]


def after_saving(stem, times):
    flags = ["--trainer.plugins=support.helpers.KillAfterSaving", f"--trainer.plugins.stem={stem}"]
    return [*flags, f"--trainer.plugins.times={times}"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Runs that are never stopped, one for each of the settings, made when they are asked for."""
    root, runs = tmp_path_factory.mktemp("whole"), {}

    def run(validation):
        if validation not in runs:
            recipe(NAME).main([*FLAGS, *SETTINGS[validation], "--trainer.default_root_dir", str(root / validation)])
            runs[validation] = run_folder(root / validation)
        return runs[validation]

    return run


@pytest.mark.parametrize(
    ("validation", "kill"),
    [
        ("each epoch", at("on_train_batch_start", 9)),
        ("each epoch", after_saving("last", 1)),  # before the training metrics of the epoch are logged
        ("each epoch", after_saving("last", 3)),  # of the last epoch
        ("each epoch", at("on_test_batch_start", 1)),
        ("within epochs", at("on_validation_end", 5)),
        ("within epochs", at("on_train_batch_start", 10)),  # best.ckpt may lie in the middle of the epoch
        ("every second epoch", after_saving("last", 1)),
        ("every second epoch", after_saving("last", 2)),
        ("saved before", at("on_validation_batch_start", 3)),
        ("saved before", after_saving("step", 4)),
    ],
)
def test_killed_and_resumed_leaves_the_files_of_the_run_that_was_never_stopped(validation, kill, whole, in_tmp):
    result = run_forked([f"nnzoo.recipes.{NAME}", *FLAGS, *SETTINGS[validation], *kill])
    assert result.returncode == -signal.SIGKILL, result.stderr
    killed = run_folder(Path("runs"))
    config = killed / "config.yaml"  # no power cut this time
    config.write_text(re.sub(r"(call|times): \d+", r"\1: 0", config.read_text()))
    recipe(NAME).main(["--resume", str(killed)])

    uninterrupted = whole(validation)
    assert (killed / "metrics.csv").read_bytes() == (uninterrupted / "metrics.csv").read_bytes()
    records = [json.loads((folder / "result.json").read_text()) for folder in (killed, uninterrupted)]
    for key in ("metrics", "last", "best_epoch", "best_checkpoint", "epochs", "steps", "diagnosis", "hyperparameters"):
        assert records[0][key] == records[1][key], key
    for checkpoint in ("last.ckpt", "best.ckpt"):
        keys = ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch")
        assert_same_bits(uninterrupted / checkpoint, killed / checkpoint, keys)
