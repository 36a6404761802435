"""Resumed runs: where they may lie, and what they keep."""

from pathlib import Path

import pytest
import torch

from support.found import recipe
from support.runs import FLAGS, rows, run_folder

pytestmark = pytest.mark.filterwarnings("ignore:.*")


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
