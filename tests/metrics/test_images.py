import numpy as np
import pytest
import torch

from nnzoo.metrics.images import image_metrics


def psnr_by_hand(preds, images):
    return 10 * np.log10(1 / np.mean((preds - images) ** 2))


def window_of(side, uniform):
    if uniform:
        return np.full((side, side), 1 / side**2)
    profile = np.exp(-0.5 * ((np.arange(side) - side // 2) / 1.5) ** 2)
    return np.outer(profile, profile) / profile.sum() ** 2


def ssim_by_hand(preds, images, window):
    """Wang et al. 2004, equation 13, averaged over all pixels, with the image mirrored at its borders."""
    side, c1, c2 = len(window), 0.01**2, 0.03**2
    margin = [(0, 0), (0, 0), *[(side // 2, side // 2)] * 2]
    preds, images = (np.pad(array, margin, mode="reflect") for array in (preds, images))
    positions = [(row, column) for row, column in np.ndindex(images.shape[2] - side + 1, images.shape[3] - side + 1)]
    values = []
    for image, channel in np.ndindex(images.shape[:2]):
        for row, column in positions:
            p, q = (a[image, channel, row : row + side, column : column + side] for a in (preds, images))
            mu_p, mu_q = (window * p).sum(), (window * q).sum()
            var_p, var_q = (window * (p - mu_p) ** 2).sum(), (window * (q - mu_q) ** 2).sum()
            cov = (window * (p - mu_p) * (q - mu_q)).sum()
            values.append((2 * mu_p * mu_q + c1) * (2 * cov + c2) / ((mu_p**2 + mu_q**2 + c1) * (var_p + var_q + c2)))
    return np.mean(values)


def measure(shape):
    """Metrics of noisy images with dark borders, in two unequal batches: (values, reconstructions, images)."""
    images = torch.rand(5, *shape) * torch.linspace(0, 1, shape[1]).view(-1, 1) ** 2
    preds = (images + 0.2 * torch.randn(5, *shape)).clamp(0, 1)
    metrics = image_metrics(shape)
    for rows in (slice(0, 4), slice(4, 5)):
        metrics.update(preds[rows], images[rows])
    values = {name: value.item() for name, value in metrics.compute().items()}
    return values, preds.double().numpy(), images.double().numpy()


@pytest.mark.parametrize("shape", [(1, 12, 12), (2, 13, 15), (1, 8, 8), (3, 4, 4), (1, 1, 1)])
def test_mse_and_psnr_equal_their_formulas_over_unequal_batches(shape):
    values, preds, images = measure(shape)
    assert values["mse"] == pytest.approx(np.mean((preds - images) ** 2), rel=1e-5)
    assert values["psnr"] == pytest.approx(psnr_by_hand(preds, images), rel=1e-5)


@pytest.mark.parametrize(
    ("shape", "side", "uniform"),
    [
        ((1, 12, 12), 11, False),
        ((2, 13, 15), 11, False),
        ((1, 8, 8), 11, False),
        ((3, 6, 9), 11, False),
        ((1, 5, 7), 3, True),
        ((1, 2, 2), 3, True),
        ((1, 1, 1), 1, True),
    ],
)
def test_ssim_equals_its_formula_over_windows_around_every_pixel(shape, side, uniform):
    values, preds, images = measure(shape)
    assert values["ssim"] == pytest.approx(ssim_by_hand(preds, images, window_of(side, uniform)), abs=1e-4)


def test_a_perfect_reconstruction_has_ssim_one():
    metrics = image_metrics((1, 8, 8))
    images = torch.rand(2, 1, 8, 8)
    metrics.update(images, images)
    assert metrics.compute()["ssim"].item() == pytest.approx(1, abs=1e-5)
