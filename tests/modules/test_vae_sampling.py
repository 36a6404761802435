import math

import numpy as np
import pytest
import torch

from nnzoo.modules.vae import VAE
from support.exact_vae import MARGINAL, B, W, exact, linear_gaussian_images
from support.image_batches import batch_of
from support.small_vae import LIKELIHOODS, images_for, seeded, small


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
