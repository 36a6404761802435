"""A loss or a weight that is no number stops the run before it overwrites a checkpoint."""

from types import SimpleNamespace

import pytest
import torch

from nnzoo import WGANGP, MLPClassifier
from nnzoo.errors import InputError
from nnzoo.run.nan_guard import NaNGuard

TRAINER = SimpleNamespace(log_every_n_steps=5, current_epoch=3)


@pytest.fixture(autouse=True)
def _twelve_steps(monkeypatch):
    monkeypatch.setattr("nnzoo.run.nan_guard.steps_done", lambda trainer: 12)


@pytest.mark.parametrize("loss", [torch.nan, torch.inf])
def test_a_loss_that_is_no_number_is_found_at_the_next_look(loss):
    guard, module = NaNGuard(), MLPClassifier(num_numeric=2, num_classes=2)
    guard.on_train_batch_end(TRAINER, module, {"loss": torch.tensor(loss)}, None, 4)
    with pytest.raises(InputError, match=r"The loss is (nan|inf) in epoch 3, step 12"):
        guard.on_train_batch_end(TRAINER, module, {"loss": torch.tensor(loss)}, None, 10)
    guard.on_train_batch_end(TRAINER, module, {"loss": torch.tensor(1.0)}, None, 10)


def test_a_term_that_was_no_number_in_an_earlier_batch_is_found_too():
    module = MLPClassifier(num_numeric=2, num_classes=2)
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
