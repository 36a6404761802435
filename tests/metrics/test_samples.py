"""Frechet distance, precision and recall against SciPy, closed forms and scikit-learn."""

import math

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from sklearn.neighbors import NearestNeighbors

from nnzoo.errors import InputError
from nnzoo.metrics import samples
from nnzoo.metrics.samples import FrechetDistance, ManifoldPrecisionRecall, sample_metrics


def measured(real, drawn, batch=70):
    metrics = sample_metrics(real.shape[1])
    for features, is_real in ((real, True), (drawn, False)):
        for part in features.split(batch):
            metrics.update(part, real=is_real)
    return {name: float(value) for name, value in metrics.compute().items()}


def correlated(seed, count, size, mean=0.0, dtype=torch.float32):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(mean + rng.normal(size=(count, size)) @ rng.normal(size=(size, size))).to(dtype)


def test_the_frechet_distance_is_that_of_scipys_matrix_root_also_with_features_that_never_vary():
    real, drawn = correlated(0, 300, 8, 5.0), correlated(1, 200, 8)
    real[:, 3], drawn[:, 3] = 0.0, 0.0  # as what a rectified unit gives that is never active
    first, second = (np.cov(features.double().numpy(), rowvar=False) for features in (real, drawn))
    shift = (real.double().mean(dim=0) - drawn.double().mean(dim=0)).square().sum()
    # The root by way of a symmetric product: that of the product itself is not exact where it is singular.
    values, vectors = np.linalg.eigh(first)
    root = vectors @ np.diag(np.sqrt(values.clip(0))) @ vectors.T
    kept = np.delete(np.delete(root @ second @ root, 3, axis=0), 3, axis=1)
    expected = float(shift) + np.trace(first) + np.trace(second) - 2 * np.trace(sqrtm(kept)).real
    assert measured(real, drawn)["frechet"] == pytest.approx(expected, rel=1e-9)


def test_the_frechet_distance_of_gaussians_is_the_closed_form():
    """Of independent features: the squared differences of means and of standard deviations."""
    rng = np.random.default_rng(0)
    means, scales = np.array([[0.0, 1.0], [2.0, -1.0]]), np.array([[1.0, 3.0], [2.0, 0.5]])
    real, drawn = (torch.from_numpy(m + s * rng.normal(size=(100_000, 2))) for m, s in zip(means, scales, strict=True))
    expected = np.square(means[0] - means[1]).sum() + np.square(scales[0] - scales[1]).sum()
    for other, distance, rel in ((drawn, expected, 0.01), (real + 3.0, 18.0, 1e-6)):
        metric = FrechetDistance(2)
        metric.update(real, real=True)
        metric.update(other, real=False)
        assert float(metric.compute()) == pytest.approx(distance, rel=rel)


def test_far_from_zero_the_distance_keeps_its_digits():
    """In float32, sums of squares of features about 1,000 leave nothing of variances about 1."""
    real, drawn = correlated(0, 300, 4, dtype=torch.float64), correlated(1, 300, 4, dtype=torch.float64)
    near, far = measured(real, drawn), measured(real + 1000.0, drawn + 1000.0)
    assert far["frechet"] == pytest.approx(near["frechet"], rel=1e-6)
    single = FrechetDistance(4)
    for features, is_real in ((real.float(), True), (drawn.float(), False)):
        single.update(features, is_real)
    assert single.compute().dtype == torch.float64


@pytest.mark.parametrize("few", [(8, 50), (50, 8)])
def test_no_more_samples_than_features_are_refused(few):
    metric = FrechetDistance(8)
    for count, real in zip(few, (True, False), strict=True):
        metric.update(correlated(0, count, 8), real)
    with pytest.raises(InputError, match="by 8 features needs more samples than that, got 8"):
        metric.compute()


def test_samples_of_one_law_are_nearer_than_those_of_another_and_the_more_the_nearer():
    def pair(count, shift=0.0):
        both = correlated(5, 2 * count, 8)
        return measured(both[:count], both[count:] + shift)

    small, large = pair(100), pair(1000)
    assert 0 < large["frechet"] < small["frechet"] < pair(100, 1.0)["frechet"], "it is biased upwards"
    assert min(small["precision"], small["recall"]) > 0.7


@pytest.mark.parametrize("chunk", [7, 1000])
@pytest.mark.parametrize("k", [1, 3])
def test_precision_and_recall_are_those_by_scikit_learns_neighbours(k, chunk, monkeypatch):
    monkeypatch.setattr(samples, "CHUNK", chunk)
    real, drawn = correlated(0, 90, 5, dtype=torch.float64), correlated(1, 60, 5, 0.5, dtype=torch.float64)
    metric = ManifoldPrecisionRecall(k)
    metric.update(real, real=True)
    metric.update(drawn, real=False)
    found = metric.compute()

    def share(points, centres):
        neighbours = NearestNeighbors(n_neighbors=k).fit(centres)
        radii = neighbours.kneighbors()[0][:, -1]  # without arguments, a point is not its own neighbour
        return np.mean([(np.linalg.norm(centres - point, axis=1) <= radii).any() for point in points])

    expected = {"precision": share(drawn.numpy(), real.numpy()), "recall": share(real.numpy(), drawn.numpy())}
    assert {name: float(value) for name, value in found.items()} == pytest.approx(expected)
    assert 0.05 < expected["precision"] != expected["recall"] < 0.95


def test_what_precision_and_recall_mean():
    real = correlated(0, 100, 4)
    assert measured(real, real.flip(0))["precision"] == measured(real, real)["recall"] == 1
    assert measured(real, real)["frechet"] == pytest.approx(0, abs=1e-6)
    elsewhere = measured(real, real + 1000.0)
    assert elsewhere["precision"] == elsewhere["recall"] == 0
    one_good_sample = measured(real, real[:1].expand(100, 4))
    assert one_good_sample["precision"] == 1
    assert one_good_sample["recall"] == pytest.approx(0.01), "only the sample that is repeated"
    assert math.isfinite(one_good_sample["frechet"])


def test_sets_without_a_third_neighbour_are_refused():
    metric = ManifoldPrecisionRecall()
    metric.update(correlated(0, 50, 4), real=True)
    metric.update(correlated(0, 3, 4), real=False)
    with pytest.raises(InputError, match="neighbour number 3 need more samples than that, got 3"):
        metric.compute()
