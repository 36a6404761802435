"""The U-Net: the paper's size, what it starts as, and what its inputs change."""

import math

import numpy as np
import pytest
import torch

from nnzoo.errors import InputError
from nnzoo.nets.unet import Attention, Doubling, ResidualBlock, UNet, group_norm, time_embedding

SMALL = {"channels": 8, "channel_mult": (1, 2), "blocks": 1}


def net(in_shape=(1, 8, 8), **settings):
    """A net whose zero layers are drawn, so that all inputs act."""
    torch.manual_seed(0)
    built = UNet(in_shape, **{**SMALL, **settings}).eval()
    for parameter in built.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    return built


def test_the_papers_net_for_cifar10_has_its_parameters():
    with torch.device("meta"):
        built = UNet((3, 32, 32), attention=(16,))
    assert sum(parameter.numel() for parameter in built.parameters()) == 35_746_307


def test_doubling_is_its_upsampling_and_its_convolution():
    """To rounding, at the borders too, and so is the gradient."""
    torch.manual_seed(0)
    doubling, features = Doubling(3).double(), torch.randn(2, 3, 3, 5, dtype=torch.float64, requires_grad=True)
    plain = torch.nn.Sequential(*doubling)
    inputs = [features, *doubling.parameters()]
    results = [layer(features) for layer in (doubling, plain)]
    assert torch.allclose(*results, atol=1e-12)
    for one, other in zip(*(torch.autograd.grad((result**2).sum(), inputs) for result in results), strict=True):
        assert torch.allclose(one, other, atol=1e-9)


def test_a_new_net_says_nothing():
    images, times = torch.randn(2, 3, 8, 8), torch.tensor([0.0, 999.0])
    assert not UNet((3, 8, 8), **SMALL)(images, times).any()


def test_every_block_begins_as_its_shortcut_and_other_kernels_with_the_mean_of_both_fans():
    built = UNet((3, 8, 8), channels=32, channel_mult=(1, 2), blocks=1, attention=(4,), num_classes=3)
    blocks = [layer for layer in built.modules() if isinstance(layer, ResidualBlock | Attention)]
    assert len(blocks) == 8 + 4
    assert not any(block.last.weight.any() for block in blocks)
    kernel = built.down[0].block.before[2].weight.detach()
    most = math.sqrt(6 / (2 * 32 * 9))
    assert 0.98 * most < float(kernel.abs().max()) <= most
    assert float(kernel.std()) == pytest.approx(most / math.sqrt(3), rel=0.05)


@pytest.mark.parametrize(
    ("in_shape", "channel_mult"),
    [((1, 8, 8), (1, 2)), ((3, 16, 24), (1, 1, 2, 2)), ((2, 9, 15), (1,)), ((1, 28, 28), (1, 2, 2))],
)
def test_images_of_any_size_that_can_be_halved_keep_it(in_shape, channel_mult):
    images = torch.randn(2, *in_shape)
    assert net(in_shape, channel_mult=channel_mult)(images, torch.zeros(2)).shape == images.shape


@pytest.mark.parametrize(
    ("in_shape", "levels", "says"),
    [
        (
            (1, 28, 28),
            4,
            "28x28 image cannot be halved 3 times.*multiples of 8.*image_size 32.*channel_mult of 3 levels",
        ),
        ((1, 9, 12), 2, "9x12 image cannot be halved 1 times.*image_size 12.*channel_mult of 1 levels"),
    ],
)
def test_sizes_that_cannot_be_halved_are_refused_with_those_that_fit(in_shape, levels, says):
    with pytest.raises(InputError, match=says):
        UNet(in_shape, channels=8, channel_mult=[1] * levels)


def test_an_attention_that_no_map_has_is_refused():
    with pytest.raises(InputError, match=r"No feature map is 16 high: --model\.attention takes some of 8, 4"):
        UNet((1, 8, 8), **SMALL, attention=(16,))


def test_times_are_sines_and_cosines_at_the_papers_frequencies():
    times, size = torch.tensor([0.0, 1.0, 999.0]), 8
    frequencies = np.exp(-math.log(10_000) * np.arange(4) / 3)
    angles = times.numpy()[:, None] * frequencies
    expected = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    assert time_embedding(times, size).numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("channels", [2, 4, 8, 32, 36])
def test_time_class_and_context_change_the_output(channels):
    """A norm over a channel by itself would take the state of time and class away again, as in nets of few channels."""
    built = net(channels=channels, num_classes=3, context_dim=5)
    images, times, labels, context = (
        torch.randn(2, 1, 8, 8),
        torch.tensor([10.0, 500.0]),
        torch.tensor([0, 3]),
        torch.randn(2, 4, 5),
    )
    result = built(images, times, labels, context)
    for other in ((times + 50, labels, context), (times, labels.flip(0), context), (times, labels, context + 1)):
        assert float((result - built(images, *other)).abs().max()) > 1e-3


@pytest.mark.parametrize(("channels", "groups"), [(128, 32), (256, 32), (384, 32), (64, 16), (36, 9), (2, 1)])
def test_norms_have_the_papers_groups_where_there_are_channels_enough(channels, groups):
    assert group_norm(channels).num_groups == groups
    assert group_norm(channels).eps == 1e-6


def test_a_sample_does_not_depend_on_its_batch():
    built, images, times = net(), torch.randn(3, 1, 8, 8), torch.tensor([1.0, 300.0, 900.0])
    assert torch.allclose(built(images, times)[1:2], built(images[1:2], times[1:2]), atol=1e-5)


def test_tokens_that_do_not_count_do_not_act():
    built, images, times = net(context_dim=5), torch.randn(2, 1, 8, 8), torch.zeros(2)
    context, mask = torch.randn(2, 6, 5), torch.tensor([[True] * 4 + [False] * 2] * 2)
    result = built(images, times, context=context, context_mask=mask)
    assert torch.allclose(result, built(images, times, context=context[:, :4]), atol=1e-5)
    assert not torch.allclose(result, built(images, times, context=context), atol=1e-4)


def test_attention_is_the_softmax_of_scaled_products():
    torch.manual_seed(0)
    layer, features = Attention(4), torch.randn(1, 4, 2, 3)
    torch.nn.init.normal_(layer.last.weight)
    positions = layer.norm(features)[0].flatten(1).T
    query = layer.query(positions)
    key, value = layer.key_value(positions).chunk(2, dim=-1)
    attended = (query @ key.T / 2).softmax(1) @ value
    expected = features + layer.last(attended).T.view(1, 4, 2, 3)
    assert torch.allclose(layer(features), expected, atol=1e-5)


def test_large_features_stay_finite_in_half_precision():
    """Their products overflow float16, and lose all difference in bfloat16, unless attention is in float32."""
    built = net(attention=(8, 4))
    for layer in built.modules():
        if isinstance(layer, Attention):
            layer.query.weight.data *= 300
            layer.key_value.weight.data *= 300
    with torch.autocast("cpu", dtype=torch.float16):
        assert torch.isfinite(built(torch.randn(2, 1, 8, 8), torch.zeros(2))).all()


def test_labels_out_of_range_are_refused():
    with pytest.raises(InputError, match=r"0 \.\. 3"):
        net(num_classes=3)(torch.zeros(1, 1, 8, 8), torch.zeros(1), torch.tensor([4]))
