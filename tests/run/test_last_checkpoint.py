"""Which epochs the checkpoint to go on from is written of."""

import lightning as L
import pytest
import torch

from nnzoo.run import last_checkpoint
from nnzoo.run.last_checkpoint import LastCheckpoint

SECONDS_OF_AN_EPOCH = 10.0


class Clock(L.Callback):
    """A clock that an epoch moves on."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def on_train_epoch_start(self, trainer, pl_module):
        self.now += SECONDS_OF_AN_EPOCH


class StopIn(L.Callback):
    """Stops the fit in an epoch, as early stopping and a limit of time do."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_train_batch_end(self, trainer, *_):
        trainer.should_stop = trainer.should_stop or trainer.current_epoch == self.epoch


class Noted(LastCheckpoint):
    """Notes the epochs that it writes."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.written = []

    def _save_checkpoint(self, trainer, filepath):
        super()._save_checkpoint(trainer, filepath)
        self.written.append(trainer.current_epoch)


class Tiny(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, batch_idx):
        return self.layer(batch).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.ones(3, 1))


def written(tmp_path, monkeypatch, seconds, *callbacks, every_n_epochs=1, **trainer):
    clock = Clock()
    monkeypatch.setattr(last_checkpoint, "time", clock)
    noted = Noted(seconds=seconds, dirpath=tmp_path, filename="last", save_on_train_epoch_end=True,
                  every_n_epochs=every_n_epochs)  # fmt: skip
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    L.Trainer(callbacks=[clock, *callbacks, noted], devices=1, **quiet, **trainer).fit(Tiny())
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["epoch"] == noted.written[-1]
    return noted.written


@pytest.mark.parametrize(
    ("seconds", "epochs"), [(0.0, [0, 1, 2, 3, 4, 5]), (20.0, [0, 2, 4, 5]), (25.0, [0, 3, 5]), (1000.0, [0, 5])]
)
def test_an_epoch_is_written_when_enough_time_has_passed_the_first_and_the_last_one_always(
    seconds, epochs, tmp_path, monkeypatch
):
    assert written(tmp_path, monkeypatch, seconds, max_epochs=6) == epochs


@pytest.mark.parametrize(
    ("callbacks", "trainer"),
    [
        ([], {"max_steps": 9, "max_epochs": -1}),
        ([], {"max_steps": 7, "max_epochs": 50}),
        ([StopIn(2)], {"max_epochs": 50}),
    ],
    ids=["steps", "steps within an epoch", "stopped"],
)
def test_the_last_epoch_is_written_whatever_ends_the_fit(callbacks, trainer, tmp_path, monkeypatch):
    assert written(tmp_path, monkeypatch, 1000.0, *callbacks, **trainer) == [0, 2]


def test_an_epoch_that_is_left_out_anyway_does_not_count_as_written(tmp_path, monkeypatch):
    """Of every second epoch, each is due here: 20 seconds have passed since the one before."""
    assert written(tmp_path, monkeypatch, 15.0, max_epochs=6, every_n_epochs=2) == [1, 3, 5]
