"""From noise to data along a trained chain: DDPM's own steps, DDIM, and DPM-Solver++ of second order."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from nnzoo.errors import InputError
from nnzoo.nets.diffusion import Denoiser, Diffusion
from nnzoo.nets.noise import Source, normal
from nnzoo.nets.noise_schedule import Spacing, timeline
from nnzoo.nets.precision import at_least_float32

SamplerName = Literal["ddpm", "ddim", "dpm_solver"]


class Step(NamedTuple):
    """A sampler's state after a network evaluation: what it asked of, what it has now, and the data it sees in it."""

    time: float
    noised: Tensor
    estimate: Tensor


@dataclass(frozen=True)
class Level:
    """The noise at a time of the chain, in double precision."""

    abar: float

    @property
    def alpha(self) -> float:
        """Factor on the data."""
        return math.sqrt(self.abar)

    @property
    def sigma(self) -> float:
        """Standard deviation of the noise."""
        return math.sqrt(1 - self.abar)

    @property
    def log_snr(self) -> float:
        """log(alpha / sigma): from minus infinity (no data) to infinity (no noise)."""
        if self.abar in (0.0, 1.0):
            return math.inf if self.abar else -math.inf
        return 0.5 * math.log(self.abar / (1 - self.abar))


@torch.no_grad()
def denoised(
    diffusion: Diffusion,
    denoise: Denoiser,
    noised: Tensor,
    sampler: SamplerName = "ddpm",
    steps: int | None = None,
    eta: float = 0.0,
    source: Source = None,
    clip: bool = True,
    start: int | None = None,
) -> Iterator[Step]:
    """Takes the noise away step by step: the last of the states holds the data.

    The network is asked exactly ``steps`` times: evenly spaced in time, or in log SNR for dpm_solver. The last step
    ends at no noise at all.

    Args:
        diffusion: The chain that the network was trained on.
        denoise: The network.
        noised: Where to start (B, ...): standard normal noise, or data noised up to ``start``.
        sampler: ddpm (Ho et al. 2020, arXiv:2006.11239; over fewer steps with the betas of those) | ddim (Song et al.
            2020, arXiv:2010.02502) | dpm_solver (DPM-Solver++ 2M, Lu et al. 2022, arXiv:2211.01095).
        steps: Network evaluations; every time of the chain if None.
        eta: Noise of ddim: 0 is deterministic, 1 has the variance of DDPM's posterior.
        source: Of the noise that ddpm, and ddim with an eta, add.
        clip: Clip estimates of the data to [-1, 1].
        start: The time of ``noised``; the chain's last if None.

    Raises:
        InputError: If the chain does not have that many times, or eta lies out of 0 to 1.
    """
    if not 0 <= eta <= 1:
        raise InputError(f"eta goes from 0 (deterministic) to 1 (as noisy as DDPM), got {eta}.")
    last = diffusion.steps - 1 if start is None else start
    spacing: Spacing = "log_snr" if sampler == "dpm_solver" else "uniform"
    times = timeline(diffusion.exact_abar, last + 1 if steps is None else steps, last, spacing)
    levels = [Level(float(diffusion.exact_abar[time])) for time in times]
    before: tuple[Level, Tensor] | None = None
    for number, (time, level) in enumerate(zip(times, levels, strict=True)):
        after = levels[number + 1] if number + 1 < len(times) else Level(1.0)
        now = torch.full((len(noised),), time, device=noised.device)
        prediction, place = diffusion.split(at_least_float32(denoise(noised, now)))
        estimate, noise = diffusion.data_and_noise(noised, now, prediction)
        if clip:
            estimate = estimate.clamp(-1, 1)
            noise = (noised - level.alpha * estimate) / level.sigma
        if sampler == "ddpm":
            noised = ancestral_step(diffusion, noised, estimate, place, level, after, source)
        elif sampler == "ddim":
            noised = ddim_step(noised, estimate, noise, level, after, eta, source)
        else:
            noised = dpm_solver_step(noised, estimate, level, after, before)
        before = (level, estimate)
        yield Step(time, noised, estimate)


def check_steps(steps: int, start: float) -> None:
    """Raises InputError if a path of continuous time has no step, or no time to go."""
    if steps < 1:
        raise InputError(f"A sampler takes 1 step or more, got {steps}.")
    if not 0 <= start < 1:
        raise InputError(f"Sampling starts at a time from 0 (noise) to below 1 (data), got {start}.")


def ancestral_step(
    diffusion: Diffusion,
    noised: Tensor,
    estimate: Tensor,
    place: Tensor | None,
    level: Level,
    after: Level,
    source: Source,
) -> Tensor:
    """A draw from p(x_s | x_t): the posterior's mean and the chain's variance, with the beta between the two times."""
    beta = 1 - level.abar / after.abar
    mean = beta * after.alpha / (1 - level.abar) * estimate
    mean = mean + (1 - after.abar) * math.sqrt(1 - beta) / (1 - level.abar) * noised
    if after.abar == 1:
        return mean
    small, large = math.log(beta * (1 - after.abar) / (1 - level.abar)), math.log(beta)
    noise = normal(noised.shape, noised, source)
    if place is not None:
        share = (place + 1) / 2
        return mean + (0.5 * (share * large + (1 - share) * small)).exp() * noise
    return mean + math.exp(0.5 * (small if diffusion.variance == "fixed_small" else large)) * noise


def ddim_step(
    noised: Tensor, estimate: Tensor, noise: Tensor, level: Level, after: Level, eta: float, source: Source
) -> Tensor:
    """x_s = a_s x_0 + sqrt(1 - abar_s - d^2) eps + d z with d = eta times the standard deviation of the posterior."""
    variance = eta**2 * (1 - after.abar) / (1 - level.abar) * (1 - level.abar / after.abar)
    moved = after.alpha * estimate + math.sqrt(max(0.0, 1 - after.abar - variance)) * noise
    return moved + math.sqrt(variance) * normal(noised.shape, noised, source) if variance else moved


def dpm_solver_step(
    noised: Tensor, estimate: Tensor, level: Level, after: Level, before: tuple[Level, Tensor] | None
) -> Tensor:
    """x_s = (s_s / s_t) x_t + (a_s - s_s a_t / s_t) D, D extrapolated from the estimates here and one step before.

    The first step has none before it, and the last goes to no noise, where log SNR is infinite: both take D = x_0.
    """
    direction = estimate
    if before is not None and after.abar < 1:
        earlier, previous = before
        width = after.log_snr - level.log_snr
        direction = estimate + 0.5 * width / (level.log_snr - earlier.log_snr) * (estimate - previous)
    ratio = after.sigma / level.sigma
    return ratio * noised + (after.alpha - ratio * level.alpha) * direction


def guided(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598): u + scale (c - u).

    A scale of 0 is unconditional, 1 conditional; it is w + 1 of the paper, whose formula is (1 + w) c - w u. As the
    factors sum to 1, it is the same for predictions of eps, x0 and v.
    """
    return unconditional + scale * (conditional - unconditional)


def slerp(first: Tensor, second: Tensor, shares: Tensor) -> Tensor:
    """Noise between two batches (B, ...) on the great circle, whose norm stays that of noise: (B, steps, ...).

    A straight line between independent noises has half their variance in its middle.

    Args:
        first: Noise at share 0.
        second: Noise at share 1.
        shares: Where in between (steps,).
    """
    flat, other = first.flatten(1), second.flatten(1)
    cosine = (flat * other).sum(1) / (flat.norm(dim=1) * other.norm(dim=1))
    angle = cosine.clamp(-1, 1).acos().clamp(min=1e-4)[:, None, None]
    shares = shares.to(first)[None, :, None]
    between = ((1 - shares) * angle).sin() * flat[:, None] + (shares * angle).sin() * other[:, None]
    return (between / angle.sin()).unflatten(2, first.shape[1:])
