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


def test_class_weights_of_mixed_labels_are_pytorchs_and_those_of_smoothed_ones_mix_linearly():
    logits, weights, share = torch.randn(5, 3), torch.tensor([0.5, 1.0, 4.0]), 0.3
    first, second = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1, 2, 0, 2, 0])
    mixed = share * F.one_hot(first, 3) + (1 - share) * F.one_hot(second, 3)
    losses = cross_entropy(logits, mixed, class_weights=weights)
    torch.testing.assert_close(losses, F.cross_entropy(logits, mixed, weights, reduction="none"))
    smoothed = [cross_entropy(logits, labels, 0.1, weights) for labels in (first, second)]
    torch.testing.assert_close(
        cross_entropy(logits, mixed, 0.1, weights), share * smoothed[0] + (1 - share) * smoothed[1]
    )
    torch.testing.assert_close(cross_entropy(logits, F.one_hot(first, 3).float(), 0.1, weights), smoothed[0])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("mix", ["none", "mixup"])
def test_balanced_weights_balance_classes_that_the_inputs_say_nothing_about(mix, smoothing):
    """90 of one class and 10 of another, every pair of them mixed alike: the best constant prediction is a half."""
    labels = F.one_hot(torch.tensor([0] * 90 + [1] * 10), 2).double()
    if mix == "mixup":
        labels = (0.3 * labels[:, None] + 0.7 * labels[None]).flatten(0, 1)
    weights = torch.tensor([100 / 180, 100 / 20], dtype=torch.float64)
    rare = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    logits = torch.stack([1 - rare, rare], dim=1).log()
    losses = [cross_entropy(one.expand(len(labels), 2), labels, smoothing, weights).mean() for one in logits]
    assert rare[torch.stack(losses).argmin()] == pytest.approx(0.5)


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
