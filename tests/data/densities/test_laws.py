"""Points and densities of the laws against SciPy, scikit-learn and each other."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from sklearn.datasets import make_moons, make_swiss_roll

from nnzoo import InputError
from nnzoo.data.densities.law import Law
from nnzoo.data.densities.sources import SOURCES

MIXTURES, CURVES = ("eight_gaussians", "twenty_five_gaussians"), ("swiss_roll", "moons")
SETTINGS = {"num_samples": 100, "val_fraction": 0.15, "test_fraction": 0.15, "split_seed": 0}


def law(name, **settings):
    return SOURCES[name]({**SETTINGS, **settings})


def grid(low, high, side):
    """Middles (N, 2) of the cells of a grid, and the area of a cell."""
    step = (high - low) / side
    middles = low + step * (torch.arange(side, dtype=torch.float64) + 0.5)
    return torch.cartesian_prod(middles, middles), step**2


@pytest.mark.parametrize("name", SOURCES)
def test_a_density_integrates_to_one_and_its_entropy_is_that_of_the_points(name):
    found = law(name)
    if name in MIXTURES:  # narrow: integrated around each mode, of which none overlap
        centers, std = found.modes()
        around, area = grid(-8 * std, 8 * std, 40)
        cells = (around + centers[:, None]).flatten(0, 1)
    else:
        # The cells of the checkerboard must not lie on both sides of a border: 2 / 2.309 is 24 cells.
        cells, area = grid(-7 / 2.309, 7 / 2.309, 168)
    log_density = found.log_density(cells)
    density = log_density.exp()
    assert float(density.sum()) * area == pytest.approx(1, abs=1e-6)
    entropy = -float((density * log_density.clamp(min=-1e9)).sum()) * area
    own = found.log_density(found.draw(20000, seed=1).points.double())
    assert float(own.mean()) == pytest.approx(-entropy, abs=5 * float(own.std()) / math.sqrt(20000) + 1e-6)


@pytest.mark.parametrize(
    ("name", "noise", "divisor"), [("eight_gaussians", 0.02, 1.414), ("twenty_five_gaussians", 0.05, 2.828)]
)
def test_mixtures_have_the_density_of_scipys_gaussians(name, noise, divisor):
    angles = [k * math.pi / 4 for k in range(8)]
    ring = [(2 * math.cos(angle), 2 * math.sin(angle)) for angle in angles]
    centers = ring if name == "eight_gaussians" else [(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)]
    found, points = law(name), torch.from_numpy(np.random.default_rng(0).normal(size=(50, 2)))
    near = torch.cat([points, found.draw(50, seed=3).points.double()])
    covariance = (noise / divisor) ** 2 * np.eye(2)
    logs = [stats.multivariate_normal(np.array(c) / divisor, covariance).logpdf(near) for c in centers]
    expected = np.logaddexp.reduce(logs, axis=0) - math.log(len(centers))
    np.testing.assert_allclose(found.log_density(near), expected, rtol=1e-9)
    modes = found.modes()
    np.testing.assert_allclose(modes.centers, np.array(centers) / divisor, atol=1e-12)
    assert modes.std == pytest.approx(noise / divisor)


@pytest.mark.parametrize("name", CURVES)
def test_curves_have_the_density_of_an_adaptive_quadrature(name):
    found = law(name)
    std, (low, high) = found.std / found.scale, found.span

    def density(point):
        def along(parameter, label):
            place = found.curve(np.array([parameter]), np.array([label]))[0] / found.scale
            return stats.multivariate_normal.pdf(point, place, std**2 * np.eye(2)) / (high - low)

        arms = max(1, len(found.classes))
        edges = np.linspace(low, high, 13)
        pieces = ((a, b, k) for k in range(arms) for a, b in itertools.pairwise(edges))
        return sum(quad(along, a, b, args=(k,), epsabs=1e-13, epsrel=1e-10)[0] for a, b, k in pieces) / arms

    points = found.draw(3, seed=5).points.double()
    points[2] += 3 * std
    np.testing.assert_allclose(found.log_density(points).exp(), [density(p) for p in points.numpy()], rtol=1e-7)


@pytest.mark.parametrize("name", CURVES)
def test_curves_are_those_of_scikit_learn(name):
    drawn = law(name).draw(20000, seed=0)
    if name == "swiss_roll":
        theirs = make_swiss_roll(20000, noise=0.25, random_state=1)[0][:, [0, 2]] / 7.5
        labels = np.zeros(20000)
    else:
        theirs, labels = make_moons(20000, noise=0.1, random_state=1)
        theirs = (theirs - [0.5, 0.25]) / 0.71
    for label in np.unique(labels):
        ours, other = drawn.points[drawn.labels == label].numpy(), theirs[labels == label]
        for direction in ([1, 0], [0, 1], [1, 1], [1, -1]):
            assert stats.ks_2samp(ours @ np.array(direction), other @ np.array(direction)).pvalue > 1e-3


def test_the_checkerboard_is_uniform_on_every_second_square():
    found = law("checkerboard")
    points, labels = found.draw(16000, seed=0)
    column, row = ((points.double() * 2.309 + 4) / 2).floor().long().unbind(dim=1)
    assert ((column + row) % 2 == 0).all()
    assert [found.classes[k] for k in labels] == [f"{'abcd'[x]}{y + 1}" for x, y in zip(column, row, strict=True)]
    within = (points.double() * 2.309 % 2) / 2
    assert min(stats.kstest(within[:, axis], "uniform").pvalue for axis in (0, 1)) > 1e-3
    assert found.log_density(points).allclose(torch.tensor(-math.log(8 * (2 / 2.309) ** 2)))
    outside = torch.tensor([[0.1, -0.1], [1.8, 1.8], [9.0, 9.0]])
    assert found.log_density(outside).tolist() == [-math.inf] * 3


def test_a_point_of_the_checkerboard_that_rounding_moves_onto_a_border_keeps_its_density():
    corner = torch.tensor([[2 / 2.309, 2 / 2.309], [4 / 2.309, 4 / 2.309], [-4 / 2.309, -2 / 2.309]])
    beyond = torch.nextafter(corner, 2 * corner)
    assert torch.isfinite(law("checkerboard").log_density(torch.cat([corner, beyond]))).all()


@pytest.mark.parametrize("name", SOURCES)
def test_components_are_equally_frequent_and_points_those_of_their_component(name):
    found = law(name)
    points, labels = found.draw(20000, seed=2)
    assert points.dtype == torch.float32
    assert (points.shape, labels.shape, labels.dtype) == ((20000, 2), (20000,), torch.int64)
    if not found.classes:
        assert not labels.any()
        return
    assert stats.chisquare(labels.bincount(minlength=len(found.classes))).pvalue > 1e-3
    assert float(points.var(dim=0).mean()) == pytest.approx(1, abs=0.05), "scaled"
    if name in MIXTURES:
        nearest = torch.cdist(points.double(), found.modes().centers).argmin(dim=1)
        assert (nearest == labels).all()


def test_names_of_modes_say_where_they_are():
    ring, square = law("eight_gaussians"), law("twenty_five_gaussians")
    angles = np.degrees(np.arctan2(*ring.modes().centers.numpy().T[::-1])) % 360
    assert ring.classes == [f"{angle:.0f}°" for angle in angles]
    places = (square.modes().centers * 2.828).round().int().tolist()
    assert square.classes == [f"({x}, {y})" for x, y in places]


@pytest.mark.parametrize("name", SOURCES)
def test_the_same_seed_draws_the_same_points_and_another_one_others(name):
    torch.manual_seed(0)
    first = law(name).draw(50, seed=3)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - neither library's generator has a part in it
    again, other = law(name).draw(50, seed=3), law(name).draw(50, seed=4)
    assert torch.equal(first.points, again.points)
    assert torch.equal(first.labels, again.labels)
    assert not (first.points == other.points).any()


@pytest.mark.parametrize("name", SOURCES)
def test_points_of_single_precision_and_in_pieces_have_the_same_density(name, monkeypatch):
    found = law(name)
    points = found.draw(30, seed=0).points
    exact = found.log_density(points.double())
    single = found.log_density(points)
    assert (exact.dtype, single.dtype) == (torch.float64, torch.float32)
    torch.testing.assert_close(single.double(), exact, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr("nnzoo.data.densities.law.CHUNK", 7)
    torch.testing.assert_close(found.log_density(points.double()), exact, rtol=0, atol=1e-12)


def test_the_score_of_a_law_points_to_the_mode():
    found = law("eight_gaussians")
    (center, *_), std = found.modes()
    points = (center + torch.tensor([[std, 0.0], [0.0, -2 * std], [0.0, 0.0]])).requires_grad_()
    (score,) = torch.autograd.grad(found.log_density(points).sum(), points)
    torch.testing.assert_close(score, (center - points.detach()) / std**2)


@pytest.mark.parametrize("name", [name for name in SOURCES if name not in MIXTURES])
def test_other_laws_have_no_modes(name):
    with pytest.raises(InputError, match=f"The {name} has no modes .* set --data.dataset eight_gaussians or"):
        law(name).modes()
    assert SOURCES[name].modes is Law.modes
