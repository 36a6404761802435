import math

import pytest
import torch
from torch import nn

from nnzoo.errors import InputError
from nnzoo.nets.encoder_decoder import Decoder, Encoder, line_between, stage_sizes, upsample
from nnzoo.nets.layers import ACTIVATIONS, append_one_hot

SHAPES = [
    ((1, 28, 28), (4, 6)),
    ((3, 32, 32), (4, 6, 8)),
    ((1, 8, 8), (5,)),
    ((3, 9, 14), (4, 6, 8)),
    ((2, 5, 17), (4, 6)),
    ((1, 7, 4), (3, 3)),
    ((4, 31, 33), (2, 3, 4, 5)),
    ((1, 1, 1), ()),
    ((3, 2, 5), ()),
]


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
@pytest.mark.parametrize(("shape", "hidden"), SHAPES)
def test_the_encoder_maps_any_shape_to_vectors(shape, hidden, architecture):
    encoder = Encoder(shape, 7, architecture, hidden)
    assert encoder(torch.rand(2, *shape)).shape == (2, 7)


@pytest.mark.parametrize(
    ("architecture", "upsampling"), [("mlp", "nearest"), ("conv", "transposed"), ("conv", "nearest")]
)
@pytest.mark.parametrize(("shape", "hidden"), SHAPES)
def test_the_decoder_returns_exactly_the_shape_it_was_built_for(shape, hidden, architecture, upsampling):
    decoder = Decoder(shape, 7, architecture, hidden, upsampling=upsampling)
    assert decoder(torch.randn(2, 7)).shape == (2, *shape)


@pytest.mark.parametrize("size", range(8, 25))
def test_every_stage_of_the_encoder_halves_a_side_rounding_up(size):
    encoder = Encoder((1, size, 2 * size + 1), 2, "conv", (2, 2, 2))
    image, seen = torch.rand(1, 1, size, 2 * size + 1), [(size, 2 * size + 1)]
    for layer in encoder.features:
        image = layer(image)
        if isinstance(layer, nn.Conv2d):
            seen.append(tuple(image.shape[2:]))
    expected = [(size, 2 * size + 1)]
    for _ in range(3):
        expected.append(tuple(-(-side // 2) for side in expected[-1]))
    assert seen == expected
    assert stage_sizes((1, size, 2 * size + 1), 3) == expected


@pytest.mark.parametrize("upsampling", ["transposed", "nearest"])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 3), (5, 8), (7, 7)])
def test_upsampling_reaches_odd_and_even_sizes(size, upsampling):
    half = [math.ceil(side / 2) for side in size]
    layers = nn.Sequential(*upsample(3, 2, size, upsampling))
    assert layers(torch.rand(1, 3, *half)).shape == (1, 2, *size)


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_every_hidden_layer_and_no_other_has_the_activation(activation, architecture):
    encoder = Encoder((1, 8, 8), 3, architecture, (4, 5), activation)
    decoder = Decoder((1, 8, 8), 3, architecture, (4, 5), activation)
    for net in (encoder, decoder):
        layers = [layer for layer in net.modules() if not list(layer.children())]
        assert sum(type(layer) is ACTIVATIONS[activation] for layer in layers) == 2
        weighted = [layer for layer in layers if list(layer.parameters())]
        assert layers.index(weighted[-1]) > max(i for i, x in enumerate(layers) if type(x) is ACTIVATIONS[activation])


def test_the_activation_matters():
    outputs = []
    for activation in ACTIVATIONS:
        torch.manual_seed(0)
        outputs.append(Encoder((1, 4, 4), 3, "mlp", (5,), activation)(torch.linspace(0, 1, 16).view(1, 1, 4, 4)))
    assert len({tuple(output.flatten().tolist()) for output in outputs}) == len(ACTIVATIONS)


@pytest.mark.parametrize("net", [Encoder, Decoder])
@pytest.mark.parametrize(("size", "stages", "allowed"), [((8, 8), 4, 3), ((28, 3), 2, 1), ((1, 9), 1, 0)])
def test_an_image_too_small_for_the_stages_is_refused_with_the_numbers(net, size, stages, allowed):
    with pytest.raises(InputError) as error:
        net((1, *size), 4, "conv", (2,) * stages)
    message = str(error.value)
    assert f"{size[0]}x{size[1]}" in message
    assert f"at most {allowed}" in message
    assert f"got {stages}" in message
    assert f"image_size to {2**stages}" in message


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
@pytest.mark.parametrize("net", [Encoder, Decoder])
@pytest.mark.parametrize(
    ("shape", "hidden"), [((1, 8, 8), (4, 0)), ((1, 8, 8), (-1,)), ((0, 8, 8), (4,)), ((1, 0, 8), (4,))]
)
def test_sizes_that_are_not_positive_are_refused(net, architecture, shape, hidden):
    with pytest.raises(InputError, match="must be positive"):
        net(shape, 4, architecture, hidden)


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_a_conditional_net_depends_on_the_label_and_only_on_that_of_its_own_row(architecture):
    torch.manual_seed(0)
    encoder = Encoder((1, 8, 8), 3, architecture, (4,), num_classes=3)
    decoder = Decoder((1, 8, 8), 3, architecture, (4,), num_classes=3)
    image, code = torch.rand(1, 1, 8, 8), torch.randn(1, 3)
    labels = torch.arange(3)
    for net, single in ((encoder, image), (decoder, code)):
        batch = net(single.expand(3, *single.shape[1:]), labels)
        rows = torch.cat([net(single, label.view(1)) for label in labels])
        torch.testing.assert_close(batch, rows)
        assert all((batch[i] - batch[j]).abs().max() > 1e-3 for i, j in [(0, 1), (0, 2), (1, 2)])


@pytest.mark.parametrize(("net", "inputs"), [(Encoder, (2, 1, 4, 4)), (Decoder, (2, 3))])
def test_a_conditional_net_without_labels_asks_for_them(net, inputs):
    conditional = net((1, 4, 4), 3, hidden=(4,), num_classes=5)
    with pytest.raises(InputError, match="5 classes: give it labels"):
        conditional(torch.rand(inputs))


def test_an_unconditional_net_passes_over_labels():
    decoder = Decoder((1, 4, 4), 3, hidden=(4,))
    codes = torch.randn(2, 3)
    assert torch.equal(decoder(codes), decoder(codes, torch.tensor([0, 9])))


def test_one_hot_labels_are_appended_in_the_type_of_the_features():
    features = torch.zeros(2, 1, dtype=torch.float64)
    appended = append_one_hot(features, torch.tensor([2, 0]), 3)
    assert appended.tolist() == [[0, 0, 0, 1], [0, 1, 0, 0]]
    assert appended.dtype == torch.float64


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_every_parameter_gets_a_gradient(architecture):
    encoder = Encoder((2, 9, 7), 3, architecture, (4, 5), "tanh")
    decoder = Decoder((2, 9, 7), 3, architecture, (4, 5), "tanh")
    decoder(encoder(torch.rand(3, 2, 9, 7))).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for net in (encoder, decoder) for p in net.parameters())


def test_a_line_has_equal_steps_and_exact_ends():
    first, second = torch.randn(3, 4), torch.randn(3, 4)
    points = line_between(first, second, 5)
    assert points.shape == (3, 5, 4)
    assert torch.equal(points[:, 0], first)
    assert torch.equal(points[:, -1], second)
    torch.testing.assert_close(points[:, 1], first + (second - first) / 4)
    torch.testing.assert_close(points.diff(dim=1), ((second - first) / 4)[:, None].expand(3, 4, 4))
