import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import distributions

from nnzoo.nets.likelihoods import Bernoulli, DiscretizedLogistic, Gaussian, bits_per_dim, build_likelihood

LEVELS = [2, 3, 17, 256]
FLAT_LOG_SCALE = 1 + math.log(0.25 / math.log(2))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def params_of(location, scale, shape=(1, 1, 1)):
    """What a decoder must put out for this location and scale: they are stored as location - 0.5 and log scale + 1."""
    location = torch.as_tensor(location, dtype=torch.float64).expand(shape)
    scale = torch.as_tensor(scale, dtype=torch.float64).expand(shape)
    return torch.cat([location - 0.5, scale.log() + 1], dim=-3)


def level_log_probs(likelihood, params):
    """Log-probabilities of all levels of one pixel for params (N, 2, 1, 1): (levels, N)."""
    grid = torch.arange(likelihood.levels, dtype=params.dtype) / (likelihood.levels - 1)
    images = grid.view(-1, 1, 1, 1, 1).expand(-1, len(params), 1, 1, 1)
    return likelihood.log_prob(images, params.expand(likelihood.levels, *params.shape))


def random_params(count=200, spread=1.0, dtype=torch.float64):
    location = spread * torch.randn(count, generator=seeded(1), dtype=dtype)
    log_scale = 6 * spread * torch.randn(count, generator=seeded(2), dtype=dtype) - 2
    return torch.stack([location, log_scale], dim=1).view(count, 2, 1, 1)


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (2, 4, 1, 3, 3)])
def test_the_bernoulli_log_probability_equals_torchs(shape):
    logits = 3 * torch.randn(shape, dtype=torch.float64)
    images = (torch.rand(shape) < 0.5).double()
    expected = distributions.Bernoulli(logits=logits).log_prob(images).sum(dim=(-3, -2, -1))
    torch.testing.assert_close(Bernoulli().log_prob(images, logits), expected)


def test_bernoulli_probabilities_of_all_images_sum_to_one():
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=4))).view(16, 1, 2, 2)
    logits = torch.randn(1, 2, 2).expand(16, 1, 2, 2)
    assert Bernoulli().log_prob(images, logits).exp().sum().item() == pytest.approx(1, abs=1e-5)


def test_bernoulli_is_finite_at_extreme_logits():
    logits = torch.tensor([1e4, -1e4]).view(1, 1, 2).requires_grad_()
    log_prob = Bernoulli().log_prob(torch.tensor([0.0, 1.0]).view(1, 1, 2), logits)
    log_prob.backward()
    assert log_prob.item() == -2e4
    assert logits.grad.flatten().tolist() == [-1, 1]


def test_bernoulli_draws_are_binary_with_the_mean_of_the_likelihood():
    logits = torch.tensor([-2.0, 0.0, 1.5]).view(1, 1, 3).expand(4000, 1, 1, 3)
    draws = Bernoulli().sample(logits, seeded())
    assert set(draws.unique().tolist()) == {0.0, 1.0}
    for pixel, logit in enumerate([-2.0, 0.0, 1.5]):
        share = 1 / (1 + math.exp(-logit))
        assert Bernoulli().mean(logits)[0, 0, 0, pixel].item() == pytest.approx(share, rel=1e-5)
        assert stats.binomtest(int(draws[..., pixel].sum()), 4000, share).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (2, 4, 1, 3, 3)])
def test_the_gaussian_log_density_equals_torchs_with_all_constants(shape):
    location = torch.rand(shape, dtype=torch.float64)
    scale = torch.rand(shape, dtype=torch.float64) + 0.05
    images = torch.rand(shape, dtype=torch.float64)
    expected = distributions.Normal(location, scale).log_prob(images).sum(dim=(-3, -2, -1))
    torch.testing.assert_close(Gaussian(256).log_prob(images, params_of(location, scale, shape)), expected)


@pytest.mark.parametrize("likelihood", [Gaussian(256), DiscretizedLogistic(256)], ids=["gaussian", "logistic"])
def test_the_scale_stays_within_a_hundredth_of_a_level_and_e_cubed(likelihood):
    params = torch.tensor([[0.0, -1e6], [0.0, 1e6]], dtype=torch.float64).view(2, 2, 1, 1)
    scale = likelihood.split(params)[1].flatten()
    assert scale.tolist() == pytest.approx([0.01 / 255, math.exp(3)])


def test_gaussian_draws_have_the_location_and_scale_and_are_cut_to_the_unit_interval():
    inside = Gaussian(256).sample(params_of(0.5, 0.1, (5000, 1, 1, 1)), seeded()).flatten()
    assert stats.kstest(inside.numpy(), stats.norm(0.5, 0.1).cdf).pvalue > 1e-3
    wide = Gaussian(256).sample(params_of(0.2, 0.5, (5000, 1, 1, 1)), seeded()).flatten()
    assert wide.min() == 0
    assert wide.max() == 1
    below, above = stats.norm(0.2, 0.5).cdf(0), stats.norm(0.2, 0.5).sf(1)
    assert stats.binomtest(int((wide == 0).sum()), 5000, below).pvalue > 1e-3
    assert stats.binomtest(int((wide == 1).sum()), 5000, above).pvalue > 1e-3


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("spread", [0.3, 1.0, 30.0])
def test_the_logistic_probabilities_of_all_levels_sum_to_one_even_at_extreme_parameters(levels, spread):
    probabilities = level_log_probs(DiscretizedLogistic(levels), random_params(spread=spread)).exp()
    torch.testing.assert_close(probabilities.sum(dim=0), torch.ones(200, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("levels", LEVELS)
def test_the_logistic_probabilities_sum_to_one_in_single_precision(levels):
    params = random_params(spread=1.0, dtype=torch.float32)
    probabilities = level_log_probs(DiscretizedLogistic(levels), params).exp()
    torch.testing.assert_close(probabilities.sum(dim=0), torch.ones(200), rtol=0, atol=5e-3)


@pytest.mark.parametrize("levels", LEVELS)
def test_the_logistic_probabilities_equal_differences_of_scipys_cdf(levels):
    likelihood = DiscretizedLogistic(levels)
    params = random_params(spread=0.5)
    location, scale = (part.flatten().numpy() for part in likelihood.split(params))
    grid = np.arange(levels)[:, None] / (levels - 1)
    edges = np.concatenate([[[-np.inf]], grid[:-1] + 0.5 / (levels - 1), [[np.inf]]])
    expected = np.diff(stats.logistic(location, scale).cdf(edges), axis=0)
    np.testing.assert_allclose(level_log_probs(likelihood, params).exp(), expected, rtol=1e-6, atol=1e-12)


def test_far_from_the_location_the_logistic_log_probability_follows_scipys_log_density():
    likelihood = DiscretizedLogistic(256)
    params = params_of(0.1, 0.002, (1, 1, 1))
    image = torch.full((1, 1, 1), 204 / 255, dtype=torch.float64)
    width = 1 / 255
    logistic = stats.logistic(0.1, 0.002)
    # The survival function keeps its digits in the upper tail, where the cdf has rounded to one.
    expected = np.log(logistic.sf(0.8 - width / 2) - logistic.sf(0.8 + width / 2))
    assert likelihood.log_prob(image, params).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("likelihood", [Gaussian(256), DiscretizedLogistic(256)], ids=["gaussian", "logistic"])
@pytest.mark.parametrize("location", [-1e4, -5.0, 0.0, 1e4])
@pytest.mark.parametrize("log_scale", [-1e4, -12.0, 0.0, 1e4])
def test_values_and_gradients_are_finite_at_extreme_parameters(likelihood, location, log_scale):
    params = torch.tensor([location, log_scale]).view(2, 1, 1).expand(3, 2, 1, 1).clone().requires_grad_()
    log_prob = likelihood.log_prob(torch.tensor([0.0, 100 / 255, 1.0]).view(3, 1, 1, 1), params)
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert params.grad.isfinite().all()


@pytest.mark.parametrize("name", ["bernoulli", "gaussian", "discretized_logistic"])
def test_images_are_compared_with_several_draws_of_their_parameters(name):
    likelihood = build_likelihood(name, 17)
    images = torch.randint(2, (4, 3, 5, 6)).float()
    params = torch.randn(7, 4, 3 * likelihood.params_per_channel, 5, 6)
    expected = torch.stack([likelihood.log_prob(images, draw) for draw in params])
    assert expected.shape == (7, 4)
    torch.testing.assert_close(likelihood.log_prob(images, params), expected)


def test_the_gradient_of_the_logistic_log_probability_equals_finite_differences():
    params = random_params(8, spread=0.2).requires_grad_()
    images = torch.linspace(0, 16, 8, dtype=torch.float64).round().view(8, 1, 1, 1) / 16
    assert torch.autograd.gradcheck(lambda p: DiscretizedLogistic(17).log_prob(images, p), params)


@pytest.mark.parametrize("levels", [2, 3, 17])
@pytest.mark.parametrize(("location", "scale"), [(0.5, 0.1), (0.1, 0.3), (1.2, 0.02)])
def test_logistic_draws_lie_on_the_levels_with_their_probabilities(levels, location, scale):
    likelihood = DiscretizedLogistic(levels)
    draws = likelihood.sample(params_of(location, scale, (5000, 1, 1, 1)), seeded()).flatten()
    steps = draws * (levels - 1)
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-9)
    counts = np.bincount(steps.round().long(), minlength=levels)
    assert len(counts) == levels
    expected = 5000 * level_log_probs(likelihood, params_of(location, scale, (1, 1, 1, 1))).exp().flatten().numpy()
    rare = expected < 5
    assert abs(counts[rare].sum() - expected[rare].sum()) <= 4 * math.sqrt(expected[rare].sum() + 1)
    if (~rare).sum() > 1:
        kept = expected[~rare] * counts[~rare].sum() / expected[~rare].sum()
        assert stats.chisquare(counts[~rare], kept).pvalue > 1e-3


@pytest.mark.parametrize("name", ["bernoulli", "gaussian", "discretized_logistic"])
def test_draws_of_a_generator_are_reproducible_and_lie_in_the_unit_interval(name):
    likelihood = build_likelihood(name, 17)
    params = 3 * torch.randn(5, 2 * likelihood.params_per_channel, 4, 4, generator=seeded())
    before = torch.get_rng_state()
    first, again, other = (likelihood.sample(params, seeded(seed)) for seed in (1, 1, 2))
    assert first.shape == likelihood.mean(params).shape == (5, 2, 4, 4)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1
    assert likelihood.mean(params).min() >= 0
    assert likelihood.mean(params).max() <= 1
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "kind"), [("bernoulli", Bernoulli), ("gaussian", Gaussian), ("discretized_logistic", DiscretizedLogistic)]
)
def test_likelihoods_are_built_by_name(name, kind):
    assert type(build_likelihood(name, 17)) is kind


def test_a_fair_coin_per_pixel_costs_one_bit_per_dimension():
    images = (torch.rand(5, 3, 4, 4) < 0.5).float()
    likelihood = Bernoulli()
    bits = bits_per_dim(-likelihood.log_prob(images, torch.zeros(5, 3, 4, 4)), 48, likelihood)
    torch.testing.assert_close(bits, torch.ones(5))


# A logistic centred on three levels is uniform over them if s(w / 2s) = 2 / 3, that is w / 2s = log 2; over two always.
@pytest.mark.parametrize(("levels", "log_scale"), [(2, 0.0), (3, FLAT_LOG_SCALE)])
def test_uniform_levels_cost_log2_levels_bits_per_dimension(levels, log_scale):
    likelihood = DiscretizedLogistic(levels)
    images = torch.randint(levels, (5, 3, 4, 4), generator=seeded()) / (levels - 1)
    params = torch.cat([torch.zeros(5, 3, 4, 4), torch.full((5, 3, 4, 4), log_scale)], dim=1)
    bits = bits_per_dim(-likelihood.log_prob(images, params), 48, likelihood)
    torch.testing.assert_close(bits, torch.full((5,), math.log2(levels)))


def test_the_expected_logistic_bits_equal_scipys_entropy():
    likelihood = DiscretizedLogistic(256)
    log_probs = level_log_probs(likelihood, params_of(0.4, 0.05, (1, 1, 1, 1))).flatten()
    bits = bits_per_dim(-log_probs, 1, likelihood)
    edges = np.concatenate([[-np.inf], (np.arange(255) + 0.5) / 255, [np.inf]])
    probabilities = np.diff(stats.logistic(0.4, 0.05).cdf(edges))
    assert (log_probs.exp() * bits).sum().item() == pytest.approx(stats.entropy(probabilities, base=2), rel=1e-6)


@pytest.mark.parametrize(("levels", "scale"), [(17, 0.15), (256, 0.1), (256, 0.02)])
def test_the_bits_of_a_wide_dequantised_gaussian_are_the_entropy_of_its_levels(levels, scale):
    likelihood, width = Gaussian(levels), 1 / (levels - 1)
    grid = np.arange(levels) / (levels - 1)
    normal = stats.norm(0.5, scale)
    probabilities = normal.cdf(grid + width / 2) - normal.cdf(grid - width / 2)
    probabilities /= probabilities.sum()
    # The midpoint rule over each level stands for the uniform noise.
    noise = (np.arange(100) + 0.5) / 100 - 0.5
    images = torch.from_numpy(grid[:, None] + width * noise).view(-1, 1, 1, 1)
    nll = -likelihood.log_prob(images, params_of(0.5, scale, (len(images), 1, 1, 1)))
    bits = bits_per_dim(nll, 1, likelihood).view(levels, 100).mean(dim=1).numpy()
    entropy = stats.entropy(probabilities, base=2)
    expected = probabilities @ bits
    # Jensen: the density bound is never below the entropy, and its gap is of the order (width / scale)^2.
    assert entropy - 1e-9 <= expected <= entropy + (width / scale) ** 2 / 8


def test_bits_are_nats_divided_by_log_two_for_probabilities_and_shifted_by_the_level_width_for_densities():
    nll = torch.tensor([10.0])
    assert bits_per_dim(nll, 5, Bernoulli()).item() == pytest.approx(2 / math.log(2))
    assert bits_per_dim(nll, 5, DiscretizedLogistic(256)).item() == pytest.approx(2 / math.log(2))
    assert bits_per_dim(nll, 5, Gaussian(256)).item() == pytest.approx(2 / math.log(2) + math.log2(255))
