"""Densities, histograms and projections of images."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from torch import Tensor

from nnzoo.baselines.base import Baselines, Scores, alone, fitting, subset_note
from nnzoo.errors import check_sizes
from nnzoo.metrics.images import image_metrics


class DensityBaselines(Baselines):
    """Bits per dimension of scikit-learn's PCA, kernel density and Gaussian mixture, as ``baseline/NAME/bits_per_dim``.

    All see the grey levels dequantised with uniform noise, (k + u) / levels, of the module's own samples.
    Their sizes (components of PCA and mixture, bandwidth of the kernel) are chosen on the validation samples. Images of
    more than 256 values get diagonal mixtures and no kernel density, those of more than 1,024 no PCA either.

    Args:
        max_samples: Use at most so many samples of each part, chosen at random: these models are slow on large sets.
    """

    needs = ("tensors", "levels")
    itemised = True

    def __init__(self, max_samples: int = 5000) -> None:
        check_sizes(max_samples=max_samples)
        self.max_samples = max_samples

    def scores(self, module: Any, data: Any) -> Scores:
        """Bits per dimension of each model; none of binary images."""
        if data.levels == 2:
            rank_zero_warn("There are no density baselines for binary images.")
            return {}
        train, val, test = (
            dequantized(data.tensors(part, self.max_samples)[0], data.levels) for part in ("train", "val", "test")
        )
        self.notes = subset_note("pca, kde, mixture", len(train), len(data.parts["train"]), "images")
        found = density_baselines(train, val, test, data.levels)
        return {name: {"bits_per_dim": bits} for name, bits in found.items()}


def dequantized(images: Tensor, levels: int) -> NDArray[np.float64]:
    """Grey levels k of images k / (levels - 1) as (k + u) / levels with u ~ U(0, 1), one row per image."""
    rng = np.random.default_rng(0)
    grey = images.flatten(1).double().numpy() * (levels - 1)
    return (grey.round() + rng.random(grey.shape)) / levels


def density_baselines(
    train: NDArray[np.float64], val: NDArray[np.float64], test: NDArray[np.float64], levels: int
) -> dict[str, float]:
    """Bits per dimension on ``test`` of PCA, kernel density and Gaussian mixture fitted on ``train``."""
    dims = train.shape[1]
    small = dims <= SMALL
    few = numbers_of_components(len(train))
    # scikit-learn's PCA inverts a full covariance to score: 1,024 values take seconds, 12,288 hours.
    components = [*few, *((dims // 2, dims - 1) if small else ())] if dims <= 1024 else []
    components = [number for number in components if number < min(train.shape)]
    bandwidths = list(np.geomspace(0.02, 0.5, 12)) if small else []
    candidates: dict[str, list[Any]] = {
        "pca": [PCA(number, random_state=0) for number in components],
        "kde": [KernelDensity(bandwidth=bandwidth) for bandwidth in bandwidths],
        "mixture": mixtures(few, "full" if small else "diag"),
    }
    bits = {}
    for name, models in candidates.items():
        if not models:
            continue
        with fitting(name):
            best = most_likely(models, train, val)
            bits[name] = float((math.log(levels) - np.mean(best.score_samples(test)) / dims) / math.log(2))
    return bits


SMALL = 256
"""Most values of an image for full covariances and kernels: of larger ones they would take hours."""


def numbers_of_components(rows: int) -> list[int]:
    """Sizes that PCA and mixture are tried with on so many rows."""
    return [number for number in (1, 2, 5, 10, 20, 30) if number < rows]


def mixtures(numbers: Sequence[int], covariance: str) -> list[GaussianMixture]:
    """Gaussian mixtures to choose from, of each number of components with a high and a low floor of the variances."""
    return [
        GaussianMixture(number, covariance_type=covariance, reg_covar=floor, random_state=0)
        for number in numbers
        for floor in (1e-4, 1e-3)
    ]


def most_likely(models: Iterable[Any], train: NDArray[np.float64], val: NDArray[np.float64]) -> Any:
    """Of models fitted on ``train``, the one under which ``val`` is most likely."""
    return max((model.fit(train) for model in models), key=lambda model: np.mean(model.score_samples(val)))


class ReconstructionBaselines(Baselines):
    """MSE, PSNR and SSIM of the identity and of a PCA of the same size, as ``baseline/NAME/METRIC``.

    Both get the very input that the module gets: with noise, the identity is the noisy image itself. PCA is fitted on
    clean training images and projects its input on as many components as the module has latent dimensions. Without
    noise the identity is perfect and left out.

    Args:
        max_samples: Fit PCA on at most so many training samples, chosen at random.
    """

    needs = ("tensors", "batches")

    def __init__(self, max_samples: int = 20000) -> None:
        check_sizes(max_samples=max_samples)
        self.max_samples = max_samples

    def scores(self, module: Any, data: Any) -> Scores:
        """Fits PCA and measures both on the module's own inputs."""
        hparams = module.hparams
        names = ["pca"] if hparams["noise"] == "none" else ["identity", "pca"]
        metrics = {name: alone(image_metrics(hparams["in_shape"])).to(module.device) for name in names}
        train = data.tensors("train", self.max_samples)[0].flatten(1).numpy()
        self.notes = subset_note("pca", len(train), len(data.parts["train"]), "images")
        pca = PCA(min(hparams["latent_dim"], *train.shape), random_state=0).fit(train)
        for batch_idx, (images, _) in enumerate(data.batches("test")):
            images = images.to(module.device)
            inputs = module.corrupt_for_evaluation(images, batch_idx)
            projected = pca.inverse_transform(pca.transform(inputs.flatten(1).float().cpu().numpy()))
            outputs = {"identity": inputs, "pca": torch.from_numpy(projected).to(images).view_as(images)}
            for name, measured in metrics.items():
                measured.update(outputs[name].clamp(0, 1), images)
        return {name: {key: float(value) for key, value in m.compute().items()} for name, m in metrics.items()}


class HistogramBaselines(Baselines):
    """Bits per dimension of a histogram of every pixel in every class, as ``baseline/histogram/bits_per_dim``.

    Pixels are independent given the class; each level of each pixel has its relative frequency among the training
    images of the class, with ``pseudo_count`` added to every count.

    Args:
        pseudo_count: Added to every count, so that no level is impossible.
    """

    needs = ("tensors", "levels", "num_classes")

    def __init__(self, pseudo_count: float = 0.1) -> None:
        self.pseudo_count = pseudo_count

    def scores(self, module: Any, data: Any) -> Scores:
        """Counts the training images and measures the test images."""
        (images, labels), (test_images, test_labels) = data.tensors("train"), data.tensors("test")
        bits = histogram_bits(images, labels, test_images, test_labels, data.levels, self.pseudo_count)
        return {"histogram": {"bits_per_dim": bits}}


def histogram_bits(
    images: Tensor, labels: Tensor, test_images: Tensor, test_labels: Tensor, levels: int, pseudo_count: float
) -> float:
    """Mean bits per dimension of test images under the training images' histograms of every class and pixel."""
    dims, log_probs = images[0].numel(), torch.zeros(len(test_images), dtype=torch.float64)
    first = torch.arange(dims) * levels  # where each pixel's histogram begins
    for label in test_labels.unique():
        counts = torch.zeros(dims * levels, dtype=torch.float64)
        for rows in (labels == label).nonzero()[:, 0].split(CHUNK):
            counts += (grey_levels(images[rows], levels) + first).flatten().bincount(minlength=dims * levels)
        counts = counts.view(dims, levels) + pseudo_count
        log_p = (counts / counts.sum(dim=1, keepdim=True)).log().flatten()
        for rows in (test_labels == label).nonzero()[:, 0].split(CHUNK):
            log_probs[rows] = log_p[grey_levels(test_images[rows], levels) + first].sum(dim=1)
    return float(-log_probs.mean() / (dims * math.log(2)))


CHUNK = 256
"""Images that are counted at once."""


def grey_levels(images: Tensor, levels: int) -> Tensor:
    """Grey levels k (B, D) of images k / (levels - 1)."""
    return (images.flatten(1) * (levels - 1)).round().long()
