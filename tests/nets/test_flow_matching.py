"""Flow matching on laws whose velocity, flow and density have a closed form."""

import math

import pytest
import torch
from scipy import stats
from scipy.special import logit, logsumexp

from nnzoo.data.densities.sources import EightGaussians, TwentyFiveGaussians
from nnzoo.errors import InputError
from nnzoo.nets.flow_matching import FlowMatching

STD = torch.tensor([0.5, 1.5])  # whose logarithms do not cancel


def of_normal_data(noised, times):
    """E[data - noise | x_t] for data N(0, diag(STD^2))."""
    t = times[:, None]
    return (t * STD**2 - (1 - t)) / ((1 - t) ** 2 + t**2 * STD**2) * noised


def test_the_path_is_straight_from_noise_to_data():
    flow, data, noise = FlowMatching(), torch.randn(3, 2), torch.randn(3, 2)
    assert torch.allclose(flow.noised(data, torch.zeros(3), noise), noise)
    assert torch.allclose(flow.noised(data, torch.ones(3), noise), data)
    step = 1e-3
    speed = (
        flow.noised(data, torch.full((3,), 0.4 + step), noise) - flow.noised(data, torch.full((3,), 0.4), noise)
    ) / step
    assert torch.allclose(speed, flow.target(data, torch.full((3,), 0.4), noise), atol=1e-3)


def test_the_velocity_means_the_data_and_the_noise_at_every_time():
    flow, data, noise = FlowMatching(), torch.randn(5, 1, 2, 2), torch.randn(5, 1, 2, 2)
    times = torch.linspace(0, 1, 5)
    found = flow.data_and_noise(flow.noised(data, times, noise), times, flow.target(data, times, noise))
    assert torch.allclose(found[0], data, atol=1e-6)
    assert torch.allclose(found[1], noise, atol=1e-6)


def test_the_loss_is_the_mean_square_of_each_sample():
    flow, output, data, noise = FlowMatching(), *torch.randn(3, 4, 2)
    expected = [float((output[n] - data[n] + noise[n]).square().mean()) for n in range(4)]
    assert flow.losses(output, data, torch.rand(4), noise).tolist() == pytest.approx(expected, rel=1e-5)


def test_one_step_of_euler_lands_on_the_only_data_there_are():
    flow, data = FlowMatching(), torch.tensor([[0.3, -0.7]])

    def denoise(noised, times):
        return (data - noised) / (1 - times[:, None])

    (state,) = flow.flow(denoise, torch.randn(4, 2), "euler", 1)
    assert torch.allclose(state.noised, data.expand(4, 2), atol=1e-6)
    assert torch.allclose(state.estimate, data.expand(4, 2), atol=1e-6)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_the_error_falls_with_the_solvers_order(solver, order):
    """The exact flow of normal data takes noise x to STD x."""
    flow, start = FlowMatching(), torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    errors = []
    for steps in (20, 40, 80):
        *_, state = flow.flow(of_normal_data, start, solver, steps)
        errors.append(float((state.noised - STD * start).abs().max()))
    for more, fewer in zip(errors[1:], errors[:-1], strict=True):
        assert fewer / more == pytest.approx(2**order, rel=0.25)


def test_heuns_steps_get_shorter_towards_the_data():
    """With the true velocity, 25 of them leave next to nothing beside 25 narrow Gaussians; even ones leave a tenth."""
    centers = torch.tensor(TwentyFiveGaussians.centers / TwentyFiveGaussians.scale, dtype=torch.float32)
    std = TwentyFiveGaussians.std / TwentyFiveGaussians.scale

    def velocity(points, times):
        t = times[:, None]
        variance = (1 - t) ** 2 + t**2 * std**2
        apart = points[:, None] - t[..., None] * centers
        shares = torch.softmax(-apart.square().sum(2) / (2 * variance), dim=1)
        data = (shares[..., None] * (centers + (t * std**2 / variance)[..., None] * apart)).sum(1)
        return (data - points) / (1 - t).clamp(min=1e-6)

    start = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    *_, state = FlowMatching().flow(velocity, start, "heun", 25)
    near = torch.cdist(state.noised, centers).min(1).values < 3 * std
    assert float(near.float().mean()) == pytest.approx(stats.chi2.cdf(9, 2), abs=0.02)


def test_the_flow_may_start_in_the_middle():
    states = list(FlowMatching().flow(of_normal_data, torch.randn(3, 2), "euler", 5, start=0.5))
    assert [state.time for state in states] == pytest.approx([0.5, 0.6, 0.7, 0.8, 0.9])


@pytest.mark.parametrize("exact", [True, False])
def test_the_likelihood_of_normal_data_is_the_closed_form(exact):
    """The Jacobian is diagonal, so that every direction of signs gives the divergence itself."""
    data = torch.randn(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * STD
    found = FlowMatching().log_likelihood(of_normal_data, data, exact=exact)
    expected = stats.multivariate_normal.logpdf(data.numpy(), cov=(STD**2).diag().numpy())
    assert found.numpy() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("law", [EightGaussians, TwentyFiveGaussians])
def test_the_likelihood_of_narrow_modes_is_the_closed_form(law):
    """With the velocity that the best network would say: the mean of data - noise over all paths through a point."""
    centers, std = torch.from_numpy(law.centers / law.scale), law.std / law.scale
    random = torch.Generator().manual_seed(0)
    chosen = torch.randint(len(centers), (200,), generator=random)
    data = centers[chosen] + std * torch.randn(200, 2, dtype=torch.float64, generator=random)

    def velocity(points, times):
        times = times[:, None]
        variance = (times * std) ** 2 + (1 - times) ** 2
        away = points[:, None] - times[:, None] * centers
        shares = (-away.square().sum(2) / (2 * variance)).softmax(1)
        ends = centers + (times * std**2 / variance)[:, None] * away, ((1 - times) / variance)[:, None] * away
        return (shares[:, :, None] * (ends[0] - ends[1])).sum(1)

    found = FlowMatching().log_likelihood(velocity, data, exact=True).numpy()
    modes = [stats.multivariate_normal.logpdf(data.numpy(), center, std**2) for center in centers.numpy()]
    expected = logsumexp(modes, axis=0) - math.log(len(centers))
    assert found.mean() == pytest.approx(expected.mean(), abs=3e-3), "no better than the law itself"
    assert found == pytest.approx(expected, abs=0.2)


def test_hutchinsons_directions_belong_to_the_sample_and_are_right_on_average():
    """For a linear velocity whose Jacobian is not diagonal, divergence 0.7."""
    matrix = torch.tensor([[0.5, 1.0], [-0.3, 0.2]])

    def denoise(noised, times):
        return noised @ matrix.T

    data = torch.zeros(4000, 2)
    sources = [torch.Generator().manual_seed(seed) for seed in range(4000)]
    estimates = FlowMatching().log_likelihood(denoise, data, 10, source=sources)
    exact = FlowMatching().log_likelihood(denoise, data[:1], 10, exact=True)
    assert float(estimates.mean()) == pytest.approx(float(exact), abs=0.05)
    assert float(estimates.std()) > 0.1
    alone = FlowMatching().log_likelihood(denoise, data[:1], 10, source=[torch.Generator().manual_seed(7)])
    assert float(alone) == pytest.approx(float(estimates[7]), abs=1e-6)


@pytest.mark.parametrize(
    ("law", "cdf"), [("uniform", stats.uniform.cdf), ("logit_normal", lambda time: stats.norm.cdf(logit(time)))]
)
def test_times_follow_the_law_asked_for(law, cdf):
    times = FlowMatching(law).draw_times(5000, torch.Generator().manual_seed(0))
    assert stats.kstest(times.numpy(), cdf).pvalue > 1e-3


def test_the_network_is_told_times_up_to_a_thousand():
    assert FlowMatching().network_time(torch.tensor([0.0, 0.5, 1.0])).tolist() == [0, 500, 1000]


@pytest.mark.parametrize(
    ("steps", "start", "says"), [(0, 0.0, "1 step or more"), (5, 1.0, "from 0 .noise. to below 1")]
)
def test_no_step_and_no_time_are_refused(steps, start, says):
    with pytest.raises(InputError, match=says):
        next(FlowMatching().flow(of_normal_data, torch.randn(1, 2), "euler", steps, start))
