"""Samplers on laws whose best denoiser and whose flow have a closed form."""

import math

import pytest
import torch

from nnzoo.errors import InputError
from nnzoo.nets.diffusion import Diffusion
from nnzoo.nets.samplers import denoised, guided, slerp

SAMPLERS = ["ddpm", "ddim", "dpm_solver"]


def of_normal_data(diffusion, std):
    """The best denoiser for data N(0, std^2), in terms of the noise."""

    def denoise(noised, times):
        alpha, sigma = diffusion.alpha[times][:, None], diffusion.sigma[times][:, None]
        return sigma / (alpha.square() * std**2 + sigma.square()) * noised

    return denoise


def last(steps):
    return list(steps)[-1].noised


def noise(count=4000, seed=42):
    return torch.randn(count, 1, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2, 3, 10, 20, 100])
def test_every_sampler_ends_on_the_only_data_there_are(sampler, steps):
    """No noise is left, whatever the number of steps: a repeated last level would leave some."""
    diffusion, data = Diffusion(steps=100, prediction="x0"), torch.tensor([0.3, -0.7])
    asked = []

    def denoise(noised, times):
        asked.append(times.tolist())
        return data.expand_as(noised)

    result = last(denoised(diffusion, denoise, torch.randn(3, 2), sampler, steps, eta=0.5))
    assert torch.allclose(result, data.expand(3, 2), atol=1e-6)
    assert len(asked) == steps, "network evaluations"
    assert all(len(set(times)) == 1 for times in asked)
    assert [times[0] for times in asked] == sorted({times[0] for times in asked}, reverse=True)


@pytest.mark.parametrize("clip", [True, False])
def test_ddim_with_eta_1_on_all_steps_is_ddpm_with_the_small_variance(clip):
    diffusion = Diffusion(steps=50, schedule="cosine", variance="fixed_small")
    denoise = of_normal_data(diffusion, 0.4)
    results = [
        last(denoised(diffusion, denoise, noise(), name, eta=eta, clip=clip, source=torch.Generator().manual_seed(3)))
        for name, eta in (("ddpm", 0.0), ("ddim", 1.0))
    ]
    assert torch.allclose(*results, atol=1e-5)


def test_eta_is_the_share_of_the_posteriors_standard_deviation():
    """Where the data are known, nothing else differs between samples that begin with the same noise."""
    diffusion, eta = Diffusion(steps=100, prediction="x0"), 0.5
    start = torch.ones(20_000, 1)
    source = torch.Generator().manual_seed(0)
    states = denoised(diffusion, lambda noised, _: torch.zeros_like(noised), start, "ddim", 4, eta, source)
    first = next(states)
    now, after = diffusion.exact_abar[99], diffusion.exact_abar[66]
    posterior = (1 - after) / (1 - now) * (1 - now / after)
    assert float(first.noised.std()) == pytest.approx(eta * math.sqrt(posterior), rel=0.02)


@pytest.mark.parametrize(
    ("sampler", "steps", "tolerance"), [("ddpm", 1000, 0.03), ("ddim", 1000, 0.01), ("dpm_solver", 50, 0.01)]
)
def test_samples_of_normal_data_have_their_spread(sampler, steps, tolerance):
    diffusion = Diffusion(steps=1000)
    start = noise()
    start = (start - start.mean()) / start.std()
    result = last(denoised(diffusion, of_normal_data(diffusion, 0.5), start, sampler, steps, clip=False))
    assert float(result.std()) == pytest.approx(0.5, rel=tolerance)
    assert float(result.mean()) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("steps", [5, 10, 37])
def test_fewer_steps_of_ddpm_use_the_betas_between_their_times(steps):
    """For N(0, 1) data beta is the exact variance of a step of any length: the spread stays 1 at every time."""
    diffusion = Diffusion(steps=100, variance="fixed_large")
    states = list(denoised(diffusion, of_normal_data(diffusion, 1.0), noise(20_000), "ddpm", steps, clip=False))
    spreads = [float(state.noised.std()) for state in states[:-1]]
    assert spreads == pytest.approx([1] * (steps - 1), abs=0.03)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_dpm_solver_is_of_second_order_and_ahead_of_ddim(schedule):
    """Against the exact flow of normal data, x_0 = std x_T / sqrt(abar std^2 + 1 - abar).

    On the cosine schedule, too, whose log SNR goes to minus infinity: steps even in it would nearly all be spent there.
    """
    diffusion, std = Diffusion(steps=1000, schedule=schedule), 0.5
    abar = float(diffusion.exact_abar[-1])
    start = noise(50)
    exact = std * start / math.sqrt(abar * std**2 + 1 - abar)
    denoise, errors = of_normal_data(diffusion, std), {}
    for name in ("ddim", "dpm_solver"):
        for steps in (10, 20, 40, 80):
            result = last(denoised(diffusion, denoise, start, name, steps, clip=False))
            errors[name, steps] = float((result - exact).abs().max())
        assert errors[name, 10] > errors[name, 20] > errors[name, 40] > errors[name, 80]
    assert errors["dpm_solver", 10] < errors["ddim", 10] / 2
    assert errors["dpm_solver", 20] < errors["ddim", 20] / 4
    assert errors["dpm_solver", 20] / errors["dpm_solver", 80] > 10, "16 for second order"
    assert errors["ddim", 20] / errors["ddim", 80] < 5, "4 for first order"


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_chain_without_data_at_its_end_is_sampled(schedule, sampler):
    diffusion = Diffusion(steps=100, schedule=schedule, prediction="v", zero_terminal_snr=True)

    def denoise(noised, times):
        return 0 * noised  # the best of N(0, 1) data

    result = last(denoised(diffusion, denoise, noise(), sampler, 100, clip=False))
    assert float(result.std()) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("place", "variance"), [(-1.0, "fixed_small"), (1.0, "fixed_large")])
def test_a_learned_variance_reaches_from_the_small_to_the_large_one(place, variance):
    learned, fixed = (Diffusion(steps=40, schedule="cosine", variance=name) for name in ("learned", variance))

    def with_place(noised, times):
        prediction = of_normal_data(learned, 0.4)(noised, times)
        return torch.cat([prediction, torch.full_like(prediction, place)], dim=1)

    results = [
        last(denoised(diffusion, denoise, noise(100), steps=10, source=torch.Generator().manual_seed(0)))
        for diffusion, denoise in ((learned, with_place), (fixed, of_normal_data(fixed, 0.4)))
    ]
    assert torch.allclose(*results, atol=1e-5)


@pytest.mark.parametrize(("sampler", "eta"), [("ddpm", 0.0), ("ddim", 0.7)])
def test_a_sample_depends_on_its_own_noise_alone(sampler, eta):
    diffusion = Diffusion(steps=20, schedule="cosine")

    def draw(seeds):
        sources = [torch.Generator().manual_seed(seed) for seed in seeds]
        start = torch.stack([torch.randn(2, generator=source) for source in sources])
        denoise = of_normal_data(diffusion, 0.5)
        return last(denoised(diffusion, denoise, start, sampler, 10, eta, sources))

    assert torch.allclose(draw([1, 2, 3])[2], draw([3])[0])


def test_estimates_are_clipped_and_the_noise_follows_them():
    diffusion = Diffusion(steps=100, prediction="x0")
    states = list(denoised(diffusion, lambda noised, _: torch.full_like(noised, 5.0), torch.randn(2, 3), "ddim", 5))
    assert all(float(state.estimate.max()) == 1 for state in states)
    level = diffusion.exact_abar[states[0].time]
    start = torch.zeros(1, 1)
    first = next(denoised(diffusion, lambda noised, _: torch.full_like(noised, 5.0), start, "ddim", 5))
    after = diffusion.exact_abar[states[1].time]
    implied = (0 - level.sqrt()) / (1 - level).sqrt()
    assert float(first.noised) == pytest.approx(float(after.sqrt() + (1 - after).sqrt() * implied), rel=1e-5)


def test_denoising_may_start_in_the_middle():
    diffusion = Diffusion(steps=100, prediction="x0")
    states = list(denoised(diffusion, lambda noised, _: noised, torch.randn(2, 3), "ddim", start=30))
    assert [state.time for state in states] == list(range(30, -1, -1))


def test_odd_requests_are_refused():
    diffusion = Diffusion(steps=100)
    with pytest.raises(InputError, match="can take 1 to 100 steps"):
        next(denoised(diffusion, lambda noised, _: noised, noise(2), steps=101))
    with pytest.raises(InputError, match="eta goes from 0"):
        next(denoised(diffusion, lambda noised, _: noised, noise(2), "ddim", eta=2.0))


def test_guidance_is_the_papers_formula():
    conditional, unconditional, weight = torch.randn(3, 2), torch.randn(3, 2), 1.5
    paper = (1 + weight) * conditional - weight * unconditional
    assert torch.allclose(guided(conditional, unconditional, weight + 1), paper)
    assert torch.allclose(guided(conditional, unconditional, 1.0), conditional)
    assert torch.equal(guided(conditional, unconditional, 0.0), unconditional)


def test_slerp_keeps_the_spread_of_noise_where_a_straight_line_halves_it():
    first, second = torch.randn(2, 64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    between = slerp(first, second, torch.tensor([0.0, 0.5, 1.0]))
    assert between.shape == (64, 3, 3, 8, 8)
    assert torch.allclose(between[:, 0], first, atol=1e-5)
    assert torch.allclose(between[:, 2], second, atol=1e-5)
    assert float(between[:, 1].var()) == pytest.approx(1, abs=0.05)
    assert float(((first + second) / 2).var()) == pytest.approx(0.5, abs=0.05)


def test_slerp_of_the_same_noise_is_that_noise():
    first = torch.randn(2, 5)
    assert torch.allclose(slerp(first, first, torch.tensor([0.3])), first[:, None], atol=1e-5)
