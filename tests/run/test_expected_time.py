"""A long fit says soon after its start how long it takes; a short one says nothing."""

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnzoo.run.expected_time import ExpectedTime, spoken


class Clock:
    """A clock that the module below moves on."""

    now = 0.0

    def monotonic(self):
        """The time."""
        return self.now


class Slow(L.LightningModule):
    """Takes some seconds for a batch, ten times as long for the first, and a third of them to validate one."""

    def __init__(self, clock, seconds):
        super().__init__()
        self.net, self.clock, self.seconds = nn.Linear(1, 1), clock, seconds

    def training_step(self, batch, batch_idx):
        """A loss."""
        self.clock.now += self.seconds * (10 if self.trainer.global_step == 0 else 1)
        return self.net(batch[0]).mean()

    def validation_step(self, batch, batch_idx):
        """Nothing."""
        self.clock.now += self.seconds / 3

    def configure_optimizers(self):
        """SGD."""
        return torch.optim.SGD(self.parameters(), 0.1)


def told(monkeypatch, capsys, seconds, batches=30, validated=0, **settings):
    """What is said in a fit, and how long its last ``epochs`` took by the clock."""
    clock = Clock()
    monkeypatch.setattr("nnzoo.run.expected_time.time", clock)
    monkeypatch.setattr("nnzoo.run.expected_time.rank_zero_info", lambda line: print(f"{line} [{clock.now:.0f}]"))
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = L.Trainer(**{**quiet, "enable_model_summary": False, "callbacks": [ExpectedTime()], **settings})
    data = DataLoader(TensorDataset(torch.ones(batches, 1)))
    others = DataLoader(TensorDataset(torch.ones(validated, 1))) if validated else None
    trainer.fit(Slow(clock, seconds), data, others)
    return capsys.readouterr().out, clock.now


def test_a_long_fit_says_so_within_its_first_minute_and_once(monkeypatch, capsys):
    said, _ = told(monkeypatch, capsys, 2, max_epochs=60)
    assert said.count("An epoch") == 1
    assert "An epoch takes about 60 s here, the fit about 60 min (--trainer.max_epochs shortens it). [30]" in said


@pytest.mark.filterwarnings("ignore:.*")
def test_validation_counts_and_so_do_many_short_epochs(monkeypatch, capsys):
    """Half a second a batch: the first epoch is over before enough was timed."""
    said, whole = told(monkeypatch, capsys, 0.5, batches=6, validated=9, max_epochs=200, num_sanity_val_steps=0)
    assert "An epoch takes about 4 s here, the fit about 15 min" in said
    assert whole == pytest.approx(200 * (6 + 3) * 0.5, rel=0.01)


@pytest.mark.parametrize(("seconds", "settings"), [(1, {"max_epochs": 15}), (1e-3, {"max_epochs": 2})])
def test_a_short_fit_says_nothing(seconds, settings, monkeypatch, capsys):
    assert "An epoch" not in told(monkeypatch, capsys, seconds, **settings)[0]


@pytest.mark.parametrize(
    ("settings", "fit"),
    [({"max_steps": 400, "max_epochs": -1}, "13 min"), ({"max_epochs": 30, "limit_train_batches": 20}, "20 min")],
)
def test_what_ends_a_fit_counts(settings, fit, monkeypatch, capsys):
    assert f"the fit about {fit}" in told(monkeypatch, capsys, 2, **settings)[0]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(7, "7 s"), (119, "119 s"), (120, "2 min"), (7140, "119 min"), (7200, "2.0 h"), (200_000, "2.3 days")],
)
def test_times_are_said_in_the_unit_that_fits(seconds, said):
    assert spoken(seconds) == said
