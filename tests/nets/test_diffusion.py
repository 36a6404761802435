"""Diffusion against brute force on tiny chains, closed forms for normal data, and scipy."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from nnzoo.errors import InputError
from nnzoo.nets.diffusion import Diffusion, log_prob_of_data
from nnzoo.nets.noise_schedule import noise_schedule

ALL = [("eps", "linear"), ("x0", "cosine"), ("v", "linear")]


def betas_of(schedule, steps):
    abar = noise_schedule(schedule, steps).numpy()
    return 1 - abar / np.concatenate([[1.0], abar[:-1]])


def test_noised_data_are_those_of_the_steps_one_after_the_other():
    """q(x_t | x_0) by composing the T Gaussian steps."""
    diffusion = Diffusion(steps=30, schedule="cosine")
    mean, variance = 1.0, 0.0
    for time, beta in enumerate(betas_of("cosine", 30)):
        mean, variance = mean * math.sqrt(1 - beta), variance * (1 - beta) + beta
        assert float(diffusion.alpha[time]) == pytest.approx(mean, rel=1e-6)
        assert float(diffusion.sigma[time]) == pytest.approx(math.sqrt(variance), rel=1e-6)
    times, data, noise = torch.tensor([3, 20]), torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    expected = diffusion.alpha[times].view(2, 1, 1, 1) * data + diffusion.sigma[times].view(2, 1, 1, 1) * noise
    assert torch.equal(diffusion.noised(data, times, noise), expected)


@pytest.mark.parametrize("time", [1, 2, 3])
def test_the_posterior_is_bayes_rule_on_a_grid(time):
    """q(x_{t-1} | x_t, x_0) is proportional to q(x_t | x_{t-1}) q(x_{t-1} | x_0), normalised numerically."""
    diffusion, betas = Diffusion(steps=4, schedule="cosine", variance="fixed_small"), betas_of("cosine", 4)
    abar, x0, xt = np.cumprod(1 - betas), 0.7, -0.4
    grid = np.linspace(-8, 8, 200_001)
    prior = stats.norm.logpdf(grid, math.sqrt(abar[time - 1]) * x0, math.sqrt(1 - abar[time - 1]))
    density = np.exp(prior + stats.norm.logpdf(xt, math.sqrt(1 - betas[time]) * grid, math.sqrt(betas[time])))
    density /= density.sum()
    mean = (density * grid).sum()
    variance = (density * (grid - mean) ** 2).sum()
    assert float(diffusion.mean_of_x0[time] * x0 + diffusion.mean_of_xt[time] * xt) == pytest.approx(mean, abs=1e-6)
    assert math.exp(diffusion.log_small[time]) == pytest.approx(variance, rel=1e-4)


def test_variances_where_the_posterior_has_none():
    diffusion = Diffusion(steps=100)
    assert float(diffusion.log_small[0]) == float(diffusion.log_small[1]) == float(diffusion.log_large[0])
    assert diffusion.log_large[1:].exp().numpy() == pytest.approx(betas_of("linear", 100)[1:], rel=1e-5)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_the_right_output_means_the_data_and_the_noise(prediction):
    diffusion = Diffusion(steps=50, schedule="cosine", prediction=prediction)
    data, noise, times = torch.randn(5, 2), torch.randn(5, 2), torch.tensor([0, 10, 20, 30, 40])
    noised = diffusion.noised(data, times, noise)
    estimates = diffusion.data_and_noise(noised, times, diffusion.target(data, times, noise))
    assert torch.allclose(estimates[0], data, atol=1e-5)
    assert torch.allclose(estimates[1], noise, atol=1e-5)


def test_the_three_predictions_have_one_loss_when_weighted():
    """Weights 1, SNR and SNR / (SNR + 1): the same estimate of the data costs the same."""
    data, noise = torch.rand(6, 1, 4, 4) * 2 - 1, torch.randn(6, 1, 4, 4)
    times, estimate = torch.tensor([1, 5, 20, 50, 80, 95]), torch.rand(6, 1, 4, 4) * 2 - 1
    losses = []
    for prediction in ("eps", "x0", "v"):
        diffusion = Diffusion(steps=100, schedule="cosine", prediction=prediction, weighting="eps")
        noised = diffusion.noised(data, times, noise)
        alpha, sigma = diffusion.alpha[times].view(-1, 1, 1, 1), diffusion.sigma[times].view(-1, 1, 1, 1)
        implied = (noised - alpha * estimate) / sigma
        output = {"eps": implied, "x0": estimate, "v": alpha * implied - sigma * estimate}[prediction]
        losses.append(diffusion.losses(output, data, times, noise))
    assert torch.allclose(losses[0], losses[1], rtol=1e-3)
    assert torch.allclose(losses[0], losses[2], rtol=1e-3)


SNR_FACTORS = [("eps", lambda snr: 1 / snr), ("x0", lambda snr: 1), ("v", lambda snr: 1 / (snr + 1))]


@pytest.mark.parametrize(("prediction", "factor"), SNR_FACTORS)
def test_min_snr_weights_are_the_papers(prediction, factor):
    diffusion = Diffusion(steps=100, prediction=prediction, weighting="min_snr")
    times = torch.arange(100)
    snr = diffusion.snr.double().numpy()
    expected = np.minimum(snr, 5) * factor(snr)
    assert diffusion.weights(times).numpy() == pytest.approx(expected, rel=1e-5)


def test_the_simple_loss_is_the_mean_over_dimensions_of_each_sample():
    diffusion, data, noise = Diffusion(), torch.rand(3, 2, 4, 4), torch.randn(3, 2, 4, 4)
    output, times = torch.randn(3, 2, 4, 4), torch.tensor([0, 10, 999])
    expected = [float(((output[n] - noise[n]) ** 2).mean()) for n in range(3)]
    assert diffusion.losses(output, data, times, noise).tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("mean", "std"), [(0.3, 0.11), (-0.9, 0.3), (0.95, 0.5)])
def test_grey_levels_have_the_probabilities_scipy_gives_and_sum_to_one(mean, std):
    levels = 17
    values = torch.linspace(-1, 1, levels, dtype=torch.float64)
    log_variance = torch.full_like(values, 2 * math.log(std))
    found = log_prob_of_data(values, torch.full_like(values, mean), log_variance, levels).exp().numpy()
    edges = np.concatenate([[-np.inf], (values[1:] + values[:-1]).numpy() / 2, [np.inf]])
    assert found == pytest.approx(np.diff(stats.norm.cdf(edges, mean, std)), rel=1e-9, abs=1e-15)
    assert found.sum() == pytest.approx(1)


def test_the_probability_of_a_level_far_away_is_finite_and_has_a_gradient():
    mean = torch.tensor([0.9], requires_grad=True)
    log_prob = log_prob_of_data(torch.tensor([-0.5]), mean, torch.tensor([-9.0]), 256)
    log_prob.sum().backward()
    assert torch.isfinite(log_prob).all()
    assert float(mean.grad) < 0, "it would like the mean nearer"


def test_continuous_data_have_the_normal_density():
    data, mean, log_variance = torch.randn(5), torch.randn(5), torch.randn(5)
    expected = stats.norm.logpdf(data, mean, np.exp(log_variance.numpy() / 2))
    assert log_prob_of_data(data, mean, log_variance, None).numpy() == pytest.approx(expected, rel=1e-5)


def test_a_term_of_the_bound_is_the_divergence_of_two_normals():
    """By numerical integration, for a wrong estimate and the larger variance."""
    diffusion = Diffusion(steps=4, schedule="cosine", prediction="x0", variance="fixed_large", levels=None)
    time, x0, xt, estimate = 2, 0.5, 0.3, -0.1
    betas = betas_of("cosine", 4)
    abar = np.cumprod(1 - betas)
    of_x0 = betas[time] * math.sqrt(abar[time - 1]) / (1 - abar[time])
    of_xt = (1 - abar[time - 1]) * math.sqrt(1 - betas[time]) / (1 - abar[time])
    true_std = math.sqrt(betas[time] * (1 - abar[time - 1]) / (1 - abar[time]))
    grid = np.linspace(-6, 6, 400_001)
    q = stats.norm.logpdf(grid, of_x0 * x0 + of_xt * xt, true_std)
    p = stats.norm.logpdf(grid, of_x0 * estimate + of_xt * xt, math.sqrt(betas[time]))
    expected = (np.exp(q) * (q - p)).sum() * (grid[1] - grid[0])
    found = diffusion.bound_terms(*(torch.tensor([[v]]) for v in (estimate, x0, xt)), torch.tensor([time]))
    assert float(found) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("prediction", "schedule"), ALL)
def test_the_likelihood_of_normal_data_with_the_best_denoiser_is_the_closed_form(prediction, schedule):
    """For N(0, 1) data E[eps | x_t] = s_t x_t, and beta is the reverse step's true variance: the bound is tight.

    It misses the entropy only by the divergence of the first step's two variances and of the prior.
    """
    diffusion = Diffusion(steps=200, schedule=schedule, prediction=prediction, levels=None)

    def denoise(noised, times):
        alpha, sigma = diffusion.alpha[times][:, None], diffusion.sigma[times][:, None]
        return {"eps": sigma, "x0": alpha, "v": 0 * alpha}[prediction] * noised

    data = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    terms = diffusion.nll_terms(denoise, data, torch.Generator().manual_seed(1), clip=False)
    assert terms.shape == (20_000, 201)
    ratio = betas_of(schedule, 200)[0] / math.exp(diffusion.log_large[0])
    first_step = 0.5 * (ratio - 1 - math.log(ratio))
    entropy = 0.5 * math.log(2 * math.pi * math.e)
    error = terms.sum(1).std() / math.sqrt(len(data))
    assert float(terms.sum(1).mean()) == pytest.approx(entropy + first_step, abs=4 * float(error) + 1e-3)
    assert terms[:, 1:].min() > -1e-4, "divergences are not negative"


def test_the_priors_divergence_is_tiny_at_a_thousand_steps():
    diffusion = Diffusion()
    data = torch.ones(2, 3, 32, 32)
    bits = float(diffusion.prior_kl(data)[0]) / data[0].numel() / math.log(2)
    abar = noise_schedule("linear", 1000)[-1].item()
    expected = 0.5 * (abar + (1 - abar) - 1 - math.log1p(-abar)) / math.log(2)
    assert bits == pytest.approx(expected, rel=2e-2)


def test_the_priors_divergence_is_the_last_term_of_the_bound():
    diffusion, data = Diffusion(steps=2, schedule="cosine", levels=None), torch.randn(3, 2)
    terms = diffusion.nll_terms(lambda noised, times: noised, data)
    variance = 1 - float(diffusion.exact_abar[-1])
    mean = math.sqrt(1 - variance) * data.numpy()
    expected = 0.5 * (mean**2 + variance - 1 - math.log(variance)).sum(1)
    assert terms[:, -1].numpy() == pytest.approx(expected, rel=1e-2)
    assert terms[:, -1].min() > 0


def test_the_hybrid_loss_teaches_the_variance_only_through_the_bound():
    diffusion = Diffusion(steps=100, variance="learned", levels=None)
    data, noise, times = torch.rand(4, 2, 4, 4), torch.randn(4, 2, 4, 4), torch.tensor([0, 10, 50, 99])
    mean, place = torch.randn(4, 2, 4, 4, requires_grad=True), torch.zeros(4, 2, 4, 4, requires_grad=True)
    losses = diffusion.losses(torch.cat([mean, place], dim=1), data, times, noise)
    plain = Diffusion(steps=100, levels=None).losses(mean, data, times, noise)
    bound = diffusion.bound_terms(torch.cat([mean, place], dim=1), data, diffusion.noised(data, times, noise), times)
    assert torch.allclose(losses, plain + 1e-3 * 100 * bound / 32 / math.log(2), rtol=1e-5)
    gradients = torch.autograd.grad(losses.sum(), [mean, place])
    assert torch.allclose(gradients[0], torch.autograd.grad(plain.sum(), mean)[0])
    assert (gradients[1][1:] != 0).all()  # at time 0 both variances are the same


def test_a_learned_variance_lies_between_the_two_fixed_ones_in_its_logarithm():
    diffusion, like = Diffusion(steps=100, variance="learned"), torch.zeros(1, 1)
    for place, expected in ((-1, diffusion.log_small), (1, diffusion.log_large)):
        found = diffusion.log_variance(torch.tensor([40]), torch.full((1, 1), float(place)), like)
        assert float(found) == pytest.approx(float(expected[40]))
    middle = diffusion.log_variance(torch.tensor([40]), torch.zeros(1, 1), like)
    assert float(middle) == pytest.approx(float(diffusion.log_small[40] + diffusion.log_large[40]) / 2)


def test_times_cover_the_chain_evenly_and_belong_to_the_sample():
    diffusion = Diffusion(steps=10, schedule="cosine")
    counts = diffusion.draw_times(20_000, torch.Generator().manual_seed(0)).bincount(minlength=10)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    each = [torch.Generator().manual_seed(seed) for seed in (5, 6, 7)]
    alone = diffusion.draw_times(1, [torch.Generator().manual_seed(6)])
    assert diffusion.draw_times(3, each)[1] == alone[0]


def test_the_network_is_told_times_of_a_thousand():
    assert Diffusion(steps=1000).network_time(torch.tensor([0, 999])).tolist() == [0, 999]
    assert Diffusion(steps=100).network_time(torch.tensor([50])).tolist() == [500]


def test_the_noise_cannot_be_predicted_where_no_data_are_left():
    with pytest.raises(InputError, match="needs x0 or v"):
        Diffusion(zero_terminal_snr=True)
    diffusion = Diffusion(zero_terminal_snr=True, prediction="v")
    noise = torch.randn(1, 2)
    assert torch.equal(diffusion.noised(torch.ones(1, 2), torch.tensor([999]), noise), noise)
