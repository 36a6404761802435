import math
import pickle
from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch.callbacks import Callback
from nnzoo.recipes.cnn import main
from torch.utils.data import DataLoader, TensorDataset
from torchvision import models

from found import settings_of
from nnzoo import CNNClassifier, ImageDataModule
from nnzoo.callbacks.finetuning import Finetuning
from nnzoo.errors import InputError
from nnzoo.modules.training import schedule_factor
from nnzoo.nets.densenet import DenseNetBC
from nnzoo.nets.inception import SmallInception
from nnzoo.nets.resnet import CIFARResNet
from nnzoo.nets.torchvision import TorchvisionClassifier

pytestmark = pytest.mark.filterwarnings("ignore:.*")
TINY = {"in_shape": (1, 8, 8), "channels": [4], "convs_per_stage": 1}
QUICK = {"max_epochs": 1, "limit_train_batches": 2, "limit_val_batches": 1, "limit_test_batches": 1}


def batch(count=6, channels=1, side=8):
    return torch.rand(count, channels, side, side), torch.arange(count) % 10


@pytest.mark.parametrize(
    ("settings", "network"),
    [
        ({"architecture": "resnet"}, CIFARResNet((1, 8, 8), 10, 20)),
        ({"architecture": "resnet", "depth": 8}, CIFARResNet((1, 8, 8), 10, 8)),
        ({"architecture": "densenet"}, DenseNetBC((1, 8, 8), 10, 100, 12)),
        ({"architecture": "densenet", "depth": 10, "growth": 4}, DenseNetBC((1, 8, 8), 10, 10, 4)),
        ({"architecture": "inception"}, SmallInception((1, 8, 8), 10)),
        ({"architecture": "torchvision"}, TorchvisionClassifier((1, 8, 8), 10, "resnet18")),
    ],
)
def test_an_architecture_is_the_network_of_that_name(settings, network):
    module = CNNClassifier(in_shape=(1, 8, 8), **settings)
    shapes = {key: value.shape for key, value in module.net.state_dict().items()}
    assert shapes == {key: value.shape for key, value in network.state_dict().items()}
    assert type(module.net) is type(network)
    assert set(module.backbone.parameters()) < set(module.net.parameters())


def test_images_are_standardised_with_the_training_parts_pixels(make_trainer):
    module, data = CNNClassifier(**TINY), ImageDataModule()
    make_trainer(**QUICK).fit(module, data)
    pixels = data.tensors("train")[0].double()
    assert module.pixel_mean.item() == pytest.approx(pixels.mean().item(), rel=1e-5)
    assert module.pixel_std.item() == pytest.approx(pixels.std(unbiased=False).item(), rel=1e-5)
    images, _ = batch()
    expected = module.eval().net((images - module.pixel_mean) / module.pixel_std).softmax(1)
    torch.testing.assert_close(module(images), expected)


def test_standardisation_can_be_left_out_and_needs_the_datas_statistics(make_trainer):
    loader = DataLoader(TensorDataset(*batch()), batch_size=3)
    module = CNNClassifier(**TINY, standardize=False)
    make_trainer(**QUICK).fit(module, loader, loader)
    assert module.pixel_mean.item() == 0
    assert module.pixel_std.item() == 1
    with pytest.raises(InputError, match=r"channel_statistics.*standardize false"):
        make_trainer(**QUICK).fit(CNNClassifier(**TINY), loader, loader)


def test_a_channel_that_never_varies_is_only_centred(make_trainer, monkeypatch):
    statistics = torch.tensor([0.25]), torch.tensor([0.0])
    monkeypatch.setattr(ImageDataModule, "channel_statistics", statistics)
    module = CNNClassifier(**TINY)
    make_trainer(**QUICK).fit(module, ImageDataModule())
    assert module.pixel_mean.item() == 0.25
    assert module.pixel_std.item() == 1


def test_another_fit_and_other_data_keep_the_first_statistics(make_trainer, tmp_path):
    module = CNNClassifier(**TINY)
    make_trainer(**QUICK).fit(module, ImageDataModule())
    mean = module.pixel_mean.item()
    module.trainer.save_checkpoint(tmp_path / "x.ckpt")
    for going_on in (module, CNNClassifier.load_from_checkpoint(tmp_path / "x.ckpt")):
        make_trainer(**QUICK).fit(going_on, ImageDataModule(split_seed=5))
        assert going_on.pixel_mean.item() == mean
    assert ImageDataModule(split_seed=5).channel_statistics[0].item() != mean


@pytest.mark.parametrize("mix", ["mixup", "cutmix", "both"])
def test_mixed_batches_are_trained_on_in_training_only(mix):
    module = CNNClassifier(**TINY, mix=mix, norm="none")
    images, labels = batch(10)
    seen = []
    module.net.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    module.training_step((images, labels), 0)
    module.eval()
    plain = module.training_step((images, labels), 0)
    module.validation_step((images, labels), 0)
    assert not torch.equal(seen[0], images)
    assert torch.equal(seen[1], images)
    assert torch.equal(seen[2], images)
    torch.testing.assert_close(plain, F.cross_entropy(module.logits(images), labels))


def test_the_loss_of_mixup_is_the_mixture_of_both_labels_losses():
    """L(lam x_i + (1 - lam) x_j, lam y_i + (1 - lam) y_j) = lam L(., y_i) + (1 - lam) L(., y_j): arXiv:1710.09412."""
    module = CNNClassifier(**TINY, mix="mixup", norm="none", mix_alpha=0.7)
    images, labels = batch(10)
    torch.manual_seed(3)
    loss = module.training_step((images, labels), 0)
    torch.manual_seed(3)
    share = torch.distributions.Beta(torch.tensor([0.7]), torch.tensor([0.7])).sample().item()
    mixed = share * images + (1 - share) * images.roll(1, 0)
    outputs = module.logits(mixed)
    expected = share * F.cross_entropy(outputs, labels) + (1 - share) * F.cross_entropy(outputs, labels.roll(1, 0))
    torch.testing.assert_close(loss, expected)
    larger = labels if share > 0.5 else labels.roll(1, 0)
    accuracy = (outputs.argmax(1) == larger).float().mean()
    torch.testing.assert_close(module.metrics["train_"].compute()["train/accuracy"], accuracy)


@pytest.mark.parametrize(("name", "weight", "side"), [("googlenet", 0.3, 64), ("inception_v3", 0.4, 299)])
def test_auxiliary_heads_add_their_share_to_the_training_loss_alone(name, weight, side):
    module = CNNClassifier(in_shape=(3, side, side), architecture="torchvision", torchvision_name=name)
    images, labels = batch(2, 3, side)
    torch.manual_seed(0)
    loss = module.training_step((images, labels), 0)
    torch.manual_seed(0)
    outputs = module.net.network(images)
    losses = [F.cross_entropy(logits, labels) for logits in outputs]
    torch.testing.assert_close(loss, losses[0] + weight * sum(losses[1:]))
    module.eval()
    assert module.outputs(images).shape == module(images).shape == (2, 10)


def test_views_are_reported_apart_and_change_nothing_else(make_trainer):
    def tested(views):
        L.seed_everything(0, verbose=False)
        module = CNNClassifier(**TINY, views=views)
        trainer = make_trainer(**QUICK)
        trainer.fit(module, ImageDataModule())
        (metrics,) = trainer.test(module, ImageDataModule(), verbose=False)
        return module, metrics

    _, plain = tested("none")
    module, metrics = tested("shift")
    accuracy = metrics.pop("test/accuracy_tta")
    assert metrics == plain
    data = ImageDataModule()
    data.setup()
    images, labels = next(iter(data.test_dataloader()))
    padded = F.pad(images, (1, 1, 1, 1))
    shifted = [padded[..., y : y + 8, x : x + 8] for y, x in ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))]
    with torch.no_grad():
        predicted = sum(module.eval()(view) for view in shifted).argmax(1)
    assert accuracy == pytest.approx((predicted == labels).float().mean().item())


def test_one_step_of_sgd_equals_torchs_with_decay_on_kernels_and_matrices_alone(make_trainer):
    module = CNNClassifier(**TINY, optimizer="sgd", momentum=0.7, lr=0.05, weight_decay=0.01, standardize=False)
    reference = CNNClassifier(**TINY, standardize=False)
    reference.load_state_dict(module.state_dict())
    loader = DataLoader(TensorDataset(*batch(12)), batch_size=6)
    make_trainer(max_epochs=1).fit(module, loader)
    velocity = {name: torch.zeros_like(p) for name, p in reference.named_parameters()}
    for images, labels in loader:
        reference.zero_grad()
        F.cross_entropy(reference.logits(images), labels).backward()
        with torch.no_grad():
            for name, parameter in reference.named_parameters():
                decay = 0.01 * parameter if parameter.dim() > 1 else 0
                velocity[name] = 0.7 * velocity[name] + parameter.grad + decay
                parameter -= 0.05 * velocity[name]
    torch.testing.assert_close(dict(module.named_parameters()), dict(reference.named_parameters()))


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


def test_heat_maps_need_no_gradients_switched_on_and_leave_the_mode_alone():
    module = CNNClassifier(**TINY).train()
    images, labels = batch()
    with torch.inference_mode():
        heat = module.grad_cam(images, labels)
        predicted = module.grad_cam(images)
    assert heat.shape == predicted.shape == (6, 8, 8)
    assert module.training
    assert all(parameter.grad is None for parameter in module.parameters())
    assert module.net.features[1].num_batches_tracked == 0, "the batch statistics must not see them"


def test_a_network_of_ones_own_is_trained_without_heat_maps():
    class Own(CNNClassifier):
        def build_net(self):
            return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))

    module = Own(**TINY)
    module.training_step(batch(), 0).backward()
    assert "grad_cam" not in module.figures(batch(), [])
    with pytest.raises(InputError, match="cam_layer"):
        module.grad_cam(batch()[0])


@torch.no_grad()
def test_figures_show_the_worst_mistakes_first_and_need_no_class_names():
    module = CNNClassifier(**TINY).eval()
    images, labels = batch(40)
    figures = module.figures((images, labels), [])
    assert set(figures) == {"worst_mistakes", "first_layer", "grad_cam"}
    probabilities = module(images)
    wrong = probabilities.argmax(1) != labels
    worst = probabilities[torch.arange(40), labels].masked_fill(~wrong, 2).argmin()
    title = figures["worst_mistakes"].axes[0].get_title()
    assert title == (
        f"{labels[worst]} {100 * probabilities[worst, labels[worst]]:.0f} %\n"
        f"→ {probabilities[worst].argmax()} {100 * probabilities[worst].max():.0f} %"
    )
    right = module.figures((images, probabilities.argmax(1)), [])
    assert "worst_mistakes" not in right


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 1.0}, "dropout"),
        ({"mix_alpha": 0.0}, "mix_alpha"),
        ({"momentum": 1.0}, "momentum"),
        ({"pretrained": True}, "architecture torchvision"),
        ({"architecture": "vgg"}, "There is no architecture 'vgg'"),
        ({"architecture": "resnet", "depth": 21}, "6n"),
        ({"num_classes": 1}, "two classes"),
        ({"architecture": "torchvision", "torchvision_name": "resnet17"}, "resnet18"),
        ({"channels": [4, 4, 4, 4, 4]}, "too small"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        CNNClassifier(**{**TINY, **settings})


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (torch.rand(2, 1, 9, 8), [0, 1], "shape"),
        (2 * torch.ones(2, 1, 8, 8), [0, 1], r"\[0, 1\]"),
        (torch.full((2, 1, 8, 8), math.nan), [0, 1], "NaN"),
        (torch.rand(2, 1, 8, 8), [0, 10], "Labels"),
    ],
)
@pytest.mark.parametrize("mix", ["none", "mixup"])
def test_batches_that_cannot_be_used_are_refused(images, labels, message, mix):
    with pytest.raises(InputError, match=message):
        CNNClassifier(**TINY, mix=mix).training_step((images, torch.tensor(labels)), 0)


def make_cifar10(folder, per_file=40):
    """Random images in the format of CIFAR-10's own python version."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        contents = {
            "data": rng.integers(0, 256, (per_file, 3072), dtype=np.uint8),
            "labels": [i % 10 for i in range(per_file)],
        }
        (folder / name).write_bytes(pickle.dumps(contents))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))


def test_the_recipe_of_cifar_runs_end_to_end(in_tmp, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    make_cifar10(in_tmp / "cifar" / "cifar-10-batches-py")
    flags = ["--config", "cnn_cifar10", "--config", "smoke", "--data.root", "cifar", "--data.batch_size", "20"]
    metrics = main([*flags, "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"])
    assert 0 <= metrics["test/accuracy"] <= 1
    (figures,) = in_tmp.glob("runs/cnn/*/figures")
    assert {path.stem for path in figures.iterdir()} >= {"confusion_matrix", "first_layer", "grad_cam"}


def test_the_recipe_of_cifar_is_he_et_als_protocol():
    settings = settings_of("cnn_cifar10")
    module = CNNClassifier(in_shape=(3, 32, 32), **settings["model"])
    assert sum(p.numel() for p in module.parameters()) == 269_722
    steps, schedule, start = settings["trainer"]["max_steps"], module.hparams["lr_schedule"], module.hparams["lr"]
    assert steps == 64_000
    rates = [
        start * schedule_factor(step, steps, schedule, 0.0) for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999)
    ]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])
    assert round(50_000 * (1 - settings["data"]["val_fraction"])) == 45_000
