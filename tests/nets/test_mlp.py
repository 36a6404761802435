"""The multilayer perceptron against layers applied by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnzoo.nets.mlp import MLP, TabularMLP, embedding_size


def test_an_empty_list_of_hidden_layers_is_a_linear_map():
    net, inputs = MLP(5, 3), torch.randn(4, 5)
    (weight, bias) = net.parameters()
    torch.testing.assert_close(net(inputs), inputs @ weight.T + bias)


def test_hidden_layers_are_linear_norm_activation_dropout():
    net = MLP(5, 3, [8, 6], "relu", "layer", dropout=0.5)
    kinds = [nn.Linear, nn.LayerNorm, nn.ReLU, nn.Dropout] * 2 + [nn.Linear]
    assert [type(layer) for layer in net.layers] == kinds
    first, norm, *_, last = net.layers
    assert MLP(5, 3, [8], "relu", "batch").layers[0].bias is None, "the norm has a bias of its own"
    assert last.bias is not None
    inputs = torch.randn(4, 5)
    hidden = F.relu(F.layer_norm(inputs @ first.weight.T + first.bias, [8], norm.weight, norm.bias))
    torch.testing.assert_close(net.layers[:3](inputs), hidden)


def test_a_layer_norm_does_not_hide_the_length_of_the_input():
    net, inputs = MLP(4, 3, [16], "gelu", "layer"), torch.randn(5, 4)
    assert (net(inputs) - net(3 * inputs)).abs().max() > 0.01


def test_the_number_of_parameters_is_that_of_the_layers():
    count = sum(p.numel() for p in MLP(784, 10, [800, 800], "relu").parameters())
    assert count == 785 * 800 + 801 * 800 + 801 * 10


def test_categories_enter_as_embeddings_and_an_unknown_one_as_zeros():
    net = TabularMLP(2, [3, 10], 4)
    assert [tuple(e.weight.shape) for e in net.embeddings] == [(4, 2), (11, 5)]
    numeric, codes = torch.randn(2, 2), torch.tensor([[0, 3], [2, 0]])
    (weight, bias) = net.mlp.parameters()
    colour, town = (embedding.weight for embedding in net.embeddings)
    rows = torch.stack([
        torch.cat([numeric[0], torch.zeros(2), town[3]]),
        torch.cat([numeric[1], colour[2], torch.zeros(5)]),
    ])  # fmt: skip
    torch.testing.assert_close(net(numeric, codes), rows @ weight.T + bias)
    net(numeric, codes).sum().backward()
    assert not net.embeddings[0].weight.grad[0].any(), "zeros must stay zeros"


def test_without_classes_the_output_is_one_number_per_row():
    assert TabularMLP(2, [], 0)(torch.randn(7, 2), torch.zeros(7, 0, dtype=torch.int64)).shape == (7,)


@pytest.mark.parametrize(("count", "size"), [(1, 1), (2, 1), (3, 2), (10, 5), (1000, 50)])
def test_embeddings_grow_with_the_number_of_categories_up_to_fifty(count, size):
    assert embedding_size(count) == size
