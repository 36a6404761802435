import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.decomposition import PCA
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.utils.data import DataLoader

import nnzoo.modules.vae as vae_module
from nnzoo.errors import InputError
from nnzoo.modules.vae import VAE

SMALL = {"in_shape": (2, 3, 4), "levels": 17, "latent_dim": 3, "hidden": (6,), "num_nll_samples": 5}
LIKELIHOODS = ["bernoulli", "gaussian", "discretized_logistic"]
STEPS = ["training_step", "validation_step", "test_step"]

# p(z) = N(0, I), p(x|z) = N(W z + b, s^2 I). The columns of W are orthogonal, so p(z|x) has a diagonal covariance.
W = 0.1 * np.array([[0.8, -0.3], [0.6, 0.4], [0.0, 1.0]])
B = np.array([[0.45, 0.50, 0.55], [0.60, 0.35, 0.50]])
S = 0.05
LEVELS = 10**6 + 1
VARIANCE = 1 / (1 + (W**2).sum(axis=0) / S**2)
MARGINAL = W @ W.T + S**2 * np.eye(3)


def exact_log_likelihood(images, labels=None):
    labels = np.zeros(len(images), dtype=int) if labels is None else labels.numpy()
    marginals = [stats.multivariate_normal(b, MARGINAL) for b in B]
    return np.array([marginals[y].logpdf(x) for x, y in zip(images.flatten(1).numpy(), labels, strict=True)])


class Posterior(nn.Module):
    """The exact posterior, its means shifted and its variances scaled by the given amounts."""

    def __init__(self, shift, factor):
        super().__init__()
        self.shift, self.factor = shift, factor

    def forward(self, images, labels=None):
        offset = torch.from_numpy(B)[0 if labels is None else labels]
        mean = (images.flatten(1) - offset) @ torch.from_numpy(W * VARIANCE / S**2)
        log_var = torch.from_numpy(np.log(self.factor * VARIANCE)).expand_as(mean)
        return torch.cat([mean + self.shift * torch.from_numpy(VARIANCE).sqrt(), log_var], dim=1)


class LinearGaussian(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows = []

    def forward(self, codes, labels=None):
        self.rows.append(len(codes))
        offset = torch.from_numpy(B)[0 if labels is None else labels]
        location = codes.double() @ torch.from_numpy(W).T + offset
        return torch.stack([location - 0.5, torch.full_like(location, math.log(S) + 1)], dim=1).unsqueeze(2)


class ExactVAE(VAE):
    """A VAE whose likelihood is known in closed form, with the exact posterior as its encoder."""

    shift, factor = 0.0, 1.0

    def build_encoder(self):
        return Posterior(self.shift, self.factor)

    def build_decoder(self):
        return LinearGaussian()


class ShiftedVAE(ExactVAE):
    shift, factor = 0.5, 1.5


def exact(kind=ExactVAE, **settings):
    defaults = {"in_shape": (1, 1, 3), "latent_dim": 2, "levels": LEVELS, "likelihood": "gaussian"}
    return kind(**{**defaults, **settings}).eval()


def linear_gaussian_images(count, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.multivariate_normal(B[0], MARGINAL, size=count).clip(0, 1)
    return torch.from_numpy(images).view(count, 1, 1, 3)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images_for(likelihood, count=4):
    levels = 2 if likelihood == "bernoulli" else 17
    return torch.randint(levels, (count, 2, 3, 4)) / (levels - 1)


def small(likelihood="discretized_logistic", **settings):
    torch.manual_seed(1)
    return VAE(**{**SMALL, "likelihood": likelihood, **settings})


def batch_of(images):
    return images, torch.zeros(len(images), dtype=torch.long)


def loader(*batches):
    return DataLoader([batch_of(images) for images in batches], batch_size=None)


def fix_noise(monkeypatch):
    """Replaces the posterior's draws by fixed quantiles, so that a sample's loss is a function of the sample."""

    def quantiles(mean, log_var, num_samples, generator=None):
        steps = (torch.arange(num_samples) + 0.7) / (num_samples + 0.6)
        return mean + (log_var / 2).exp() * Normal(0, 1).icdf(steps).to(mean).view(-1, 1, 1)

    monkeypatch.setattr(vae_module, "reparameterize", quantiles)
    return quantiles


@pytest.fixture
def no_dequantisation(monkeypatch):
    monkeypatch.setattr(VAE, "_dequantized", lambda self, images, generator: images)


# The importance-sampled likelihood against closed forms


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


# The loss and its terms


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


# Free bits and warm-up


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


class WarmupRecorder(VAE):
    def on_fit_start(self):
        self.factors, self.evaluated = [], []

    def training_step(self, batch, batch_idx):
        self.factors.append(self.kl_warmup())
        loss = super().training_step(batch, batch_idx)
        self.evaluated.append(loss.item())
        return loss

    def validation_step(self, batch, batch_idx):
        assert self.kl_warmup() == 1
        super().validation_step(batch, batch_idx)


@pytest.mark.parametrize(("epochs", "expected"), [(0, [1] * 12), (0.5, [0, 0.5] + [1] * 10)])
def test_beta_rises_linearly_from_zero_over_the_warmup_epochs_and_stays(make_trainer, epochs, expected):
    model = WarmupRecorder(**SMALL, kl_warmup_epochs=epochs)
    batches = loader(*[images_for("discretized_logistic")] * 4)
    make_trainer(max_epochs=3).fit(model, batches, batches)
    assert model.factors == pytest.approx(expected)


def test_a_warmup_over_several_epochs_reaches_one_at_their_end(make_trainer):
    model = WarmupRecorder(**SMALL, kl_warmup_epochs=2)
    batches = loader(*[images_for("discretized_logistic")] * 4)
    make_trainer(max_epochs=3).fit(model, batches, batches)
    assert model.factors == pytest.approx([step / 8 for step in range(8)] + [1] * 4)


def test_the_warmup_counts_epochs_also_when_gradients_are_accumulated(make_trainer):
    model = WarmupRecorder(**SMALL, kl_warmup_epochs=2)
    batches = loader(*[images_for("discretized_logistic")] * 4)
    make_trainer(max_epochs=3, accumulate_grad_batches=2).fit(model, batches, batches)
    assert [model.factors[epoch * 4] for epoch in range(3)] == pytest.approx([0, 0.5, 1])


def test_the_warmup_scales_beta_in_the_training_loss_but_evaluation_uses_the_full_beta(make_trainer):
    model = WarmupRecorder(**SMALL, beta=3.0, kl_warmup_epochs=100, lr=1e-9)
    batches = loader(images_for("discretized_logistic"))
    trainer = make_trainer(max_epochs=1)
    trainer.fit(model, batches, batches)
    metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
    assert model.factors == [0]
    assert metrics["train/kl"] > 0.01
    assert model.evaluated[0] == pytest.approx(metrics["train/reconstruction"], rel=1e-5)
    assert metrics["val/loss"] == pytest.approx(metrics["val/reconstruction"] + 3 * metrics["val/kl"], rel=1e-5)
    assert metrics["val/elbo"] == pytest.approx(-metrics["val/reconstruction"] - metrics["val/kl"], rel=1e-5)


@pytest.mark.parametrize("k", [1, 3])
def test_the_warmup_factor_multiplies_beta(monkeypatch, k):
    fix_noise(monkeypatch)
    images = images_for("discretized_logistic")
    expected = small(beta=0.5, num_importance_samples=k).loss_terms(images)
    monkeypatch.setattr(VAE, "kl_warmup", lambda self: 0.25)
    scaled = small(beta=2.0, num_importance_samples=k).loss_terms(images)
    torch.testing.assert_close(scaled["loss"], expected["loss"])
    torch.testing.assert_close(scaled["elbo"], expected["elbo"])


# Evaluation


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_an_evaluation_gives_the_same_numbers_whatever_the_global_generator(make_trainer, likelihood):
    model, trainer = small(likelihood), make_trainer()
    batches = loader(images_for(likelihood), images_for(likelihood))
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        results.append(trainer.test(model, batches, verbose=False)[0])
    assert results[0] == results[1]
    assert set(results[0]) == {
        f"test/{name}" for name in ("loss", "reconstruction", "kl", "elbo", "nll", "bits_per_dim")
    }


@pytest.mark.parametrize("step", ["validation_step", "test_step"])
def test_evaluation_leaves_the_noise_of_the_training_alone(step):
    model, images = small("gaussian"), images_for("gaussian")
    before = torch.get_rng_state()
    getattr(model, step)(batch_of(images), 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_evaluation_averages_over_samples_not_over_batches(make_trainer, monkeypatch):
    fix_noise(monkeypatch)
    model, images = small().eval(), images_for("discretized_logistic", 7)
    results = make_trainer().validate(model, loader(*images.split([6, 1])), verbose=False)[0]
    for name, values in model.loss_terms(images).items():
        assert results[f"val/{name}"] == pytest.approx(values.mean().item(), rel=1e-5)


def test_a_fit_raises_the_bound_on_a_data_set_with_structure(make_trainer):
    rows = torch.eye(4).repeat(16, 1).view(64, 1, 2, 2)
    model = VAE(in_shape=(1, 2, 2), levels=2, latent_dim=2, hidden=(16,), likelihood="bernoulli", lr=0.03)
    make_trainer(max_epochs=1).fit(model, loader(*[rows] * 200))
    # Independent pixels with the right means cost 4 H(1/4) = 2.25 nats; the entropy of the data is log 4 = 1.39 nats.
    nll = -model.eval().log_likelihood(rows, num_samples=200, generator=seeded()).mean().item()
    assert math.log(4) - 0.05 < nll < 2.1


# Conditioning on classes


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
def test_a_conditional_model_depends_on_the_labels_everywhere(architecture):
    model = small(conditional=True, num_classes=3, architecture=architecture)
    images = images_for("discretized_logistic", 2)
    one, two = torch.tensor([0, 0]), torch.tensor([0, 2])
    other = images_for("discretized_logistic", 2)
    codes = torch.randn(2, 3)
    calls = [
        lambda labels: model.encode(images, labels),
        lambda labels: model.decode(codes, labels),
        lambda labels: model.reconstruct(images, labels),
        lambda labels: model(images, labels),
        lambda labels: model.predict_step((images, labels), 0),
        lambda labels: model.interpolate(images, other, labels=labels),
        lambda labels: model.sample(2, labels, generator=seeded()),
        lambda labels: model.log_likelihood(images, labels, generator=seeded()),
        lambda labels: model.loss_terms(images, labels, seeded())["loss"],
    ]
    for call in calls:
        first, second = call(one), call(two)
        torch.testing.assert_close(first[0], second[0])
        assert (first[1] - second[1]).abs().max() > 1e-4


def test_a_model_that_is_not_conditional_passes_over_labels():
    model, images = small(num_classes=3), images_for("discretized_logistic")
    unknown = torch.tensor([0, 5, -1, 2])
    assert torch.equal(model(images, unknown), model(images))
    model.training_step((images, unknown), 0)
    first, second = (model.log_likelihood(images, labels, generator=seeded()) for labels in (None, unknown))
    assert torch.equal(first, second)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "conditioned on 3 classes: give it labels"),
        (torch.tensor([0, 3]), r"must lie in 0 .. 2, got 0 .. 3: renumber"),
        (torch.tensor([-1, 1]), r"must lie in 0 .. 2, got -1 .. 1: renumber"),
    ],
)
@pytest.mark.parametrize("step", STEPS)
def test_labels_that_are_missing_or_out_of_range_are_refused_by_every_step(step, labels, message, k):
    model = small(conditional=True, num_classes=3, num_importance_samples=k)
    with pytest.raises(InputError, match=message):
        getattr(model, step)((images_for("discretized_logistic", 2), labels), 0)


CONDITIONAL_CALLS = {
    "encode": lambda model, labels: model.encode(torch.zeros(2, 2, 3, 4), labels),
    "decode": lambda model, labels: model.decode(torch.zeros(2, 3), labels),
    "reconstruct": lambda model, labels: model(torch.zeros(2, 2, 3, 4), labels),
    "interpolate": lambda model, labels: model.interpolate(
        torch.zeros(2, 2, 3, 4), torch.ones(2, 2, 3, 4), labels=labels
    ),
    "log_likelihood": lambda model, labels: model.log_likelihood(torch.zeros(2, 2, 3, 4), labels),
}


@pytest.mark.parametrize("name", list(CONDITIONAL_CALLS))
def test_missing_labels_are_asked_for_by_every_method(name):
    with pytest.raises(InputError, match="give it labels"):
        CONDITIONAL_CALLS[name](small(conditional=True, num_classes=3), None)


@pytest.mark.parametrize("name", [*CONDITIONAL_CALLS, "sample"])
def test_labels_out_of_range_are_refused_by_every_method(name):
    calls = {**CONDITIONAL_CALLS, "sample": lambda model, labels: model.sample(2, labels)}
    with pytest.raises(InputError):
        calls[name](small(conditional=True, num_classes=3), torch.tensor([0, 3]))


def test_samples_of_a_conditional_model_cover_all_classes_if_none_are_asked_for():
    model, seen = small(conditional=True, num_classes=3), []
    model.decoder.register_forward_hook(lambda net, inputs, output: seen.append(inputs[1]))
    model.sample(90)
    assert stats.chisquare(np.bincount(seen[0], minlength=3)).pvalue > 1e-3


# Samples, reconstructions, interpolation


@pytest.mark.parametrize("architecture", ["mlp", "conv"])
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("in_shape", [(1, 8, 8), (3, 7, 10)])
def test_every_method_returns_the_stated_shape(in_shape, likelihood, architecture):
    model = VAE(
        in_shape=in_shape,
        levels=17,
        latent_dim=3,
        architecture=architecture,
        hidden=(4, 5),
        likelihood=likelihood,
        num_nll_samples=2,
    )
    images = torch.ones(2, *in_shape)
    assert [part.shape for part in model.posterior(images)] == [(2, 3), (2, 3)]
    assert model.encode(images).shape == (2, 3)
    assert model.decode(torch.randn(2, 3)).shape == (2, *in_shape)
    assert model(images).shape == model.reconstruct(images).shape == (2, *in_shape)
    assert model.predict_step(batch_of(images), 0).shape == (2, *in_shape)
    assert model.interpolate(images, 0 * images, steps=5).shape == (2, 5, *in_shape)
    assert model.sample(4).shape == model.sample(4, mean=False).shape == (4, *in_shape)
    assert model.log_likelihood(images).shape == (2,)
    assert all(values.shape == (2,) for values in model.loss_terms(images).values())


def test_interpolation_starts_and_ends_at_the_reconstructions_with_the_label_of_each_pair():
    model = small(conditional=True, num_classes=3)
    first, second = images_for("discretized_logistic", 3), images_for("discretized_logistic", 3)
    labels = torch.tensor([2, 0, 1])
    line = model.interpolate(first, second, steps=5, labels=labels)
    torch.testing.assert_close(line[:, 0], model.reconstruct(first, labels))
    torch.testing.assert_close(line[:, -1], model.reconstruct(second, labels))
    middle = (model.encode(first, labels) + model.encode(second, labels)) / 2
    torch.testing.assert_close(line[:, 2], model.decode(middle, labels))
    assert not line.requires_grad


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_samples_are_reproducible_and_draws_lie_on_the_levels_of_the_data(likelihood):
    model = small(likelihood)
    draws = model.sample(50, mean=False, generator=seeded())
    assert torch.equal(draws, model.sample(50, mean=False, generator=seeded()))
    assert not torch.equal(draws, model.sample(50, mean=False, generator=seeded(1)))
    assert not draws.requires_grad
    assert draws.min() >= 0
    assert draws.max() <= 1
    steps = draws * {"bernoulli": 1, "gaussian": 16, "discretized_logistic": 16}[likelihood]
    assert bool((steps - steps.round()).abs().max() < 1e-5) is (likelihood != "gaussian")


def test_samples_follow_the_models_marginal_distribution():
    model = exact()
    for mean, covariance in ((True, W @ W.T), (False, MARGINAL)):
        samples = model.sample(20_000, mean=mean, generator=seeded()).flatten(1).numpy()
        np.testing.assert_allclose(samples.mean(axis=0), B[0], atol=4 * 0.12 / math.sqrt(20_000))
        np.testing.assert_allclose(np.cov(samples.T), covariance, atol=6 * 0.12**2 / math.sqrt(20_000))


def test_encode_returns_the_posterior_mean():
    model, images = exact(), linear_gaussian_images(5)
    # E[z|x] = W^T (W W^T + s^2 I)^-1 (x - b), by the rule for conditioning a joint normal.
    expected = (images.flatten(1).numpy() - B[0]) @ np.linalg.solve(MARGINAL, W)
    np.testing.assert_allclose(model.encode(images), expected, atol=1e-9)


def test_a_saved_model_is_restored_without_its_settings(make_trainer, tmp_path):
    model = small(conditional=True, num_classes=2, architecture="conv", beta=0.5)
    images, labels = images_for("discretized_logistic"), torch.tensor([0, 1, 1, 0])
    trainer = make_trainer(max_epochs=1, enable_checkpointing=True)
    trainer.fit(model, DataLoader([(images, labels)], batch_size=None))
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    restored = VAE.load_from_checkpoint(tmp_path / "model.ckpt", map_location="cpu")
    assert torch.equal(restored(images, labels), model(images, labels))
    assert restored.hparams["beta"] == 0.5


# Input that cannot be used


@pytest.mark.parametrize(
    ("likelihood", "images", "message"),
    [
        ("gaussian", torch.full((2, 2, 3, 4), math.nan), "NaN or infinite values: repair or remove them"),
        ("gaussian", torch.zeros(2, 1, 3, 4), r"takes images of shape \(2, 3, 4\).*set --data.image_size"),
        ("gaussian", torch.full((2, 2, 3, 4), 2.0), r"must lie in \[0, 1\].*rescale them"),
        ("discretized_logistic", torch.full((2, 2, 3, 4), -1.0), r"must lie in \[0, 1\].*rescale them"),
        ("bernoulli", torch.full((2, 2, 3, 4), 0.5), "set --data.binarize dynamic, or --model.likelihood"),
    ],
)
@pytest.mark.parametrize("step", STEPS)
def test_images_that_cannot_be_used_are_refused_with_the_way_out(step, likelihood, images, message):
    with pytest.raises(InputError, match=message):
        getattr(small(likelihood), step)(batch_of(images), 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent_dim": 0}, "latent_dim must be positive"),
        ({"latent_dim": -1}, "latent_dim must be positive"),
        ({"num_importance_samples": 0}, "num_importance_samples must be positive"),
        ({"num_nll_samples": 0}, "num_nll_samples must be positive"),
        ({"hidden": (4, 0)}, "hidden must be positive"),
        ({"in_shape": (0, 3, 4)}, "in_shape must be positive"),
        ({"alpha_rec": -1.0}, "must not be negative"),
        ({"beta": -1.0}, "must not be negative"),
        ({"kl_warmup_epochs": -1.0}, "must not be negative"),
        ({"free_bits": -1.0}, "must not be negative"),
        ({"free_bits": 0.1, "num_importance_samples": 2}, "free_bits is defined for the ELBO only"),
        ({"conditional": True}, "conditional needs classes"),
        ({"levels": 2}, "--model.likelihood bernoulli"),
        ({"levels": 1}, "levels"),
        ({"levels": 0}, "levels"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"lr_warmup": 1.0}, "lr_warmup"),
        ({"architecture": "conv", "hidden": (4, 4)}, "at most 1 stride-2 stages"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        VAE(**{**SMALL, **settings})


@pytest.mark.parametrize("name", ["architecture", "activation", "upsampling", "likelihood", "lr_schedule"])
def test_a_choice_that_does_not_exist_is_refused_instead_of_read_as_another(name):
    with pytest.raises(InputError):
        VAE(**{**SMALL, name: "typo"})
