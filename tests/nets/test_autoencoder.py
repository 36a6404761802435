import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from nnzoo.nets.autoencoder import corrupt, reconstruction_error
from nnzoo.nets.supervised import weight_penalty

NOISES = ["gaussian", "masking", "salt_and_pepper"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_gaussian_noise_is_normal_with_the_stated_standard_deviation_and_not_cut():
    images = torch.rand(20, 3, 30, 30)
    noise = (corrupt(images, "gaussian", 0.4, seeded()) - images).flatten().numpy()
    assert stats.kstest(noise, stats.norm(0, 0.4).cdf).pvalue > 1e-3
    corrupted = corrupt(images, "gaussian", 0.4, seeded())
    assert corrupted.min() < 0
    assert corrupted.max() > 1


def test_gaussian_noise_differs_between_channels():
    noise = corrupt(torch.zeros(10, 2, 30, 30), "gaussian", 1.0, seeded())
    correlation = np.corrcoef(noise[:, 0].flatten(), noise[:, 1].flatten())[0, 1]
    assert abs(correlation) < 4 / np.sqrt(9000)


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_masking_zeroes_the_stated_share_of_pixels_in_all_channels_and_leaves_the_rest(level):
    images = 0.2 + 0.6 * torch.rand(10, 3, 40, 40)
    corrupted = corrupt(images, "masking", level, seeded())
    hit = (corrupted != images).any(dim=1)
    assert (corrupted.movedim(1, -1)[hit] == 0).all()
    assert torch.equal(corrupted.movedim(1, -1)[~hit], images.movedim(1, -1)[~hit])
    assert stats.binomtest(int(hit.sum()), hit.numel(), level).pvalue > 1e-3


@pytest.mark.parametrize("level", [0.1, 0.5, 1.0])
def test_salt_and_pepper_sets_the_stated_share_half_to_one_and_half_to_zero(level):
    images = 0.2 + 0.6 * torch.rand(10, 3, 40, 40)
    corrupted = corrupt(images, "salt_and_pepper", level, seeded())
    salt, pepper = (corrupted == 1).all(dim=1), (corrupted == 0).all(dim=1)
    kept = (corrupted == images).all(dim=1)
    assert (salt | pepper | kept).all()
    assert stats.binomtest(int(salt.sum()), salt.numel(), level / 2).pvalue > 1e-3
    assert stats.binomtest(int(pepper.sum()), pepper.numel(), level / 2).pvalue > 1e-3


@pytest.mark.parametrize("noise", NOISES)
def test_the_noise_of_a_generator_is_reproducible_and_leaves_the_global_one_alone(noise):
    images = torch.full((2, 1, 8, 8), 0.5)
    before = torch.get_rng_state()
    first, again, other = (corrupt(images, noise, 0.5, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("noise", NOISES)
def test_without_a_generator_the_noise_is_new_every_time_and_follows_the_global_seed(noise):
    images = torch.full((2, 1, 8, 8), 0.5)
    torch.manual_seed(3)
    first, second = corrupt(images, noise, 0.5), corrupt(images, noise, 0.5)
    torch.manual_seed(3)
    assert torch.equal(corrupt(images, noise, 0.5), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("noise", "level"), [("none", 0.5), *((noise, 0.0) for noise in NOISES)])
def test_no_noise_and_level_zero_change_nothing(noise, level):
    images = torch.rand(2, 3, 5, 5)
    assert torch.equal(corrupt(images, noise, level), images)


@pytest.mark.parametrize("noise", NOISES)
def test_the_clean_images_are_not_overwritten(noise):
    images = torch.rand(2, 3, 5, 5)
    clean = images.clone()
    corrupt(images, noise, 0.5)
    assert torch.equal(images, clean)


@pytest.mark.parametrize(
    ("loss", "reference"), [("mse", nn.MSELoss(reduction="none")), ("bce", nn.BCELoss(reduction="none"))]
)
def test_the_reconstruction_error_equals_torchs_loss_summed_over_pixels_per_image(loss, reference):
    images, logits = torch.rand(4, 3, 5, 6, dtype=torch.float64), torch.randn(4, 3, 5, 6, dtype=torch.float64)
    expected = reference(torch.sigmoid(logits), images).sum(dim=(1, 2, 3))
    torch.testing.assert_close(reconstruction_error(images, logits, loss), expected)


def test_cross_entropy_stays_finite_at_extreme_logits():
    logits = torch.tensor([-1e4, 1e4]).view(1, 1, 1, 2).requires_grad_()
    error = reconstruction_error(torch.tensor([1.0, 0.0]).view(1, 1, 1, 2), logits, "bce")
    error.sum().backward()
    torch.testing.assert_close(error, torch.tensor([2e4]))
    assert logits.grad.flatten().tolist() == [-1, 1]


def test_the_weight_penalty_equals_a_sum_by_hand_over_matrices_and_kernels_without_biases():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(4, 3))
    weights = np.concatenate([net[0].weight.detach().numpy().ravel(), net[2].weight.detach().numpy().ravel()])
    expected = 0.3 * np.abs(weights).sum() + 0.7 / 2 * (weights**2).sum()
    assert weight_penalty(net, 0.3, 0.7).item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_of_the_weight_penalty_is_l1_sign_plus_l2_times_the_weight():
    net = nn.Linear(4, 3)
    weight_penalty(net, 0.3, 0.7).backward()
    torch.testing.assert_close(net.weight.grad, 0.3 * net.weight.sign() + 0.7 * net.weight)
    assert net.bias.grad is None
