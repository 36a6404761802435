"""Unusual modules, callbacks, batches and loaders: as with Lightning's own loop, step for step."""

from datetime import timedelta

import lightning as L
import pytest
import torch
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from nnzoo.run.many_steps import ManySteps
from run.test_many_steps import assert_same, fitted, taken

__all__ = ["taken"]
pytestmark = pytest.mark.filterwarnings("ignore:.*")


class Plain(L.LightningModule):
    """A line through pairs (x, y)."""

    def __init__(self, lr=0.1):
        super().__init__()
        self.lr, self.line = lr, torch.nn.Linear(3, 1)

    def of(self, x, y):
        return (self.line(x)[:, 0] - y).square().mean()

    def training_step(self, batch, batch_idx):
        return self.of(*batch)

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.of(*batch))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.lr, momentum=0.9)


def pairs(count=80):
    generator = torch.Generator().manual_seed(0)
    return TensorDataset(torch.randn(count, 3, generator=generator), torch.randn(count, generator=generator))


def both(root, make, **settings):
    """Fits what ``make`` builds with and without quick steps."""
    for name, many in (("one", False), ("many", True)):
        torch.manual_seed(0)
        made = {"model": Plain(), "loader": (DataLoader(pairs(), 4), DataLoader(pairs(), 40)), **make()}
        fitted(root / name, many, **made, **settings)
    assert_same(root, "one", "many")


class Scales(Plain):
    """Changes its batch."""

    def training_step(self, batch, batch_idx):
        batch["x"] = 2 * batch["x"]
        return self.of(batch["x"], batch.pop("y"))

    def validation_step(self, batch, batch_idx):
        self.log("val/loss", self.of(batch["x"], batch["y"]))


def test_a_step_may_change_its_batch(tmp_path, taken):
    def make():
        x, y = pairs().tensors
        kept = [{"x": a, "y": b} for a, b in zip(x.split(4), y.split(4), strict=True)]
        return {"model": Scales(), "loader": [DataLoader(kept, batch_size=None, collate_fn=lambda one: one)] * 2}

    both(tmp_path, make)
    assert len(taken) < 120


class Fewer(torch.utils.data.Sampler):
    """Fewer batches in each epoch."""

    def __init__(self):
        self.epoch = 0

    def __iter__(self):
        batches = [[4 * number + place for place in range(4)] for number in range(len(self))]
        self.epoch += 1
        yield from batches

    def __len__(self):
        return [20, 15, 12][min(self.epoch, 2)]


class ByEpoch(Plain):
    """Halves its rate at the end of each epoch."""

    def configure_optimizers(self):
        optimizer = super().configure_optimizers()
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]


def test_epochs_may_get_shorter(tmp_path):
    def make():
        return {"model": ByEpoch(), "loader": (DataLoader(pairs(), batch_sampler=Fewer()), DataLoader(pairs(), 40))}

    both(tmp_path, make)


class Unsized(IterableDataset):
    def __iter__(self):
        yield from pairs(60)


class Changing(L.LightningDataModule):
    """A loader of unknown length in the second epoch."""

    def __init__(self):
        super().__init__()
        self.made = 0

    def train_dataloader(self):
        self.made += 1
        return DataLoader(Unsized() if self.made == 2 else pairs(), 4)

    def val_dataloader(self):
        return DataLoader(pairs(), 40)


def test_a_later_loader_may_be_of_another_kind(tmp_path):
    both(tmp_path, lambda: {"loader": (Changing(),)}, reload_dataloaders_every_n_epochs=1)


class LogsTwice(Callback):
    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        module.log("a", float(batch_idx), on_epoch=True, on_step=False)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        module.log("b", outputs["loss"], on_epoch=True, on_step=False)


class AddsLater(Callback):
    """Adds and changes callbacks, and a module's hook, in the second epoch."""

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 1:
            trainer.callbacks.append(LogsTwice())
            halved = lambda: [parameter.grad.mul_(0.5) for parameter in module.parameters()]  # noqa: E731
            object.__setattr__(module, "on_after_backward", halved)


class StopsAndLogs(Callback):
    """Stops early, which the fit does not follow before its third epoch, and logs at every step."""

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        module.log("seen", outputs["loss"])
        trainer.should_stop = trainer.global_step >= 28


class AccumulatesLater(Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step == 7:
            trainer.accumulate_grad_batches = 4


class EndsSoon(Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if trainer.global_step == 27:
            trainer.fit_loop.epoch_loop.max_steps = 30


class NoHook(Callback):
    on_train_batch_end = None


def often():
    return lightning_callbacks.ModelCheckpoint(train_time_interval=timedelta(0), save_top_k=-1)


@pytest.mark.parametrize("made", [LogsTwice, AddsLater, StopsAndLogs, AccumulatesLater, EndsSoon, NoHook, often])
@pytest.mark.parametrize("settings", [{}, {"min_epochs": 3, "log_every_n_steps": 5}])
def test_callbacks_that_log_add_stop_and_change(made, settings, tmp_path):
    both(tmp_path, lambda: {"callbacks": [made()]}, **settings)


class Finds(lightning_callbacks.LearningRateFinder):
    def on_fit_start(self, trainer, module):
        pass

    def on_train_epoch_start(self, trainer, module):
        if trainer.current_epoch == 1:
            self.lr_find(trainer, module)


def test_a_search_for_a_rate_between_epochs_sees_every_step(tmp_path):
    both(tmp_path, lambda: {"callbacks": [Finds(num_training_steps=15, early_stop_threshold=None)]})


def test_batches_that_are_none_are_skipped(tmp_path):
    def make():
        kept = [None if number % 5 == 2 else (x, y) for number, (x, y) in enumerate(DataLoader(pairs(), 4))]
        return {"loader": (DataLoader(kept, batch_size=None, collate_fn=lambda one: one), DataLoader(pairs(), 40))}

    both(tmp_path, make)


class ByKeyword(torch.optim.SGD):
    """Another first argument than the closure, and no gradients for that."""

    @torch.no_grad()
    def step(self, scale=1.0, closure=None):
        loss = None if closure is None else closure()
        super().step()
        return loss


class Odd(Plain):
    """The same with that optimiser, a scheduler of every third step, and more than its loss."""

    def configure_optimizers(self):
        optimizer = ByKeyword(self.parameters(), 0.1)
        rate = torch.optim.lr_scheduler.StepLR(optimizer, 2)
        return [optimizer], [{"scheduler": rate, "interval": "step", "frequency": 3}]

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return None if batch_idx == 4 else {"twice": 2 * loss.detach(), "loss": loss}


class Keeps(Callback):
    heard: list

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        Keeps.heard.append({name: value.item() for name, value in outputs.items()})


def test_odd_optimisers_and_outputs(tmp_path):
    Keeps.heard = []
    both(tmp_path, lambda: {"model": Odd(), "callbacks": [Keeps()]})
    assert Keeps.heard[:60] == Keeps.heard[60:]
    assert len(Keeps.heard[1]) == 2
    assert not Keeps.heard[4]


class Wrong(Plain):
    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        return {"other": loss} if batch_idx == 3 else loss


def test_a_step_that_returns_no_loss_is_refused_as_ever(tmp_path):
    with pytest.raises(MisconfigurationException, match="'loss' key"):
        fitted(tmp_path, model=Wrong(), loader=(DataLoader(pairs(), 4), DataLoader(pairs(), 40)))


class Breaks(Callback):
    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx == 5:
            raise RuntimeError("broken")


def test_another_module_after_a_fit_that_broke_off_is_trained_itself():
    trainer = L.Trainer(accelerator="cpu", devices=1, logger=False, enable_checkpointing=False, max_epochs=1,
                        enable_progress_bar=False, enable_model_summary=False,
                        callbacks=[Breaks(), ManySteps()])  # fmt: skip
    first, second = Plain(), Plain()
    with pytest.raises(RuntimeError, match="broken"):
        trainer.fit(first, DataLoader(pairs(), 4))
    before, steps = first.line.weight.detach().clone(), []
    trainer.callbacks = [lightning_callbacks.LambdaCallback(on_train_batch_end=lambda *_: steps.append(1))]
    trainer.fit(second, DataLoader(pairs(), 4))
    assert len(steps) == 20
    assert torch.equal(first.line.weight, before)
