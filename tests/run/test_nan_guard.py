"""A loss or a weight that is no number stops the run before it overwrites a checkpoint."""

import re
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import DDPM, WGANGP, MLPClassifier
from nnzoo.errors import InputError
from nnzoo.run.nan_guard import NaNGuard

TRAINER = SimpleNamespace(log_every_n_steps=5, current_epoch=3)


@pytest.fixture(autouse=True)
def _twelve_steps(monkeypatch):
    monkeypatch.setattr("nnzoo.run.nan_guard.steps_done", lambda trainer: 12)


@pytest.mark.parametrize("loss", [torch.nan, torch.inf])
def test_a_loss_that_is_no_number_is_found_at_the_next_look(loss, monkeypatch):
    """At once on a CPU; elsewhere a look at every step would wait for the device."""
    guard, module = NaNGuard(), MLPClassifier(num_numeric=2, num_classes=2)
    with pytest.raises(InputError, match=r"The loss is (nan|inf) in epoch 3, step 12"):
        guard.on_train_batch_end(TRAINER, module, {"loss": torch.tensor(loss)}, None, 4)
    monkeypatch.setattr(MLPClassifier, "device", torch.device("cuda"))
    guard.on_train_batch_end(TRAINER, module, {"loss": torch.tensor(loss)}, None, 4)
    with pytest.raises(InputError, match=r"The loss is (nan|inf) in epoch 3, step 12"):
        guard.on_train_batch_end(TRAINER, module, {"loss": torch.tensor(loss)}, None, 10)
    guard.on_train_batch_end(TRAINER, module, {"loss": torch.tensor(1.0)}, None, 10)


def test_where_not_every_step_is_looked_at_what_was_no_number_in_between_is_found_too(monkeypatch):
    module = MLPClassifier(num_numeric=2, num_classes=2)
    monkeypatch.setattr(MLPClassifier, "device", torch.device("cuda"))
    module.means.update("train", {"loss": torch.tensor([1.0, torch.nan])})
    module.means.update("train", {"loss": torch.tensor([1.0])})
    with pytest.raises(InputError, match="The loss is nan"):
        NaNGuard().on_train_batch_end(TRAINER, module, {"loss": torch.tensor(1.0)}, None, 0)


def test_a_weight_that_is_no_number_is_never_saved():
    module = MLPClassifier(num_numeric=2, num_classes=2)
    NaNGuard().on_save_checkpoint(TRAINER, module, {})
    with torch.no_grad():
        next(module.parameters())[0, 0] = torch.inf
    with pytest.raises(InputError, match=r"weights .* hold NaN or infinite"):
        NaNGuard().on_save_checkpoint(TRAINER, module, {})


def test_all_terms_that_are_no_numbers_are_named_and_clipping_is_advised_where_lightning_clips():
    module = WGANGP(in_shape=(2,), levels=0, architecture="mlp", hidden=(4,))
    module.means.update("train", {"critic_loss": torch.tensor([torch.nan]), "penalty": torch.tensor([torch.inf])})
    with pytest.raises(InputError) as told:
        NaNGuard().on_train_batch_end(TRAINER, module, None, None, 0)
    assert "The critic loss is nan, the penalty is inf in epoch 3, step 12: lower --model.lr or" in str(told.value)
    module = MLPClassifier(num_numeric=2, num_classes=2)
    with pytest.raises(InputError, match=r"lower --model\.lr, clip gradients \(--trainer\.gradient_clip_val 1\) or"):
        NaNGuard().on_train_batch_end(TRAINER, module, {"loss": torch.tensor(torch.nan)}, None, 0)


def stopped(module, outputs=None):
    """What a user is told after a batch."""
    with pytest.raises(InputError) as told:
        NaNGuard().on_train_batch_end(TRAINER, module, outputs, None, 3)
    return str(told.value)


SMALL = {"in_shape": (2,), "levels": 0, "architecture": "mlp", "hidden": (4,)}


@pytest.mark.parametrize("objective", ["diffusion", "flow_matching"])
def test_a_diffusion_loss_that_is_no_number_names_the_times(objective):
    module, data = DDPM(**SMALL, objective=objective), torch.zeros(3, 2)
    data[1] = torch.nan
    loss = module.training_step((data, torch.zeros(3)), 1)
    lost = module._last_losses[0].tolist()[1]
    said = stopped(module, {"loss": loss.detach()})
    assert f"The loss is nan at time t = {lost:.4g} (1 of 3 samples) in epoch 3, step 12: lower" in said


def test_a_diffusion_model_with_lost_weights_says_so():
    module = DDPM(**SMALL)
    with torch.no_grad():
        next(module.net.parameters()).fill_(torch.nan)
    said = stopped(module, {"loss": module.training_step((torch.zeros(8, 2), torch.zeros(8)), 1).detach()})
    assert "at all times t of the batch" in said
    assert "the weights may be lost already in epoch 3, step 12" in said


@pytest.mark.parametrize(("value", "shown"), [(3e12, r"3e\+12"), (-3e12, r"-3e\+12"), (torch.nan, "nan")])
def test_a_critic_loss_that_explodes_names_the_penalty(value, shown):
    module = WGANGP(**SMALL)
    module._last_terms = {"penalty": torch.tensor([1e9, 3e9]), "gradient_norm": torch.tensor([4e4])}
    module.means.update("train", {"critic_loss": torch.tensor([5e7]), "wasserstein": torch.tensor([-5e7])})
    NaNGuard().on_train_batch_end(TRAINER, module, None, None, 0)
    module.means.update("train", {"critic_loss": torch.tensor([2 * value])})
    said = stopped(module)
    behind = r"with penalty 2e\+09 and gradient norm 4e\+04 in the last batch"
    assert re.search(f"The critic loss is {shown} {behind}", said)


def test_a_critic_that_explodes_in_a_fit_stops_it(in_tmp):
    """Its real samples are far away, and its steps too long."""
    module = WGANGP(**SMALL, lr=1e3, betas=(0.0, 0.9))
    trainer = L.Trainer(max_epochs=50, accelerator="cpu", logger=False, enable_checkpointing=False,
                        enable_progress_bar=False, enable_model_summary=False, callbacks=[NaNGuard()])  # fmt: skip
    with pytest.raises(InputError, match=r"The critic loss is .* with penalty .* and gradient norm"):
        trainer.fit(module, DataLoader(TensorDataset(torch.randn(64, 2), torch.zeros(64)), batch_size=8))


class Limited(MLPClassifier):
    """Stops at a loss that a plain one would bear."""

    most_loss = 1e-3


class ByHand(MLPClassifier):
    """Makes its steps itself, and returns no loss."""

    def __init__(self, **shared):
        super().__init__(**shared)
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx) * (torch.nan if batch_idx == 2 else 1)
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()


@pytest.mark.parametrize(("cls", "steps"), [(Limited, 1), (ByHand, 4)])
def test_limits_and_losses_that_a_step_does_not_return_stop_a_fit_at_once(cls, steps, make_trainer):
    data = DataLoader(TensorDataset(torch.randn(80, 2), torch.arange(80) % 2), 8)
    trainer = make_trainer(max_epochs=1, callbacks=[NaNGuard()])
    with pytest.raises(InputError):
        trainer.fit(cls(num_numeric=2, num_classes=2), data)
    assert trainer.global_step == steps
