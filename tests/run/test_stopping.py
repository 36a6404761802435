"""What ends a run from outside has the exit code of its signal and says how to go on."""

import os
import signal
import time
from pathlib import Path

import lightning as L
import pytest

from nnzoo.run.progress_lines import ProgressLines
from support.forked import Forked, finish
from support.found import recipe
from support.runs import QUICK

pytestmark = pytest.mark.filterwarnings("ignore:.*")
LONG = ["--trainer.max_epochs", "100000", "--trainer.accelerator", "cpu", "--baselines", "null"]


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_has_the_code_of_its_signal_and_can_be_resumed(sent, code, in_tmp):
    running = Forked(["nnzoo.recipes.mlp", *LONG, "--trainer.enable_progress_bar", "false"])
    end = time.monotonic() + 120
    while not list(in_tmp.rglob("last.ckpt")) and time.monotonic() < end:
        time.sleep(0.1)
    os.kill(running.process.pid, sent)
    (result,) = finish(running, timeout=60)
    assert result.returncode == code, result.stderr
    (folder,) = {path.parent for path in Path("runs").rglob("last.ckpt")}
    assert f"stopped: go on with --resume {folder}" in result.stdout
    assert "Traceback" not in result.stderr
    assert "test/loss" in recipe("mlp").main(["--resume", str(folder), "--trainer.max_epochs", "1", *QUICK[6:]])


def test_progress_is_told_in_a_line_at_every_tenth_where_there_is_no_terminal(in_tmp, capsys):
    flags = ["--trainer.max_epochs", "20", "--trainer.limit_train_batches", "1", "--figures.draw", "false"]
    recipe("toy_graphs").main([*flags, "--trainer.accelerator", "cpu"])
    printed = capsys.readouterr().out
    lines = [line for line in printed.splitlines() if line.startswith("epoch ")]
    assert [line.partition(",")[0] for line in lines] == [f"epoch {n} of 20" for n in range(2, 21, 2)]
    assert all("train/loss" in line and "val/loss" in line for line in lines)
    for said in ("GPU available", "Restoring states", "Loaded model weights", "`Trainer.fit` stopped", "\r"):
        assert said not in printed


def test_lines_need_no_end_of_the_fit(capsys):
    trainer = L.Trainer(max_epochs=-1, logger=False, enable_progress_bar=False, accelerator="cpu")
    lines, module = ProgressLines(), L.LightningModule()
    lines.on_train_epoch_end(trainer, module)
    lines.on_train_end(trainer, module)
    assert capsys.readouterr().out == "epoch 1\n"
