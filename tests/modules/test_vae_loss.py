import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

import nnzoo.modules.vae as vae_module
from support.image_batches import batch_of
from support.small_vae import LIKELIHOODS, fix_noise, images_for, seeded, small


def log_prob_by_torch(likelihood, images, params):
    if likelihood == "bernoulli":
        return Bernoulli(logits=params).log_prob(images).sum(dim=(-3, -2, -1))
    location, log_scale = params.chunk(2, dim=-3)
    location, scale = (location + 0.5).detach().double().numpy(), (log_scale - 1).exp().detach().double().numpy()
    x = images.double().numpy()
    if likelihood == "gaussian":
        return torch.from_numpy(stats.norm(location, scale).logpdf(x).sum(axis=(-3, -2, -1))).float()
    logistic = stats.logistic(location, scale)
    upper = np.where(x > 1 - 1 / 32, 1, logistic.cdf(x + 1 / 32))
    lower = np.where(x < 1 / 32, 0, logistic.cdf(x - 1 / 32))
    return torch.from_numpy(np.log(upper - lower).sum(axis=(-3, -2, -1))).float()


def terms_by_hand(model, likelihood, images, codes_of, k=1):
    mean, log_var = model.encoder(images).chunk(2, dim=1)
    posterior, prior = Normal(mean, (log_var / 2).exp()), Normal(torch.zeros_like(mean), torch.ones_like(mean))
    codes = codes_of(mean, log_var, k)
    params = torch.stack([model.decoder(draw) for draw in codes])
    log_px = torch.stack([log_prob_by_torch(likelihood, images, draw) for draw in params])
    log_ratio = (prior.log_prob(codes) - posterior.log_prob(codes)).sum(dim=-1)
    return log_px, log_ratio, kl_divergence(posterior, prior)


@pytest.mark.usefixtures("no_dequantisation")
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.3, 1.0), (1.0, 4.0), (0.0, 1.0), (2.0, 0.0)])
def test_the_loss_is_alpha_times_reconstruction_plus_beta_times_kl_in_sums(monkeypatch, likelihood, alpha, beta):
    codes_of = fix_noise(monkeypatch)
    model, images = small(likelihood, alpha_rec=alpha, beta=beta), images_for(likelihood)
    log_px, _, kl = terms_by_hand(model, likelihood, images, codes_of)
    terms = model.loss_terms(images)
    torch.testing.assert_close(terms["reconstruction"], -log_px[0], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(terms["kl"], kl.sum(dim=1))
    torch.testing.assert_close(terms["elbo"], log_px[0] - kl.sum(dim=1), rtol=1e-4, atol=1e-3)
    expected = -alpha * log_px[0] + beta * kl.sum(dim=1)
    torch.testing.assert_close(terms["loss"], expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(model.training_step(batch_of(images), 0), expected.mean(), rtol=1e-4, atol=1e-3)


@pytest.mark.usefixtures("no_dequantisation")
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.3, 4.0)])
def test_the_importance_weighted_loss_is_the_log_mean_weight_with_the_sampled_codes(
    monkeypatch, likelihood, alpha, beta
):
    codes_of = fix_noise(monkeypatch)
    model = small(likelihood, alpha_rec=alpha, beta=beta, num_importance_samples=4)
    images = images_for(likelihood)
    log_px, log_ratio, kl = terms_by_hand(model, likelihood, images, codes_of, k=4)
    terms = model.loss_terms(images)
    close = {"rtol": 1e-4, "atol": 1e-3}
    torch.testing.assert_close(terms["loss"], -(alpha * log_px + beta * log_ratio).logsumexp(0) + math.log(4), **close)
    torch.testing.assert_close(terms["elbo"], log_px.mean(dim=0) - kl.sum(dim=1), **close)
    torch.testing.assert_close(terms["reconstruction"], -log_px.mean(dim=0), **close)
    torch.testing.assert_close(terms["kl"], kl.sum(dim=1), **close)


@pytest.mark.usefixtures("no_dequantisation")
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize(("k", "free_bits"), [(1, 0.0), (1, 0.2), (3, 0.0)])
def test_the_loss_is_the_mean_over_samples_however_the_batch_is_cut(monkeypatch, likelihood, k, free_bits):
    fix_noise(monkeypatch)
    model = small(likelihood, num_importance_samples=k, free_bits=free_bits)
    images = images_for(likelihood, 5)
    whole = model.loss_terms(images)
    assert model.training_step(batch_of(images), 0).item() == pytest.approx(whole["loss"].mean().item())
    for sizes in ([1] * 5, [2, 3], [4, 1]):
        parts = [model.loss_terms(part) for part in images.split(sizes)]
        for name, values in whole.items():
            assert values.shape == (5,)
            torch.testing.assert_close(torch.cat([part[name] for part in parts]), values)


def test_the_loss_of_a_generator_is_reproducible_and_noise_differs_between_draws():
    model, images = small("gaussian"), images_for("gaussian")
    first, again, other = (model.loss_terms(images, generator=seeded(seed))["loss"] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_only_densities_get_images_with_uniform_noise_of_one_level(likelihood):
    model, images, seen = small(likelihood), images_for(likelihood, 400), []
    model.encoder.register_forward_hook(lambda net, inputs, output: seen.append(inputs[0]))
    model.loss_terms(images)
    model.log_likelihood(images, num_samples=1)
    assert len(seen) == 2
    for inputs in seen:
        noise = (inputs - images).flatten().numpy() * 16
        if likelihood == "gaussian":
            assert stats.kstest(noise, stats.uniform(-0.5, 1).cdf).pvalue > 1e-3
        else:
            assert not noise.any()


def test_gradients_reach_every_parameter_of_both_networks():
    for k in (1, 3):
        model = small(num_importance_samples=k)
        model.training_step(batch_of(images_for("discretized_logistic")), 0).backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_the_log_variance_is_clamped_to_the_documented_range():
    model = small()
    nn.init.constant_(model.encoder.head[-1].bias, 1e4)
    mean, log_var = model.posterior(images_for("discretized_logistic"))
    assert mean.min() > 1e3
    assert (log_var == vae_module.LOG_VAR_RANGE[1]).all()
    nn.init.constant_(model.encoder.head[-1].bias, -1e4)
    assert (model.posterior(images_for("discretized_logistic"))[1] == vae_module.LOG_VAR_RANGE[0]).all()


@pytest.mark.usefixtures("no_dequantisation")
def test_free_bits_shape_the_loss_in_training_only_and_never_the_reported_kl(monkeypatch):
    codes_of = fix_noise(monkeypatch)
    model, images = small("bernoulli", beta=3.0, free_bits=0.05), images_for("bernoulli")
    log_px, _, kl = terms_by_hand(model, "bernoulli", images, codes_of)
    assert (kl < 0.05).any()
    assert (kl > 0.05).any()
    floored = kl.clamp(min=0.05).sum(dim=1)
    for training, penalty in ((True, floored), (False, kl.sum(dim=1))):
        terms = model.train(training).loss_terms(images)
        torch.testing.assert_close(terms["loss"], -log_px[0] + 3 * penalty)
        torch.testing.assert_close(terms["kl"], kl.sum(dim=1))
        torch.testing.assert_close(terms["elbo"], log_px[0] - kl.sum(dim=1))
