"""Resumed runs: where they may lie, and what they keep."""

from pathlib import Path

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import Dataset

from nnzoo import MLPClassifier
from nnzoo.data.base import GlobalBatchDataModule
from nnzoo.data.splits import PARTS
from nnzoo.run.checkpoint import ExactResume
from support.found import recipe
from support.quiet import QUIET
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


class NoisyRows(Dataset):
    """Rows with noise from torch's global generator, as a user's own augmentation may draw it."""

    rows = torch.arange(60.0).view(20, 3) / 60

    def __len__(self):
        return len(self.rows)

    def __getitems__(self, batch):
        return self.rows[batch.samples] + torch.randn(len(batch.samples), 3), batch.samples % 2


class NoisyData(GlobalBatchDataModule):
    def setup(self, stage=None):
        self.parts = dict.fromkeys(PARTS, NoisyRows())


def test_a_resumed_fit_draws_the_noise_of_its_data_where_it_left_off(tmp_path):
    """Between the start of training and the first step the loader fetches a batch, which must see the states too."""

    def fit(seed, **settings):
        L.seed_everything(seed, verbose=False)
        model = MLPClassifier(num_numeric=3, num_classes=2, hidden=[8], dropout=0.5)
        saving = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
        trainer = L.Trainer(**{**QUIET, "enable_checkpointing": True}, max_epochs=2, limit_val_batches=0,
                            callbacks=[ExactResume(), saving])  # fmt: skip
        trainer.fit(model, NoisyData(batch_size=4), **settings)
        return model.state_dict()

    whole = fit(0)
    for step in (3, 5, 8):  # of 5 an epoch
        resumed = fit(1, ckpt_path=tmp_path / f"step={step}.ckpt")
        torch.testing.assert_close(resumed, whole, rtol=0, atol=0, msg=f"resumed after step {step}")
