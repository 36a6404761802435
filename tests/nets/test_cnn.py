import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnzoo.errors import InputError
from nnzoo.nets.cnn import PlainCNN
from nnzoo.nets.densenet import DenseNetBC
from nnzoo.nets.inception import SmallInception
from nnzoo.nets.resnet import BasicBlock, CIFARResNet

CIFAR = (3, 32, 32)
NETS = {"plain": PlainCNN, "resnet": CIFARResNet, "densenet": DenseNetBC, "inception": SmallInception}
SMALL = {"plain": {}, "resnet": {"depth": 8}, "densenet": {"depth": 10}, "inception": {}}


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


def convolutions(net):
    return [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("in_shape", [(1, 8, 8), (3, 32, 32), (2, 9, 13), (5, 28, 20)])
def test_images_of_any_shape_become_logits_by_way_of_feature_maps(name, in_shape):
    net = NETS[name](in_shape, 7, **SMALL[name]).eval()
    images = torch.rand(3, *in_shape)
    logits = net(images)
    assert logits.shape == (3, 7)
    maps = []
    net.cam_layer.register_forward_hook(lambda _module, _inputs, output: maps.append(output))
    torch.testing.assert_close(net(images[1:2]), logits[1:2])
    assert maps[0].dim() == 4
    assert maps[0].min() >= 0, "after the last ReLU"


@pytest.mark.parametrize("name", NETS)
def test_a_copy_looks_at_its_own_layer(name):
    net = NETS[name](CIFAR, 10, **SMALL[name])
    copied = copy.deepcopy(net)
    assert copied.cam_layer in list(copied.modules())
    assert copied.cam_layer not in list(net.modules())


# Table 6 of arXiv:1512.03385, in millions.
@pytest.mark.parametrize(
    ("depth", "millions", "exactly"),
    [(20, 0.27, 269_722), (32, 0.46, 464_154), (44, 0.66, 658_586), (56, 0.85, 853_018), (110, 1.7, 1_727_962)],
)
def test_resnets_have_the_papers_number_of_parameters(depth, millions, exactly):
    net = CIFARResNet(CIFAR, 10, depth)
    assert count(net) == exactly
    assert round(exactly / 1e6, 2 if millions < 1 else 1) == millions
    n = (depth - 2) // 6  # convolutions, two numbers per channel of each batch norm, and the linear layer
    kernels = 9 * (3 * 16 + 2 * n * 16**2 + 16 * 32 + (2 * n - 1) * 32**2 + 32 * 64 + (2 * n - 1) * 64**2)
    assert exactly == kernels + 2 * (16 + 2 * n * (16 + 32 + 64)) + 64 * 10 + 10
    assert len(convolutions(net)) + 1 == depth


def test_densenet_bc_has_the_published_number_of_parameters():
    """769,162 is what the authors' code counts for L = 100, k = 12 and 10 classes: 0.8M in arXiv:1608.06993."""
    net = DenseNetBC(CIFAR, 10, 100, 12)
    assert count(net) == 769_162
    assert len(convolutions(net)) + 1 == 100


def test_the_small_inception_has_the_published_number_of_parameters():
    """Table 1 of arXiv:1611.03530: 1,649,402, which counts kernels and one bias per channel, and no batch norm."""
    net = SmallInception((3, 28, 28), 10)
    kernels = sum(parameter.numel() for parameter in net.parameters() if parameter.dim() > 1)
    biases = sum(layer.out_channels for layer in convolutions(net)) + 10
    assert kernels + biases == 1_649_402


@pytest.mark.parametrize("name", NETS)
def test_convolutions_beside_a_batch_norm_have_no_bias(name):
    net = NETS[name](CIFAR, 10, **SMALL[name])
    assert all(layer.bias is None for layer in convolutions(net))
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())


def test_without_batch_norm_convolutions_have_a_bias_that_starts_at_zero():
    net = PlainCNN(CIFAR, 10, norm="none")
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules())
    assert all(layer.bias.abs().max() == 0 for layer in convolutions(net))


@pytest.mark.parametrize("name", NETS)
def test_kernels_start_with_he_et_als_deviation_and_norms_as_the_identity(name):
    net = NETS[name](CIFAR, 10)
    for layer in convolutions(net):
        expected = math.sqrt(2 / (layer.kernel_size[0] ** 2 * layer.out_channels))
        # Five standard errors of a standard deviation.
        assert layer.weight.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * layer.weight.numel()))
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()


def test_the_plain_net_equals_its_layers_written_out():
    net = PlainCNN((1, 12, 12), 3, (4, 6), 1, 5, 2, "same", "average", "batch", "silu", 0.5).eval()
    for norm in (net.features[1], net.features[5]):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    images = torch.rand(2, 1, 12, 12)
    features = images
    for start in (0, 4):
        features = F.conv2d(features, net.features[start].weight, stride=2, padding=2)
        norm = net.features[start + 1]
        features = F.batch_norm(features, norm.running_mean, norm.running_var, norm.weight, norm.bias)
        features = F.avg_pool2d(F.silu(features), 2)
    linear = net.head[-1]
    torch.testing.assert_close(net(images), features.flatten(1) @ linear.weight.T + linear.bias)


@pytest.mark.parametrize(
    ("settings", "features"),
    [
        ({}, 64 * 7 * 7),
        ({"padding": "valid"}, 64 * 4 * 4),  # 28 -> 26 -> 24 -> 12 -> 10 -> 8 -> 4
        ({"padding": "valid", "kernel_size": 4}, 64 * 2 * 2),  # 28 -> 25 -> 22 -> 11 -> 8 -> 5 -> 2
        ({"stride": 2, "pooling": "none"}, 64 * 7 * 7),
        ({"stride": 3}, 64 * 1),  # 28 -> 10 -> 5 -> 2 -> 1
        ({"channels": [8], "convs_per_stage": 1, "pooling": "none"}, 8 * 28 * 28),
    ],
)
def test_the_plain_nets_feature_maps_have_the_hand_computed_size(settings, features):
    net = PlainCNN((1, 28, 28), 10, **settings)
    assert net.head[-1].in_features == features
    assert net(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_a_basic_block_of_option_a_equals_a_hand_written_one():
    """Subsampled input and zeros for the new channels: no parameters in the shortcut."""
    block = BasicBlock(2, 4, stride=2)
    assert {name for name, _ in block.named_parameters()} == {
        f"residual.{layer}.{kind}" for layer, kinds in ((0, ["weight"]), (1, ["weight", "bias"])) for kind in kinds
    } | {f"residual.{layer}.{kind}" for layer, kinds in ((3, ["weight"]), (4, ["weight", "bias"])) for kind in kinds}
    features = torch.rand(3, 2, 7, 7)
    first, second = convolutions(block)

    def normalised(maps):
        mean, variance = maps.mean((0, 2, 3), keepdim=True), maps.var((0, 2, 3), unbiased=False, keepdim=True)
        return (maps - mean) / (variance + 1e-5).sqrt()

    residual = F.conv2d(features, first.weight, stride=2, padding=1)
    residual = F.conv2d(normalised(residual).clamp(min=0), second.weight, padding=1)
    shortcut = torch.zeros(3, 4, 4, 4)
    for y in range(4):
        for x in range(4):
            shortcut[:, :2, y, x] = features[:, :, 2 * y, 2 * x]
    torch.testing.assert_close(block(features), (shortcut + normalised(residual)).clamp(min=0))


def test_a_block_that_keeps_its_shape_has_the_identity_as_its_shortcut():
    block = BasicBlock(4, 4, stride=1)
    nn.init.zeros_(block.residual[-1].weight)
    features = torch.rand(2, 4, 5, 5)
    torch.testing.assert_close(block(features), features)


def test_a_dense_layer_normalises_before_it_convolves_and_keeps_its_input():
    net = DenseNetBC(CIFAR, 10, 16, 5)
    layer = net.features[1]
    assert [type(part).__name__ for part in layer.new] == ["BatchNorm2d", "ReLU", "Conv2d"] * 2
    first, second = convolutions(layer)
    assert (first.kernel_size, first.out_channels) == ((1, 1), 4 * 5)
    assert (second.kernel_size, second.in_channels, second.out_channels) == ((3, 3), 20, 5)
    features = torch.rand(2, 10, 8, 8)
    torch.testing.assert_close(layer(features)[:, :10], features, rtol=0, atol=0)
    transitions = [part for part in net.features if isinstance(part, nn.Conv2d)][1:]
    assert [(part.in_channels, part.out_channels) for part in transitions] == [(20, 10), (20, 10)], "half, twice"


@pytest.mark.parametrize("name", NETS)
def test_dropout_is_before_the_last_layer_and_off_in_evaluation(name):
    net = NETS[name](CIFAR, 10, **SMALL[name], dropout=0.4)
    images = torch.rand(4, *CIFAR)
    assert isinstance(net.head[-2], nn.Dropout)
    assert net.head[-2].p == 0.4
    assert not torch.equal(net.train()(images), net(images))
    assert torch.equal(net.eval()(images), net(images))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: CIFARResNet(CIFAR, 10, 18), "6n \\+ 2"),
        (lambda: CIFARResNet(CIFAR, 10, 2), "6n \\+ 2"),
        (lambda: DenseNetBC(CIFAR, 10, 20), "6n \\+ 4"),
        (lambda: DenseNetBC(CIFAR, 10, 40, 0), "growth"),
        (lambda: CIFARResNet((3, 3, 32), 10), "3x32 image is too small"),
        (lambda: DenseNetBC((3, 32, 3), 10), "too small"),
        (lambda: SmallInception((3, 2, 2), 10), "too small"),
        (lambda: PlainCNN((1, 8, 8), 10, (4, 4, 4, 4)), "8x8 image is too small for 4 stages"),
        (lambda: PlainCNN((1, 8, 8), 10, (4,), 1, 9, padding="valid"), "too small"),
        (lambda: PlainCNN((1, 8, 8), 10, ()), "a stage or more"),
        (lambda: PlainCNN((1, 8, 8), 10, (0, 3)), "channels must be positive"),
        (lambda: PlainCNN((1, 8, 8), 10, stride=0), "stride must be positive"),
        (lambda: PlainCNN((1, 8, 8), 10, kernel_size=4), "odd kernel_size"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()
