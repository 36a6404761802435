import math

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from nnzoo.metrics.means import StageMeans


def test_stage_means_equal_the_mean_over_all_samples_of_unequal_batches():
    means = StageMeans({"train": ["loss"], "val": ["loss", "kl"]})
    batches = [np.random.default_rng(size).normal(size=size).astype(np.float32) for size in (7, 1, 3)]
    for batch in batches:
        means.update("val", {"loss": torch.from_numpy(batch), "kl": torch.from_numpy(batch**2), "other": torch.ones(1)})
    values = np.concatenate(batches)
    assert set(means.metrics) == {"train/loss", "val/loss", "val/kl"}
    assert means.metrics["val/loss"].compute().item() == pytest.approx(values.mean(), rel=1e-5)
    assert means.metrics["val/kl"].compute().item() == pytest.approx((values**2).mean(), rel=1e-5)
    assert means.metrics["train/loss"].weight == 0


def test_means_are_weighted_where_weights_are_given():
    means = StageMeans({"val": ["loss"]})
    means.update("val", {"loss": torch.tensor([1.0, 2.0])}, torch.tensor([3, 1]))
    means.update("val", {"loss": torch.tensor([10.0])}, torch.tensor([4]))
    assert float(means.metrics["val/loss"].compute()) == pytest.approx(np.average([1, 2, 10], weights=[3, 1, 4]))
    means.update("val", {"loss": torch.tensor([7.0])})
    assert float(means.metrics["val/loss"].compute()) == pytest.approx(np.average([1, 2, 10, 7], weights=[3, 1, 4, 1]))


def test_stage_means_do_not_hide_a_nan_and_hold_no_graph():
    means = StageMeans({"val": ["loss"]})
    means.update("val", {"loss": torch.tensor([1.0, math.nan], requires_grad=True)})
    value = means.metrics["val/loss"].compute()
    assert value.isnan()
    assert not value.requires_grad


class Counter(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.means = StageMeans({"train": ["loss"], "val": ["loss"]})

    def training_step(self, batch, batch_idx):
        self.means.update("train", {"loss": batch + 100 * self.current_epoch})
        return self.weight

    def validation_step(self, batch, batch_idx):
        self.means.update("val", {"loss": batch})

    def on_train_epoch_end(self):
        self.means.log(self, "train")

    def on_validation_epoch_end(self):
        self.means.log(self, "val")

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


def test_logged_means_start_afresh_every_epoch_and_count_every_validation_sample_once(make_trainer):
    seen = []

    class Reader(L.Callback):
        def on_train_epoch_end(self, trainer, module):
            seen.append({name: value.item() for name, value in trainer.callback_metrics.items()})

    batches = DataLoader([torch.arange(5.0), torch.tensor([10.0])], batch_size=None)
    trainer = make_trainer(max_epochs=3, callbacks=[Reader()], num_sanity_val_steps=1)
    trainer.fit(Counter(), batches, batches)
    assert [row["val/loss"] for row in seen] == pytest.approx([20 / 6] * 3)
    assert trainer.callback_metrics["train/loss"].item() == pytest.approx(200 + 20 / 6)
