"""Losses of supervised networks against PyTorch's own and sums by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nnzoo.nets.layers import is_decayed
from nnzoo.nets.supervised import cross_entropy, squared_error, weight_penalty


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_per_sample_averages_to_pytorchs(smoothing):
    logits, labels = torch.randn(7, 4), torch.tensor([0, 1, 2, 3, 0, 0, 2])
    losses = cross_entropy(logits, labels, smoothing)
    torch.testing.assert_close(losses.mean(), F.cross_entropy(logits, labels, label_smoothing=smoothing))


def test_weighted_cross_entropy_is_pytorchs_weighted_sum_and_does_not_depend_on_the_rest_of_the_batch():
    logits, labels, weights = torch.randn(7, 4), torch.tensor([0, 1, 2, 3, 0, 0, 2]), torch.tensor([1.0, 2, 3, 0.5])
    losses = cross_entropy(logits, labels, class_weights=weights)
    torch.testing.assert_close(losses.sum(), F.cross_entropy(logits, labels, weights, reduction="sum"))
    torch.testing.assert_close(losses[:2], cross_entropy(logits[:2], labels[:2], class_weights=weights))


def test_mixed_labels_weigh_the_losses_of_both_classes():
    logits, share = torch.randn(5, 3), 0.3
    first, second = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1, 1, 0, 2, 0])
    mixed = share * F.one_hot(first, 3) + (1 - share) * F.one_hot(second, 3)
    expected = share * cross_entropy(logits, first) + (1 - share) * cross_entropy(logits, second)
    torch.testing.assert_close(cross_entropy(logits, mixed), expected)


def test_the_squared_error_is_pytorchs_and_refuses_shapes_that_would_broadcast():
    predictions, targets = torch.randn(6), torch.randn(6)
    torch.testing.assert_close(squared_error(predictions, targets).mean(), F.mse_loss(predictions, targets))
    series, truth = torch.randn(6, 3, 2), torch.randn(6, 3, 2)
    torch.testing.assert_close(squared_error(series, truth), (series - truth).square().mean(dim=(1, 2)))
    with pytest.raises(ValueError, match="differ in shape"):
        squared_error(predictions[:, None], targets)


def test_penalties_spare_biases_and_what_a_network_spares_itself():
    net = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3), nn.Embedding(4, 3))
    net[2].weight.no_decay = True
    assert [name for name, p in net.named_parameters() if is_decayed(p)] == ["0.weight"]
    expected = 0.5 * net[0].weight.abs().sum() + net[0].weight.square().sum()
    torch.testing.assert_close(weight_penalty(net, 0.5, 2.0), expected)
