from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import VAE, InputError, MLPClassifier
from nnzoo.modules.base import ZooModule
from nnzoo.parameters import parameters_of

pytestmark = pytest.mark.filterwarnings("ignore:.*")
SMALL = {"in_shape": (1, 4, 4), "levels": 17, "latent_dim": 2, "hidden": [4]}


class FixedBeta(VAE):
    def __init__(self, *, width: int = 32, **kwargs: Any) -> None:
        super().__init__(beta=4.0, **kwargs)


class Listed(VAE):
    def __init__(self, *, in_shape: tuple[int, int, int] = (1, 4, 4), lr: float = 0.5) -> None:
        super().__init__(in_shape=in_shape, lr=lr, levels=17, hidden=[4])


def loader(count=8):
    return DataLoader(TensorDataset(torch.rand(count, 1, 4, 4), torch.arange(count) % 2), batch_size=4)


def test_hyperparameters_are_those_of_all_constructors_with_their_defaults():
    assert set(VAE().hparams) == set(parameters_of(VAE))
    model = FixedBeta(width=5, **SMALL)
    assert (model.hparams["beta"], model.hparams["width"], model.hparams["weight_decay"]) == (4.0, 5, 0.0)
    assert Listed().hparams["levels"] == 17


@pytest.mark.parametrize("model", [FixedBeta(width=5, **SMALL), Listed(lr=0.25)])
def test_a_subclass_that_fixes_hyperparameters_is_saved_with_what_it_takes_and_loads(model, make_trainer, tmp_path):
    trainer = make_trainer(max_epochs=1)
    trainer.fit(model, loader())
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    saved = torch.load(tmp_path / "x.ckpt", weights_only=True)["hyper_parameters"]
    assert set(saved) == set(parameters_of(type(model)))
    loaded = type(model).load_from_checkpoint(tmp_path / "x.ckpt")
    assert dict(loaded.hparams) == dict(model.hparams)


def test_a_misspelt_hyperparameter_is_an_error():
    with pytest.raises(TypeError, match="latnet_dim"):
        VAE(latnet_dim=8)


def test_progress_counts_batches_whatever_is_accumulated(make_trainer):
    seen: list[int] = []

    class Recorder(VAE):
        def training_step(self, batch, batch_idx):
            seen.append(self.batches_seen)
            return super().training_step(batch, batch_idx)

        def on_train_epoch_end(self):
            seen.append(-self.batches_seen)
            super().on_train_epoch_end()

    make_trainer(max_epochs=2, accumulate_grad_batches=2).fit(Recorder(**SMALL), loader(12))
    assert seen == [0, 1, 2, -3, 3, 4, 5, -6]


def test_a_module_with_several_optimisers_says_what_its_contract_loss_is():
    class Silent(ZooModule):
        def training_step(self, batch, batch_idx):
            return None

    with pytest.raises(TypeError, match="override contract_loss"):
        Silent().contract_loss(None)


def test_two_optimisers_are_built_by_the_same_rules_with_their_own_rates():
    module = ZooModule(lr=0.1, weight_decay=0.2, lr_schedule="linear")
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    module._trainer = SimpleNamespace(precision="32-true", estimated_stepping_batches=10, gradient_clip_val=None)
    one = module.build_optimizer(first.parameters())
    other = module.build_optimizer(second.parameters(), steps=5, lr=0.4)
    assert [group["lr"] for group in one["optimizer"].param_groups] == [0.1, 0.1]
    assert [group["lr"] for group in other["optimizer"].param_groups] == [0.4, 0.4]
    for built in (one, other):
        built["optimizer"].step()
        for _ in range(5):
            built["lr_scheduler"]["scheduler"].step()
    assert one["optimizer"].param_groups[0]["lr"] == pytest.approx(0.05)
    assert other["optimizer"].param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)


def test_a_table_of_numbers_needs_no_tensor_of_categories(make_trainer):
    numbers, labels = torch.randn(40, 5), torch.arange(40) % 2
    model = MLPClassifier(num_numeric=5, num_classes=2, cardinalities=[], hidden=[4])
    trainer = make_trainer(max_epochs=1)
    batches = DataLoader(TensorDataset(numbers, labels), batch_size=10)
    trainer.fit(model, batches, batches)
    trainer.test(model, batches, verbose=False)
    predictions = torch.cat(trainer.predict(model, DataLoader(numbers, batch_size=10)))
    torch.testing.assert_close(predictions, torch.cat(trainer.predict(model, batches)))
    assert predictions.shape == (40, 2)
    with pytest.raises(InputError, match="codes of 1 categorical columns, got 0"):
        MLPClassifier(num_numeric=5, num_classes=2, cardinalities=[3], hidden=[4])(numbers)
