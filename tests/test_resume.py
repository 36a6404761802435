"""Killed and resumed gives the bits of the run that was never stopped, for every recipe."""

import csv
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from support.found import CASES, build, recipe, recipe_of, run

FLAGS = [
    *("--trainer.max_epochs", "4", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    "--trainer.callbacks=null",  # no baselines: they are slow
    "--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint",
    "--trainer.callbacks.every_n_train_steps=3",
    "--trainer.callbacks.filename=step",
    "--trainer.callbacks.enable_version_counter=false",
]
# Data of generated problems for runs of seconds; the recipes' own take minutes.
SHORTER = {"rnn_adding": {"length": 10, "num_samples": 640}, "tagger": {"num_samples": 640},
           "seq2seq": {"num_samples": 800, "num_longer": 40}}  # fmt: skip


def flags_of(name: str) -> list[str]:
    return [*FLAGS, *(f"--data.{key}={value}" for key, value in SHORTER.get(name, {}).items())]


def run_folder(root: Path) -> Path:
    (folder,) = {path.parent for path in root.rglob("config.yaml")}
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]


def run_until_killed(name: str, step: int, flags: Sequence[str] = ()) -> Path:
    command = [sys.executable, "-m", f"nnzoo.recipes.{recipe_of(name)}", "--config", name, *flags_of(name), *flags]
    command += ["--trainer.default_root_dir", "killed"]
    command += ["--trainer.callbacks+=support.helpers.KillAtStep", f"--trainer.callbacks.step={step}"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert process.returncode == -signal.SIGKILL, process.stderr
    folder = run_folder(Path("killed"))
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace(f"step: {step}", "step: -1"))  # no power cut this time
    return folder


@pytest.mark.parametrize("name", CASES)
def test_killed_in_mid_epoch_and_resumed_gives_the_same_bits(name, in_tmp):
    uninterrupted = run(name, [*flags_of(name), "--trainer.default_root_dir", "whole"])

    _, data = build(name, data=SHORTER.get(name))
    data.setup()
    steps_per_epoch = len(data.train_dataloader())
    folder = run_until_killed(name, step=2 * steps_per_epoch + 4)
    saved_at = torch.load(folder / "step.ckpt", weights_only=True)["global_step"]
    assert saved_at % steps_per_epoch > 0, "the checkpoint must lie inside an epoch"
    rows_before = rows(folder)
    resumed = recipe(recipe_of(name)).main(["--resume", str(folder)])

    assert resumed == uninterrupted
    assert rows_before
    assert rows(folder)[: len(rows_before)] == rows_before
    assert rows(folder) == rows(run_folder(Path("whole")))
    for checkpoint in ("last.ckpt", "best.ckpt"):
        one, other = (torch.load(run_folder(Path(at)) / checkpoint, weights_only=True) for at in ("whole", "killed"))
        for key in ("state_dict", "optimizer_states", "lr_schedulers", "global_step"):
            torch.testing.assert_close(one[key], other[key], rtol=0, atol=0)


AVERAGED = ["--trainer.callbacks+=nnzoo.callbacks.averaging.EMA", "--trainer.callbacks.decay=0.9"]
FINETUNED = ["--trainer.callbacks+=nnzoo.callbacks.finetuning.Finetuning", "--trainer.callbacks.unfreeze_at_epoch=2"]


# Of 9 steps an epoch: before the backbone joins in, in the epoch in which it does, and after its rate has risen.
@pytest.mark.parametrize(("added", "step"), [(AVERAGED, 22), (FINETUNED, 13), (FINETUNED, 22), (FINETUNED, 31)])
def test_averaging_and_fine_tuning_resume_to_the_same_bits(added, step, in_tmp):
    flags = ["--model.channels", "[8]", *added]
    uninterrupted = run("cnn", [*FLAGS, *flags, "--trainer.default_root_dir", "whole"])
    folder = run_until_killed("cnn", step, flags)
    assert recipe("cnn").main(["--resume", str(folder)]) == uninterrupted
    one, other = (torch.load(at / "last.ckpt", weights_only=True) for at in (run_folder(Path("whole")), folder))
    for key in (
        "state_dict",
        "optimizer_states",
        "lr_schedulers",
        *(["current_model_state"] if "EMA" in added[0] else []),
    ):
        torch.testing.assert_close(one[key], other[key], rtol=0, atol=0)


def test_a_moved_run_keeps_its_best_checkpoint(in_tmp):
    main = recipe("vae").main
    main(["fit", *FLAGS, "--trainer.max_epochs", "2"])
    moved = run_folder(Path("runs")).rename("moved")
    best = (moved / "best.ckpt").read_bytes()
    main(["fit", "--resume", "moved", "--trainer.max_epochs", "3", "--model.beta", "50"])
    assert (moved / "best.ckpt").read_bytes() == best, "a worse epoch must not replace it"
    assert torch.load(moved / "last.ckpt", weights_only=True)["epoch"] == 2


def test_resuming_keeps_flags_and_results(in_tmp):
    main = recipe("autoencoder").main
    main([*FLAGS, "--trainer.max_epochs", "1"])
    folder = run_folder(Path("runs"))
    main(["--resume", str(folder), "--trainer.max_epochs", "2"])
    assert [row["epoch"] for row in rows(folder) if "train/loss" in row] == ["0", "1"]
