import math

import lightning as L
import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from nnzoo import CNNClassifier, ImageDataModule
from nnzoo.errors import InputError
from nnzoo.nets.densenet import DenseNetBC
from nnzoo.nets.inception import SmallInception
from nnzoo.nets.resnet import CIFARResNet
from nnzoo.nets.torchvision import TorchvisionClassifier
from support.tiny_cnn import QUICK, TINY, batch

pytestmark = pytest.mark.filterwarnings("ignore:.*")


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


def test_standardisation_can_be_left_out_and_takes_a_pass_over_any_loader(make_trainer):
    loader = DataLoader(TensorDataset(*batch()), batch_size=3)
    module = CNNClassifier(**TINY, standardize=False)
    make_trainer(**QUICK).fit(module, loader, loader)
    assert module.pixel_mean.item() == 0
    assert module.pixel_std.item() == 1
    module = CNNClassifier(**TINY)
    make_trainer(**QUICK).fit(module, loader, loader)
    pixels = torch.cat([images for images, _ in loader])
    assert module.pixel_mean.item() == pytest.approx(pixels.mean().item(), rel=1e-5)
    assert module.pixel_std.item() == pytest.approx(pixels.std(correction=0).item(), rel=1e-5)


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


RESNET = {"architecture": "resnet", "channels": (32, 64), "convs_per_stage": 2}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dropout": 1.0}, "dropout"),
        ({"mix_alpha": 0.0}, "mix_alpha"),
        ({"optimizer": "sgd", "momentum": 1.0}, "momentum"),
        ({"pretrained": True}, "architecture torchvision"),
        ({"architecture": "vgg"}, "There is no architecture 'vgg'"),
        ({**RESNET, "depth": 21}, "6n"),
        ({"depth": 20}, "depth does nothing with architecture plain.*--model.architecture resnet or densenet"),
        ({**RESNET, "growth": 24}, "growth does nothing with architecture resnet"),
        ({"momentum": 0.5}, "momentum does nothing with optimizer adamw: leave it out, or set --model.optimizer sgd"),
        ({"num_classes": 1}, "two classes"),
        ({**RESNET, "architecture": "torchvision", "torchvision_name": "resnet17"}, "resnet18"),
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
