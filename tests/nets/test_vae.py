import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.distributions import Normal, kl_divergence

from nnzoo.nets.vae import (
    apply_free_bits,
    gaussian_kl,
    importance_bound,
    log_posterior,
    log_standard_normal,
    reparameterize,
)

# A linear-Gaussian model: p(z) = N(0, I), p(x|z) = N(W z + b, s^2 I), so that p(x) and p(z|x) have closed forms.
W = np.array([[0.8, -0.3], [0.2, 0.9], [-0.5, 0.4]])
B = np.array([0.3, -0.1, 0.6])
S = 0.5
X = np.array([[0.5, 0.2, -0.4], [1.5, -1.0, 0.3]])
EXACT = stats.multivariate_normal(B, W @ W.T + S**2 * np.eye(3)).logpdf(X)
COV = np.linalg.inv(np.eye(2) + W.T @ W / S**2)
MEAN = (X - B) @ W @ COV / S**2


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_posterior(batch=5, latent=3):
    return 2 * torch.randn(batch, latent, dtype=torch.float64), torch.randn(batch, latent, dtype=torch.float64)


def test_the_kl_divergence_equals_torchs():
    mean, log_var = random_posterior(50)
    expected = kl_divergence(Normal(mean, (log_var / 2).exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean)))
    torch.testing.assert_close(gaussian_kl(mean, log_var), expected)


def test_the_kl_divergence_is_the_mean_log_ratio_over_draws():
    mean, log_var = random_posterior()
    codes = reparameterize(mean, log_var, 40_000, seeded())
    ratios = log_posterior(codes, mean, log_var) - log_standard_normal(codes)
    error = ratios.std(dim=0) / 200
    assert ((ratios.mean(dim=0) - gaussian_kl(mean, log_var).sum(dim=1)).abs() < 4 * error).all()


def test_the_kl_divergence_of_the_prior_itself_is_zero():
    assert gaussian_kl(torch.zeros(2, 3), torch.zeros(2, 3)).abs().max() == 0


def test_log_densities_equal_torchs_with_all_constants():
    mean, log_var = random_posterior()
    codes = torch.randn(7, 5, 3, dtype=torch.float64)
    normal = Normal(mean, (log_var / 2).exp())
    torch.testing.assert_close(log_posterior(codes, mean, log_var), normal.log_prob(codes).sum(-1))
    torch.testing.assert_close(log_standard_normal(codes), Normal(0, 1).log_prob(codes).sum(-1))


def test_draws_have_the_mean_and_variance_of_the_posterior_and_are_normal():
    mean, log_var = random_posterior(2, 2)
    codes = reparameterize(mean, log_var, 5000, seeded())
    assert codes.shape == (5000, 2, 2)
    standardised = ((codes - mean) / (log_var / 2).exp()).numpy()
    for row, column in np.ndindex(2, 2):
        assert stats.kstest(standardised[:, row, column], "norm").pvalue > 1e-3
    correlation = np.corrcoef(standardised.reshape(5000, 4).T) - np.eye(4)
    assert np.abs(correlation).max() < 4 / np.sqrt(5000)


def test_draws_of_a_generator_are_reproducible_and_leave_the_global_one_alone():
    mean, log_var = random_posterior()
    before = torch.get_rng_state()
    first, again, other = (reparameterize(mean, log_var, 2, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(first[0], first[1])


def test_gradients_pass_through_the_draws():
    mean, log_var = (tensor.requires_grad_() for tensor in random_posterior())
    codes = reparameterize(mean, log_var, 4, seeded())
    codes.sum().backward()
    torch.testing.assert_close(mean.grad, torch.full_like(mean, 4))
    torch.testing.assert_close(log_var.grad, 0.5 * (codes - mean).sum(dim=0).detach())


def test_free_bits_count_at_least_the_given_nats_per_dimension_and_sample():
    kl = torch.tensor([[0.1, 2.0], [0.6, 0.2], [0.0, 0.0]], requires_grad=True)
    floored = apply_free_bits(kl, 0.5)
    assert floored.tolist() == pytest.approx([2.5, 1.1, 1.0])
    floored.sum().backward()
    assert kl.grad.tolist() == [[0, 1], [1, 0], [0, 0]]


def test_no_free_bits_is_the_plain_sum():
    kl = torch.rand(4, 3)
    torch.testing.assert_close(apply_free_bits(kl, 0.0), kl.sum(dim=1))


@pytest.mark.parametrize("offset", [0.0, -1e5, 1e5])
def test_the_importance_bound_is_the_log_of_the_mean_weight_however_small_or_large(offset):
    log_weights = 3 * torch.randn(6, 4, dtype=torch.float64)
    expected = np.log(np.mean(np.exp(log_weights.numpy()), axis=0)) + offset
    np.testing.assert_allclose(importance_bound(log_weights + offset), expected, rtol=0, atol=1e-9)


def log_weights(codes, mean, cov):
    """Log p(x|z) + log p(z) - log q(z|x) by scipy, for codes (K, 2, L) and a proposal N(mean, cov) per image."""
    weights = np.empty(codes.shape[:2])
    for image in range(2):
        z = codes[:, image]
        likelihood = stats.norm(z @ W.T + B, S).logpdf(X[image]).sum(-1)
        prior = stats.multivariate_normal(np.zeros(2), np.eye(2)).logpdf(z)
        weights[:, image] = likelihood + prior - stats.multivariate_normal(mean[image], cov).logpdf(z)
    return torch.from_numpy(weights)


def test_with_the_exact_posterior_one_sample_gives_the_exact_likelihood():
    draws = np.random.default_rng(0).standard_normal((10, 2, 2)) @ np.linalg.cholesky(COV).T + MEAN
    weights = log_weights(draws, MEAN, COV)
    for k in range(10):
        np.testing.assert_allclose(importance_bound(weights[k : k + 1]), EXACT, atol=1e-9)


def test_with_a_wrong_proposal_the_bound_rises_with_k_to_the_exact_likelihood():
    mean, cov = MEAN + 0.3, 0.3 * np.eye(2)
    draws = mean + np.sqrt(0.3) * np.random.default_rng(0).standard_normal((16_384, 2, 2))
    weights = log_weights(draws, mean, cov)
    ks = [1, 2, 16, 16_384]
    bounds = np.stack([np.mean([importance_bound(part).numpy() for part in weights.split(k)], axis=0) for k in ks])
    assert (np.diff(bounds, axis=0) > 0).all()
    assert (bounds[:-1] < EXACT).all()
    np.testing.assert_allclose(bounds[-1], EXACT, atol=0.02)


def test_the_gradient_weights_samples_by_their_normalised_importance():
    weights = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    importance_bound(weights).sum().backward()
    np.testing.assert_allclose(weights.grad, special.softmax(weights.detach().numpy(), axis=0))
