"""Densities and projections of images against closed forms, SciPy and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.metrics import mean_squared_error
from sklearn.mixture import GaussianMixture

from nnzoo import Autoencoder
from nnzoo.baselines.images import (
    DensityBaselines,
    HistogramBaselines,
    ReconstructionBaselines,
    density_baselines,
    dequantized,
    histogram_bits,
)

LEVELS, SHAPE = 17, (1, 2, 3)


class Data:
    """Images of parts that differ, so that what is chosen or fitted on the wrong one shows."""

    levels, num_classes = LEVELS, 2

    def __init__(self, sizes=(40, 25, 30)):
        rng = np.random.default_rng(0)
        self.parts = {}
        for part, size, spread in zip(("train", "val", "test"), sizes, (1.0, 3.0, 0.3), strict=True):
            hidden = rng.normal(size=(size, 2)) @ rng.normal(size=(2, 6)) * spread
            grey = np.clip(np.round(8 + hidden + rng.normal(size=(size, 6))), 0, LEVELS - 1)
            images = torch.from_numpy(grey / (LEVELS - 1)).float().view(size, *SHAPE)
            self.parts[part] = images, torch.arange(size) % 2

    def tensors(self, part, limit=None):
        images, labels = self.parts[part]
        return images[:limit], labels[:limit]

    def batches(self, part):
        yield from zip(*(tensor.split(7) for tensor in self.parts[part]), strict=True)


def in_bits(log_densities, dims=6):
    """Nats per image of densities on [0, 1] to bits per dimension of levels."""
    return (math.log(LEVELS) - np.mean(log_densities) / dims) / math.log(2)


def kernel_density(train, points, bandwidth):
    """The mean of Gaussians around the training points, in nats."""
    squares = ((points[:, None] - train[None]) ** 2).sum(axis=2)
    constant = math.log(len(train)) + 6 * math.log(bandwidth) + 3 * math.log(2 * math.pi)
    return logsumexp(-squares / (2 * bandwidth**2), axis=1) - constant


def test_densities_are_those_of_scipy_and_chosen_on_the_validation_part():
    data = Data()
    train, val, test = (dequantized(data.tensors(part)[0], LEVELS) for part in ("train", "val", "test"))
    found = DensityBaselines().scores(None, data)
    assert set(found) == {"pca", "kde", "mixture"}
    gaussians = []
    for number in (1, 2, 3, 5):
        pca = PCA(number).fit(train)
        gaussians.append(multivariate_normal(pca.mean_, pca.get_covariance()))
    kernels = np.geomspace(0.02, 0.5, 12)
    mixtures = [GaussianMixture(number, reg_covar=floor, random_state=0).fit(train)
                for number in (1, 2, 5, 10, 20, 30) for floor in (1e-4, 1e-3)]  # fmt: skip
    expected = {}
    for name, scored in {
        "pca": [model.logpdf for model in gaussians],
        "kde": [lambda points, h=h: kernel_density(train, points, h) for h in kernels],
        "mixture": [model.score_samples for model in mixtures],
    }.items():
        chosen, best_on_test = (max(scored, key=lambda score: score(part).mean()) for part in (val, test))
        expected[name] = in_bits(chosen(test))
        if name != "mixture":
            assert in_bits(best_on_test(test)) < expected[name] - 1e-3, "here the choice on the test is another"
    assert {name: scores["bits_per_dim"] for name, scores in found.items()} == pytest.approx(expected, rel=1e-4)


def test_dequantised_levels_fill_the_unit_interval_evenly():
    images = torch.randint(LEVELS, (500, *SHAPE)) / (LEVELS - 1)
    values = dequantized(images, LEVELS)
    grey = (images * (LEVELS - 1)).round().flatten(1)
    np.testing.assert_array_equal(np.floor(values * LEVELS), grey)
    within = values * LEVELS - grey.numpy()
    assert abs(within.mean() - 0.5) < 5 / math.sqrt(12 * within.size)
    assert abs(within.std() - 1 / math.sqrt(12)) < 0.02


def test_large_images_get_fewer_models():
    rng = np.random.default_rng(0)
    parts = [rng.random((12, 300)) for _ in range(3)]
    assert set(density_baselines(*parts, LEVELS)) == {"pca", "mixture"}
    wide = [rng.random((12, 1100)) for _ in range(3)]
    assert set(density_baselines(*wide, LEVELS)) == {"mixture"}


@pytest.mark.parametrize("noise", ["none", "gaussian"])
def test_a_projection_of_the_modules_own_input_is_compared_with_the_clean_image(noise):
    data = Data()
    module = Autoencoder(in_shape=SHAPE, latent_dim=2, hidden=(4,), noise=noise)
    found = ReconstructionBaselines().scores(module, data)
    assert set(found) == ({"pca"} if noise == "none" else {"pca", "identity"})
    pca = PCA(2).fit(data.tensors("train")[0].flatten(1))
    clean, noisy = [], []
    for number, (images, _) in enumerate(data.batches("test")):
        clean.append(images.flatten(1))
        noisy.append(module.corrupt_for_evaluation(images, number).flatten(1))
    clean, noisy = torch.cat(clean).numpy(), torch.cat(noisy).numpy()
    outputs = {"identity": noisy, "pca": pca.inverse_transform(pca.transform(noisy))}
    for name, scores in found.items():
        mse = mean_squared_error(clean, outputs[name].clip(0, 1))
        assert scores["mse"] == pytest.approx(mse, rel=1e-4)
        assert scores["psnr"] == pytest.approx(10 * math.log10(1 / mse), rel=1e-4)
    assert np.array_equal(clean, noisy) == (noise == "none")


def test_a_histogram_counts_the_training_images_and_measures_the_test_images():
    data = Data()
    bits = []
    (train, labels), (test, tested) = data.tensors("train"), data.tensors("test")
    known, seen = ((part.flatten(1) * (LEVELS - 1)).round().long().numpy() for part in (train, test))
    for image, label in zip(seen, tested, strict=True):
        rows = known[(labels == label).numpy()]
        shares = [(np.sum(rows[:, d] == image[d]) + 0.1) / (len(rows) + 0.1 * LEVELS) for d in range(6)]
        bits.append(-np.mean(np.log2(shares)))
    found = HistogramBaselines().scores(None, data)
    assert found["histogram"]["bits_per_dim"] == pytest.approx(np.mean(bits), rel=1e-6)


def test_a_histogram_of_many_levels_takes_little_memory(monkeypatch):
    """One-hot levels of these images would take 257 MB; chunks of any size count the same."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (320, 1, 28, 14), generator=generator) / 255
    labels = torch.zeros(320, dtype=torch.long)
    with torch.profiler.profile(profile_memory=True) as profile:
        bits = histogram_bits(images, labels, images, labels, 256, 0.1)
    assert max(abs(event.cpu_memory_usage) for event in profile.events()) < 20e6
    monkeypatch.setattr("nnzoo.baselines.images.CHUNK", 7)
    assert histogram_bits(images, labels, images, labels, 256, 0.1) == bits
