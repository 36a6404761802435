"""Modes found and samples of high quality, counted by hand."""

import math

import pytest
import torch

from nnzoo import DensityDataModule, InputError
from nnzoo.metrics.modes import HighQuality, ModesFound, mode_metrics

CENTERS, STD = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], 0.1


def measure(samples, centers=CENTERS, std=STD, size=3):
    metrics = mode_metrics(centers, std)
    for batch in torch.as_tensor(samples).split(size):
        metrics.update(batch)
    return {name: float(value) for name, value in metrics.compute().items()}


@pytest.mark.parametrize(
    ("samples", "found", "share"),
    [
        ([[0.0, 0.0], [0.29, 0.0], [1.0, 0.0], [0.5, 0.5]], 2, 3 / 4),
        ([[0.31, 0.0], [0.22, 0.22], [0.5, 0.5], [9.0, 9.0]], 0, 0),  # by the distance, not along each axis
        ([[0.2, 0.2], [0.0, 1.1], [0.0, 0.9], [1.2, 0.1]], 3, 1),
        ([[math.nan, 0.0], [0.0, math.inf], [0.0, 0.0], [1.0, 0.0]], 2, 1 / 2),
    ],
)
def test_samples_within_three_standard_deviations_of_their_nearest_mode(samples, found, share):
    assert measure(samples) == {"modes_found": found, "high_quality": pytest.approx(share)}


def test_a_sample_between_two_modes_finds_the_nearest_alone():
    assert measure([[0.45, 0.0]], std=0.2) == {"modes_found": 1, "high_quality": 1}
    metric = ModesFound(CENTERS, 0.2)
    metric.update(torch.tensor([[0.55, 0.0], [0.45, 0.0], [0.46, 0.0]]))
    assert metric.counts.tolist() == [2, 1, 0]


@pytest.mark.parametrize(("dataset", "modes"), [("eight_gaussians", 8), ("twenty_five_gaussians", 25)])
def test_points_of_a_law_find_all_modes_with_the_share_of_the_rayleigh_law(dataset, modes):
    data = DensityDataModule(dataset=dataset)
    found = measure(data.law.draw(20000, seed=0).points, data.mode_centers, data.mode_std, size=999)
    assert found["modes_found"] == modes
    share = 1 - math.exp(-4.5)
    assert found["high_quality"] == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 20000))


def test_a_narrow_mode_far_from_zero_is_not_lost_to_rounding():
    """The squares of 1,000 leave single precision no digit of 0.001."""
    centers = [[1000.3 + 1.1 * k, 1000.7] for k in range(30)]
    samples = torch.tensor(centers).repeat(20, 1) + 1e-3 * torch.randn(600, 2)
    assert measure(samples, centers, std=0.01, size=600) == {"modes_found": 30, "high_quality": 1}


def test_devices_add_their_counts_and_a_reset_forgets_them():
    metric = HighQuality(CENTERS, STD)
    metric.update(torch.tensor([[0.0, 0.0], [5.0, 5.0]]))
    assert all(metric._reductions[name] is not None for name in ("counts", "total"))
    assert float(metric.compute()) == 0.5
    metric.reset()
    metric.update(torch.tensor([[1.0, 0.0]], dtype=torch.bfloat16))
    assert float(metric.compute()) == 1
    assert metric.counts.tolist() == [0, 1, 0]


@pytest.mark.parametrize("modes", [([], 0.0), (CENTERS, 0.0), (CENTERS, math.nan)])
def test_a_law_without_modes_cannot_be_measured(modes):
    with pytest.raises(InputError, match=r"There are no modes to count: .* --data.dataset eight_gaussians"):
        mode_metrics(*modes)
    data = DensityDataModule(dataset="moons")
    with pytest.raises(InputError, match="There are no modes to count"):
        mode_metrics(data.mode_centers, data.mode_std)
