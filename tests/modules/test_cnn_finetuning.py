from types import SimpleNamespace

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torchvision import models

from nnzoo import CNNClassifier, ImageDataModule
from nnzoo.callbacks.finetuning import Finetuning
from nnzoo.errors import InputError
from nnzoo.modules.optimizers import schedule_factor
from support.tiny_cnn import QUICK, TINY, batch

pytestmark = pytest.mark.filterwarnings("ignore:.*")


class Rates(Callback):
    """Notes the learning rate of every parameter group, and which parameters change."""

    def __init__(self):
        self.rates, self.frozen = [], []

    def on_train_batch_start(self, trainer, pl_module, *_):
        self.rates.append([group["lr"] for group in trainer.optimizers[0].param_groups])
        self.frozen.append(not any(p.requires_grad for p in pl_module.backbone[0].parameters()))


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_the_backbone_is_frozen_and_then_joins_in_at_a_rising_rate(schedule, make_trainer):
    module = CNNClassifier(
        in_shape=(1, 8, 8), architecture="torchvision", lr=0.01, lr_schedule=schedule, weight_decay=0.03
    )
    rates = Rates()
    finetuning = Finetuning(unfreeze_at_epoch=1, initial_share=0.1)
    trainer = make_trainer(max_epochs=4, limit_train_batches=2, limit_val_batches=0, callbacks=[finetuning, rates])
    trainer.fit(module, ImageDataModule())
    assert rates.frozen == [True] * 2 + [False] * 6
    head = [row[0] for row in rates.rates]
    backbone = [row[-1] for row in rates.rates[2:]]
    factors = [schedule_factor(step, 8, schedule, 0.0) for step in range(8)]
    assert head == pytest.approx([0.01 * factor for factor in factors])
    rate = 0.1 * head[2]
    assert backbone == pytest.approx(
        [rate, rate, min(2 * rate, head[4])] + [min(2 * rate, head[4])] + [min(4 * rate, head[6])] * 2
    )
    second = [row[-2] for row in rates.rates[2:]]
    assert second == backbone, "biases and norms join in at the same rate"
    groups = trainer.optimizers[0].param_groups
    for group in groups:
        assert group["weight_decay"] in (0.0, 0.03)
        assert all((parameter.dim() > 1) == (group["weight_decay"] > 0) for parameter in group["params"])
    assert sum(len(group["params"]) for group in groups) == len(list(module.parameters()))
    assert module.net.network.conv1.weight.requires_grad


def test_biases_of_a_backbone_that_joins_in_are_not_decayed(make_trainer):
    """Of a network without norms: beside a norm a convolution has no bias."""
    module = CNNClassifier(**TINY, norm="none", weight_decay=0.03)
    trainer = make_trainer(max_epochs=2, limit_train_batches=1, limit_val_batches=0, callbacks=[Finetuning(1)])
    trainer.fit(module, ImageDataModule())
    decay = {p: group["weight_decay"] for group in trainer.optimizers[0].param_groups for p in group["params"]}
    assert decay == {p: 0.03 if p.dim() > 1 else 0.0 for p in module.parameters()}
    assert any(p.dim() == 1 for p in module.backbone.parameters())


class Norms(Callback):
    """Compares what the backbone gives in training and in evaluation, and keeps the state of its norms."""

    def __init__(self):
        self.same, self.states = [], []

    def on_train_batch_start(self, trainer, pl_module, batch, _):
        norms = [layer for layer in pl_module.backbone.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
        self.states.append([{key: value.clone() for key, value in norm.state_dict().items()} for norm in norms])
        images = 3 * batch[0] + 2  # far from what the norms have seen
        with torch.no_grad():
            given = pl_module.backbone(images)
            for norm, state in zip(norms, self.states[-1], strict=True):
                norm.load_state_dict(state)  # as before this look
            modes = {layer: layer.training for layer in pl_module.modules()}
            pl_module.eval()
            self.same.append(torch.allclose(given, pl_module.backbone(images)))
            for layer, mode in modes.items():
                layer.training = mode


@pytest.mark.parametrize("train_norms", [True, False])
def test_frozen_norms_use_their_running_statistics_in_training_also_after_the_backbone_joins_in_and_a_resume(
    train_norms, make_trainer, tmp_path
):
    module, data = CNNClassifier(**TINY, lr=0.01), ImageDataModule()
    settings = {"limit_train_batches": 2, "limit_val_batches": 1}
    norms = Norms()
    for epochs, checkpoint in ((2, None), (3, tmp_path / "x.ckpt")):
        finetuning = Finetuning(unfreeze_at_epoch=1, train_norms=train_norms)
        trainer = make_trainer(max_epochs=epochs, **settings, callbacks=[finetuning, norms])
        trainer.fit(module, data, ckpt_path=checkpoint)
        trainer.save_checkpoint(tmp_path / "x.ckpt")
    assert norms.same == [not train_norms] * 6
    unchanged = [str(state) == str(norms.states[0]) for state in norms.states]
    assert unchanged == ([True] + [False] * 5 if train_norms else [True] * 6)
    assert module.backbone[0].weight.requires_grad


def test_fine_tuning_needs_a_backbone_and_one_device():
    finetuning, module = Finetuning(), CNNClassifier(**TINY)
    with pytest.raises(InputError, match="no backbone"):
        finetuning.setup(SimpleNamespace(world_size=1), L.LightningModule(), "fit")
    with pytest.raises(InputError, match=r"trainer\.devices 1"):
        finetuning.setup(SimpleNamespace(world_size=2), module, "fit")
    finetuning.setup(SimpleNamespace(world_size=2), module, "test")
    assert all(parameter.requires_grad for parameter in module.parameters())


def fake_pretrained(folder, monkeypatch):
    weights = models.resnet18().state_dict()
    (folder / "checkpoints").mkdir(parents=True)
    torch.save(weights, folder / "checkpoints" / models.ResNet18_Weights.DEFAULT.url.rpartition("/")[2])
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    return weights


PRETRAINED = {"architecture": "torchvision", "pretrained": True, "in_shape": (1, 8, 8)}


def test_pretrained_weights_are_where_training_starts_with_their_own_normalisation(make_trainer, tmp_path, monkeypatch):
    weights = fake_pretrained(tmp_path / "hub", monkeypatch)
    module = CNNClassifier(**PRETRAINED, lr=1e-12)
    trainer = make_trainer(**QUICK, callbacks=[Finetuning(unfreeze_at_epoch=9, train_norms=False)])
    trainer.fit(module, ImageDataModule())
    torch.testing.assert_close(module.net.network.conv1.weight, weights["conv1.weight"])
    torch.testing.assert_close(module.pixel_mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    images, _ = batch()
    grey = (images.expand(-1, 3, -1, -1) - module.pixel_mean) / module.pixel_std
    torch.testing.assert_close(module.eval()(images), module.net.network(grey).softmax(1))


def test_a_checkpoint_of_a_pretrained_model_needs_no_pretrained_weights(make_trainer, tmp_path, monkeypatch):
    fake_pretrained(tmp_path / "hub", monkeypatch)
    module, data = CNNClassifier(**PRETRAINED), ImageDataModule()
    make_trainer(**QUICK).fit(module, data)
    module.trainer.save_checkpoint(tmp_path / "x.ckpt")
    before = {key: value.clone() for key, value in module.state_dict().items()}
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "empty"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("no download is needed"))
    loaded = CNNClassifier.load_from_checkpoint(tmp_path / "x.ckpt")
    torch.testing.assert_close(loaded.state_dict(), before, rtol=0, atol=0)
    make_trainer(**QUICK).test(loaded, data, verbose=False)
    resumed = CNNClassifier(**PRETRAINED)
    make_trainer(**QUICK).fit(resumed, data, ckpt_path=tmp_path / "x.ckpt")
    torch.testing.assert_close(resumed.state_dict(), before, rtol=0, atol=0)


def test_missing_pretrained_weights_are_told_before_training(make_trainer, tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(InputError, match="pretrained false"):
        make_trainer(**QUICK).fit(CNNClassifier(**PRETRAINED), ImageDataModule())
