import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.distributions import Normal, kl_divergence

import nnzoo.modules.vae as vae_module
from nnzoo.errors import InputError
from nnzoo.modules.vae import VAE
from support.exact_vae import LEVELS, ShiftedVAE, exact, exact_log_likelihood, linear_gaussian_images
from support.image_batches import loader
from support.small_vae import images_for, seeded, small


def test_with_the_exact_posterior_one_sample_gives_the_exact_likelihood():
    model, images = exact(), linear_gaussian_images(20)
    for _ in range(3):
        estimate = model.log_likelihood(images, num_samples=1)
        np.testing.assert_allclose(estimate, exact_log_likelihood(images), atol=1e-3)


def test_a_conditional_model_pairs_every_image_and_draw_with_its_own_label():
    images, labels = linear_gaussian_images(6), torch.tensor([0, 1, 1, 0, 1, 0])
    expected = exact_log_likelihood(images, labels)
    weighted = exact(conditional=True, num_classes=2, num_importance_samples=3)
    np.testing.assert_allclose(weighted.log_likelihood(images, labels, num_samples=7), expected, atol=1e-3)
    np.testing.assert_allclose(-weighted.loss_terms(images, labels)["loss"], expected, atol=1e-3)
    single = exact(conditional=True, num_classes=2)
    bounds = single.loss_terms(images.repeat(2000, 1, 1, 1), labels.repeat(2000))["elbo"].view(2000, 6)
    error = bounds.std(dim=0).numpy() / math.sqrt(2000)
    assert (np.abs(bounds.mean(dim=0).numpy() - expected) < 4 * error).all()


@pytest.mark.parametrize("index", [0, 3])
def test_with_a_wrong_proposal_the_estimate_rises_with_k_and_approaches_the_exact_likelihood(index):
    model, image = exact(ShiftedVAE), linear_gaussian_images(4)[index : index + 1]
    repeated = image.expand(2000, 1, 1, 3)
    means = [model.log_likelihood(repeated, num_samples=k, generator=seeded(k)).mean().item() for k in (1, 3, 20)]
    truth = exact_log_likelihood(image)[0]
    assert means[0] < means[1] < means[2] < truth
    assert model.log_likelihood(image, num_samples=20_000, generator=seeded()).item() == pytest.approx(truth, abs=0.03)


def test_the_training_bound_rises_with_the_number_of_importance_samples_to_the_exact_likelihood():
    image = linear_gaussian_images(1)
    repeated, truth = image.expand(2000, 1, 1, 3), exact_log_likelihood(image)[0]
    bounds = []
    for k in (1, 3, 20, 200):
        terms = exact(ShiftedVAE, num_importance_samples=k).loss_terms(repeated, generator=seeded(k))
        bounds.append(-terms["loss"].mean().item())
    assert bounds == sorted(bounds)
    assert bounds[-2] < truth
    assert bounds[-1] == pytest.approx(truth, abs=0.03)


def test_one_importance_sample_equals_the_bound_with_the_analytic_kl_in_expectation():
    model, repeated = exact(ShiftedVAE), linear_gaussian_images(1).expand(20_000, 1, 1, 3)
    sampled = model.log_likelihood(repeated, num_samples=1, generator=seeded(1))
    analytic = model.loss_terms(repeated, generator=seeded(2))["elbo"]
    error = math.sqrt((sampled.var() + analytic.var()).item() / 20_000)
    assert abs((sampled.mean() - analytic.mean()).item()) < 4 * error
    assert error < 0.02


def test_the_bound_falls_short_of_the_likelihood_by_the_kl_divergence_to_the_exact_posterior():
    model, image = exact(ShiftedVAE), linear_gaussian_images(1)
    elbo = model.loss_terms(image.expand(20_000, 1, 1, 3), generator=seeded())["elbo"]
    proposal = Normal(ShiftedVAE.shift * torch.ones(2), math.sqrt(ShiftedVAE.factor))
    gap = kl_divergence(proposal, Normal(torch.zeros(2), 1.0)).sum().item()
    expected = exact_log_likelihood(image)[0] - gap
    assert elbo.mean().item() == pytest.approx(expected, abs=4 * elbo.std().item() / math.sqrt(20_000))


def test_a_test_run_reports_the_exact_nll_and_its_bits_per_dimension_over_unequal_batches(make_trainer):
    images = linear_gaussian_images(7)
    model = exact(num_nll_samples=3)
    results = make_trainer().test(model, loader(*images.split([6, 1])), verbose=False)[0]
    nll = -exact_log_likelihood(images).mean()
    # The probability of a level is the density times the level's width, 1 / (levels - 1).
    bits = (nll + 3 * math.log(LEVELS - 1)) / (3 * math.log(2))
    assert results["test/nll"] == pytest.approx(nll, abs=1e-3)
    assert results["test/bits_per_dim"] == pytest.approx(bits, abs=1e-3)


class Scaled(nn.Module):
    """A linear encoder of images that are brought to zero mean and a spread near one first."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 4)

    def forward(self, images, labels=None):
        return self.linear(10 * (images.flatten(1) - 0.5))


class SharedScale(nn.Module):
    """A linear decoder with one standard deviation for all pixels, as in probabilistic PCA."""

    def __init__(self):
        super().__init__()
        self.location, self.log_scale = nn.Linear(2, 5), nn.Parameter(torch.tensor(-1.0))

    def forward(self, codes, labels=None):
        location = self.location(codes) / 10
        return torch.stack([location, self.log_scale.expand_as(location)], dim=1).unsqueeze(2)


class LinearVAE(VAE):
    def build_encoder(self):
        return Scaled()

    def build_decoder(self):
        return SharedScale()


@pytest.mark.usefixtures("no_dequantisation")
def test_a_linear_vae_converges_to_the_maximum_likelihood_of_probabilistic_pca(monkeypatch):
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    data = 0.5 + rng.normal(size=(40, 5)) * [0.1, 0.06, 0.02, 0.02, 0.02] @ basis
    images = torch.from_numpy(data).view(40, 1, 1, 5)
    # These four points have the mean and covariance of N(0, I): the expectation of a quadratic function is exact.
    points = math.sqrt(2) * torch.cat([torch.eye(2), -torch.eye(2)]).double().repeat_interleave(40, dim=0)
    model = LinearVAE(in_shape=(1, 1, 5), latent_dim=2, likelihood="gaussian").double()
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=100, history_size=40, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = model.loss_terms(images.repeat(4, 1, 1, 1))["loss"].mean()
        loss.backward()
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(
            vae_module, "reparameterize", lambda mean, log_var, *_: (mean + (log_var / 2).exp() * points).unsqueeze(0)
        )
        optimizer.step(closure)
        reached = -closure().item()
    best = PCA(2).fit(data).score(data)
    assert reached == pytest.approx(best, abs=2e-3)
    estimate = model.eval().log_likelihood(images, num_samples=50, generator=seeded()).mean().item()
    assert estimate == pytest.approx(best, abs=2e-2)


# How the likelihood is estimated: memory, remainder, gradients


@pytest.mark.parametrize(("num_samples", "fits"), [(7, 3), (6, 3), (2, 3), (5, 1), (4, 0)])
def test_the_number_of_images_decoded_at_once_is_bounded_and_exactly_k_are_decoded(monkeypatch, num_samples, fits):
    model, images = exact(), linear_gaussian_images(4)
    monkeypatch.setattr(vae_module, "MAX_DECODED_VALUES", fits * 4 * 2 * 3 + 5)
    model.log_likelihood(images, num_samples=num_samples)
    assert sum(model.decoder.rows) == 4 * num_samples
    assert max(model.decoder.rows) <= 4 * max(fits, 1)


def test_memory_does_not_grow_with_the_number_of_samples(monkeypatch):
    monkeypatch.setattr(vae_module, "MAX_DECODED_VALUES", 1000)
    largest = []
    for num_samples in (100, 1000):
        model = exact()
        model.log_likelihood(linear_gaussian_images(4), num_samples=num_samples)
        largest.append(max(model.decoder.rows))
    assert largest[0] == largest[1]


def test_the_estimate_does_not_depend_on_the_chunks(monkeypatch):
    images, noise = linear_gaussian_images(4), torch.randn(7, 4, 2, dtype=torch.float64)
    estimates = []
    for limit in (10**9, 3 * 24, 24):
        rest = iter(noise)
        monkeypatch.setattr(
            vae_module,
            "reparameterize",
            lambda mean, log_var, k, generator, rest=rest: (
                mean + (log_var / 2).exp() * torch.stack(list(itertools.islice(rest, k)))
            ),
        )
        monkeypatch.setattr(vae_module, "MAX_DECODED_VALUES", limit)
        estimates.append(exact(ShiftedVAE).log_likelihood(images, num_samples=7, generator=seeded()))
        assert next(rest, None) is None
    torch.testing.assert_close(estimates[1], estimates[0])
    torch.testing.assert_close(estimates[2], estimates[0])


def test_the_estimate_holds_no_graph_is_reproducible_and_uses_the_configured_number_by_default():
    model = small(num_nll_samples=11)
    images, rows = images_for("discretized_logistic"), []
    model.decoder.register_forward_hook(lambda net, inputs, output: rows.append(len(inputs[0])))
    first, again = (model.log_likelihood(images, generator=seeded(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert not first.requires_grad
    assert sum(rows) == 2 * 11 * 4


@pytest.mark.parametrize("num_samples", [0, -1])
def test_a_number_of_samples_below_one_is_refused(num_samples):
    with pytest.raises(InputError):
        small().log_likelihood(images_for("discretized_logistic"), num_samples=num_samples)
