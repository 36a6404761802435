"""The reader of captions: padding changes nothing, order and words do, and the U-Net sees it."""

import pytest
import torch
from torch import nn

from nnzoo import InputError
from nnzoo.nets.ddpm_text import TextEncoder, TextUNet
from nnzoo.nets.layers import is_decayed

CAPTIONS = torch.tensor([[1, 5, 6, 7], [1, 8, 0, 0], [1, 0, 0, 0]])
"""Of three words, of one, and of none."""


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return TextEncoder(num_tokens=10, length=8, width=16, layers=2, heads=4, dropout=0.1)


@pytest.fixture
def unet():
    torch.manual_seed(0)
    text = {"num_tokens": 10, "length": 8, "width": 16, "layers": 1, "heads": 2}
    net = TextUNet((1, 8, 8), 1, text, channels=8, channel_mult=(1, 2), blocks=1, attention=(4,))
    for parameter in net.parameters():
        if not parameter.any():  # layers that begin at zero
            nn.init.normal_(parameter, std=0.1)
    return net


def longer(tokens, padding):
    return torch.cat([tokens, torch.zeros(len(tokens), padding, dtype=torch.long)], dim=1)


@pytest.mark.parametrize("training", [False, True])
def test_more_padding_changes_nothing(encoder, training):
    """In evaluation PyTorch takes another way through its layers than in training."""
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    encoder.layers.layers[0].self_attn.dropout = encoder.layers.layers[1].self_attn.dropout = 0.0
    encoder.train(training)
    with torch.set_grad_enabled(training):
        (few, valid), (many, more_valid) = encoder(CAPTIONS), encoder(longer(CAPTIONS, 4))
    for row, length in enumerate((4, 2, 1)):
        torch.testing.assert_close(many[row, :length], few[row, :length], rtol=1e-4, atol=1e-5)
        assert valid[row].sum() == more_valid[row].sum() == length


def test_the_network_sees_no_padding(unet):
    images, times = torch.randn(3, 1, 8, 8), torch.tensor([10.0, 300.0, 900.0])
    unet.eval()
    with torch.no_grad():
        torch.testing.assert_close(unet(images, times, longer(CAPTIONS, 4)), unet(images, times, CAPTIONS))


def test_words_and_their_order_are_seen(unet):
    images, times = torch.randn(1, 1, 8, 8).expand(3, -1, -1, -1), torch.full((3,), 300.0)
    with torch.no_grad():
        first, swapped, other = unet.eval()(images, times, torch.tensor([[1, 5, 6], [1, 6, 5], [1, 5, 7]]))
    assert not torch.allclose(first, swapped, atol=1e-4)
    assert not torch.allclose(first, other, atol=1e-4)


def test_evaluation_and_training_take_the_same_way_to_the_same_states(encoder):
    encoder.eval()
    with torch.no_grad():
        quick, valid = encoder(CAPTIONS)
    slow, _ = encoder(CAPTIONS)  # with gradients PyTorch's fused layer is not used
    torch.testing.assert_close(quick[valid], slow[valid], rtol=1e-4, atol=1e-5)


def test_tables_of_words_and_positions_are_spared_from_decay(encoder):
    assert not is_decayed(encoder.words.weight)
    assert not is_decayed(encoder.positions)
    assert is_decayed(encoder.layers.layers[0].linear1.weight)


def test_layers_begin_with_weights_of_their_own(encoder):
    first, second = encoder.layers.layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)
    assert encoder.words.weight[0].abs().sum() == 0


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"width": 10}, "multiple of text_heads, got 10 and 4"), ({"layers": 0}, "text_layers must be positive")],
)
def test_what_cannot_be_is_refused(settings, says):
    with pytest.raises(InputError, match=says):
        TextEncoder(**{"num_tokens": 10, "length": 8, "width": 16, "heads": 4, **settings})


def test_a_network_without_captions_says_so(unet):
    with pytest.raises(InputError, match="conditioned on captions"):
        unet(torch.zeros(1, 1, 8, 8), torch.zeros(1), None)
