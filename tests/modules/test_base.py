from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import VAE, Forecaster, ImageDataModule, InputError, MLPClassifier, MLPRegressor, Seq2Seq, SequenceTagger
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


class Student(MLPClassifier):
    def __init__(self, *, hidden: tuple[int, ...] = (4,), **kwargs: Any) -> None:
        super().__init__(hidden=hidden, num_numeric=3, num_classes=2, **kwargs)
        self.teacher = MLPClassifier(num_numeric=3, num_classes=2, hidden=[50], lr=0.5)


class Unreadable(MLPClassifier):
    """Source from which nobody can tell what becomes of the keywords."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "l1": 2.0})


def test_a_module_built_within_another_keeps_its_own_hyperparameters():
    model = Student(dropout=0.25)
    teacher = model.teacher
    assert (teacher.hparams["hidden"], teacher.hparams["lr"], teacher.hparams["dropout"]) == ([50], 0.5, 0.0)
    assert teacher.net.mlp.layers[0].weight.shape == (50, 3)
    assert model.hparams["hidden"] == (4,)

    class Holder:
        def __init__(self, hidden=(1,), lr=5.0, width=3):
            self.model = MLPClassifier(num_numeric=3, num_classes=2, hidden=[5])

    assert Holder().model.hparams["hidden"] == [5]
    assert "width" not in Holder().model.hparams


def test_a_datamodule_built_within_another_keeps_its_own_settings():
    class Outer(ImageDataModule):
        def __init__(self, *, batch_size: int = 7, seed: int = 5) -> None:
            super().__init__(batch_size=batch_size, seed=seed)
            self.inner = ImageDataModule(batch_size=64)

    outer = Outer()
    assert (outer.hparams["batch_size"], outer.hparams["seed"]) == (7, 5)
    assert (outer.inner.hparams["batch_size"], outer.inner.hparams["seed"]) == (64, 0)


def test_what_the_source_does_not_tell_is_saved_as_it_was_given(make_trainer, tmp_path):
    model = Unreadable(num_numeric=5, num_classes=2, hidden=[4], dropout=0.3, lr=0.25)
    trainer = make_trainer(max_epochs=1)
    trainer.fit(model, DataLoader(TensorDataset(torch.randn(8, 5), torch.arange(8) % 2), batch_size=4))
    trainer.save_checkpoint(tmp_path / "x.ckpt")
    loaded = Unreadable.load_from_checkpoint(tmp_path / "x.ckpt")
    assert dict(loaded.hparams) == dict(model.hparams)
    assert (loaded.hparams["l1"], loaded.hparams["lr"]) == (2.0, 0.25)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lr": None}, "lr must be a number, got None: set --model.lr"),
        ({"latent_dim": 2.5}, "latent_dim must be positive whole numbers, got 2.5"),
        ({"hidden": "abc"}, "hidden must be positive whole numbers, got abc"),
        ({"hidden": [True]}, "hidden must be positive whole numbers"),
    ],
)
def test_values_of_another_kind_are_refused_in_a_sentence(settings, says):
    with pytest.raises(InputError, match=says):
        VAE(**{**SMALL, **settings})


def same_predictions(model, *batches):
    """What a module predicts for batches that say the same."""
    model.eval()
    first, *others = (model.predict_step(batch, 0) for batch in batches)
    for other in others:
        for one, two in zip(first, other, strict=True):
            torch.testing.assert_close(one, two) if isinstance(one, torch.Tensor) else None
            assert type(one) is type(two)
            assert not isinstance(one, str) or one == two


def test_predictions_need_no_target():
    numbers, codes, lengths = torch.randn(4, 5), torch.randint(3, (4, 1)), torch.tensor([6, 3, 2, 1])
    values = torch.randn(4, 6, 2)
    with torch.no_grad():
        table = MLPClassifier(num_numeric=5, cardinalities=[3], num_classes=2, hidden=[4])
        same_predictions(table, (numbers, codes, torch.zeros(4)), [numbers, codes])
        tagger = SequenceTagger(num_inputs=2, num_classes=3)
        same_predictions(tagger, (values, lengths, torch.zeros(4, 6, dtype=torch.long)), (values, lengths))
        assert [len(steps) for steps in tagger.predict_step((values, lengths), 0)] == [6, 3, 2, 1]
        assert [len(steps) for steps in tagger.predict_step(values, 0)] == [6] * 4
        strings = Seq2Seq(hidden_size=4, embedding_dim=4, max_target_length=5)
        source, sizes = strings.characters.sources(["123", "4"])
        same_predictions(strings, (source, sizes, source), (source, sizes), source)


def test_targets_of_a_regression_are_one_dimensional():
    model = MLPRegressor(num_numeric=5, hidden=[4])
    with pytest.raises(InputError, match=r"take target\[:, 0\]"):
        model.training_step((torch.randn(4, 5), torch.randn(4, 1)), 0)


def test_a_forecaster_trains_with_its_defaults_and_tuples(make_trainer):
    loader = DataLoader(TensorDataset(torch.randn(8, 12, 1), torch.randn(8, 3, 1)), batch_size=4)
    make_trainer(max_epochs=1).fit(Forecaster(history=12, horizon=3), loader, loader)
    two = Forecaster(history=12, horizon=3, column_mean=(0.0, 1.0), column_std=(1.0, 2.0), target_columns=(0, 1))
    assert two(torch.randn(4, 12, 2)).shape == (4, 3, 2)
