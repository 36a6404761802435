import warnings
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision import models

from nnzoo.errors import InputError
from nnzoo.nets.torchvision import TorchvisionClassifier, pretrained_normalization


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("name", "side"), [("resnet18", 8), ("squeezenet1_1", 32), ("mobilenet_v3_small", 16), ("swin_t", 32)]
)
def test_a_network_by_name_classifies_grey_and_colour_images(name, side, channels):
    net = TorchvisionClassifier((channels, side, side), 7, name).eval()
    images = torch.rand(2, channels, side, side)
    reference = models.get_model(name, num_classes=7).eval()
    reference.load_state_dict(net.network.state_dict())
    logits = reference(images if channels == 3 else torch.cat([images] * 3, dim=1))
    torch.testing.assert_close(net(images), logits)
    assert logits.shape == (2, 7)


def test_the_backbone_is_all_but_the_head():
    net = TorchvisionClassifier((3, 32, 32), 10, "resnet18")
    backbone, everything = set(net.backbone.parameters()), set(net.parameters())
    assert everything - backbone == set(net.network.fc.parameters())
    assert net.cam_layer is net.network.layer4
    assert TorchvisionClassifier((3, 32, 32), 10, "squeezenet1_1").cam_layer is not None
    assert TorchvisionClassifier((3, 32, 32), 10, "swin_t").cam_layer is None


@pytest.mark.filterwarnings("ignore:.*")
def test_the_class_token_of_a_transformer_is_part_of_the_backbone():
    net = TorchvisionClassifier((3, 224, 224), 2, "vit_b_16")
    backbone = set(net.backbone.parameters())
    assert net.network.class_token in backbone
    assert set(net.parameters()) - backbone == set(net.network.heads.parameters())


def test_auxiliary_heads_answer_in_training_only_and_are_no_part_of_the_backbone():
    net = TorchvisionClassifier((3, 64, 64), 5, "googlenet")
    images = torch.rand(2, 3, 64, 64)
    assert net.train()(images).shape == (2, 3, 5)
    assert net.eval()(images).shape == (2, 5)
    heads = {*net.network.fc.parameters(), *net.network.aux1.parameters(), *net.network.aux2.parameters()}
    assert set(net.parameters()) - set(net.backbone.parameters()) == heads
    torch.manual_seed(0)
    ours = net.train()(images)
    torch.manual_seed(0)
    theirs = net.network(images)
    torch.testing.assert_close(ours[:, 0], theirs.logits)
    assert net.cam_layer is net.network.inception5b


@pytest.mark.parametrize(
    ("in_shape", "name", "message"),
    [
        ((3, 32, 32), "resnet81", "no classifier 'resnet81': did you mean resnet18"),
        ((3, 32, 32), "?", "no classifier"),
        ((2, 32, 32), "resnet18", "1 or 3 channels, got 2"),
        ((3, 32, 32), "vit_b_16", "does not take images of 32x32"),
        ((3, 96, 96), "inception_v3", "299 for inception_v3"),
        ((3, 8, 8), "vgg11", "--data.image_size"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*")
def test_networks_that_do_not_exist_or_do_not_take_such_images_are_refused(in_shape, name, message):
    with pytest.raises(InputError, match=message.replace("?", "\\?")):
        TorchvisionClassifier(in_shape, 10, name)


def saved_weights(name, folder, monkeypatch, **options):
    """Puts random weights where torchvision keeps its own."""
    torch.manual_seed(7)
    weights = models.get_model(name, weights=None, **options).state_dict()
    path = folder / "checkpoints" / models.get_model_weights(name).DEFAULT.url.rpartition("/")[2]
    path.parent.mkdir(parents=True)
    torch.save(weights, path)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(folder))
    return weights


@pytest.mark.parametrize(("classes", "head_loaded"), [(10, False), (1000, True)])
def test_pretrained_weights_are_torchvisions_but_for_a_head_of_other_classes(
    classes, head_loaded, tmp_path, monkeypatch
):
    weights = saved_weights("resnet18", tmp_path, monkeypatch)
    net = TorchvisionClassifier((3, 32, 32), classes, "resnet18", pretrained=True)
    fresh = {key: value.clone() for key, value in net.network.state_dict().items()}
    net.load_pretrained()
    for key, value in net.network.state_dict().items():
        expected = weights[key] if head_loaded or not key.startswith("fc.") else fresh[key]
        assert torch.equal(value, expected), key


@pytest.mark.filterwarnings("ignore:.*")
def test_pretrained_auxiliary_heads_are_loaded_but_for_their_last_layers(tmp_path, monkeypatch):
    weights = saved_weights("googlenet", tmp_path, monkeypatch, init_weights=False)
    net = TorchvisionClassifier((3, 64, 64), 5, "googlenet", pretrained=True)
    assert net.network.transform_input, "its weights were trained on pixels from -1 to 1"
    net.load_pretrained()
    own = net.network.state_dict()
    other = {key for key, value in weights.items() if own[key].shape != value.shape or not torch.equal(own[key], value)}
    assert other == {f"{head}.{kind}" for head in ("fc", "aux1.fc2", "aux2.fc2") for kind in ("weight", "bias")}


@pytest.mark.parametrize("error", [URLError("no network"), TimeoutError("timed out"), RuntimeError("invalid hash")])
def test_without_weights_and_network_the_message_says_where_to_put_them(error, tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise error

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    net = TorchvisionClassifier((3, 32, 32), 10, "resnet18", pretrained=True)
    with pytest.raises(InputError, match=r"resnet18.*https://.*pretrained false"), warnings.catch_warnings():
        net.load_pretrained()


def test_the_normalisation_of_imagenet_is_torchvisions():
    mean, std = pretrained_normalization("resnet18")
    torch.testing.assert_close(mean, torch.tensor([0.485, 0.456, 0.406]))
    torch.testing.assert_close(std, torch.tensor([0.229, 0.224, 0.225]))


def test_a_frozen_network_has_no_gradients_outside_its_head():
    net = TorchvisionClassifier((3, 32, 32), 10, "resnet18")
    net.backbone.requires_grad_(False)
    nn.functional.cross_entropy(net(torch.rand(2, 3, 32, 32)), torch.tensor([0, 1])).backward()
    assert {name for name, p in net.network.named_parameters() if p.grad is not None} == {"fc.weight", "fc.bias"}
