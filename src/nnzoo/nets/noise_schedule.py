"""How noise is added step by step: linear and cosine schedules, in float64."""

import math
from typing import Literal

import torch
from torch import Tensor

from nnzoo.errors import InputError

ScheduleName = Literal["linear", "cosine"]

Spacing = Literal["uniform", "log_snr"]

MIN_LOG_SNR = -5.0
"""Where steps even in log SNR begin: it goes to minus infinity at the end of some chains."""

MAX_BETA = 0.999
"""Largest share of noise in a step of the cosine schedule, which would reach 1."""


def noise_schedule(name: ScheduleName, steps: int, zero_terminal_snr: bool = False) -> Tensor:
    """The share of the data's variance that is left after each step, abar (T,), in float64.

    Index 0 is one step of noise, abar_t = prod_{s <= t} (1 - beta_s).

    Args:
        name: linear (Ho et al. 2020, arXiv:2006.11239: beta from 1e-4 to 0.02, times 1,000 / T) |
            cosine (Nichol & Dhariwal 2021, arXiv:2102.09672, with s = 0.008).
        steps: T.
        zero_terminal_snr: Shift and scale sqrt(abar) so that nothing of the data is left after the last step (Lin et
            al. 2023, arXiv:2305.08891).

    Raises:
        InputError: If there are too few steps for the schedule.
    """
    fewest = 21 if name == "linear" else 2
    if steps < fewest:
        instead = "" if name == "cosine" else ", or take the cosine schedule"
        raise InputError(f"A {name} schedule needs {fewest} steps or more, got {steps}{instead}.")
    betas = linear_betas(steps) if name == "linear" else cosine_betas(steps)
    abar = (1 - betas).cumprod(0)
    if zero_terminal_snr:
        root = abar.sqrt()
        abar = ((root - root[-1]) * root[0] / (root[0] - root[-1])).square()
    return abar


def linear_betas(steps: int) -> Tensor:
    """Variances of the steps' noise (T,), rising linearly; their sum is the same for every T."""
    scale = 1000 / steps
    return torch.linspace(1e-4 * scale, 0.02 * scale, steps, dtype=torch.float64)


def cosine_betas(steps: int, offset: float = 0.008) -> Tensor:
    """Variances of the steps' noise (T,) with abar(t) = f(t) / f(0), f(t) = cos^2(pi / 2 (t / T + s) / (1 + s))."""
    times = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    abar = ((times + offset) / (1 + offset) * math.pi / 2).cos().square()  # f(0) cancels in the ratio
    return (1 - abar[1:] / abar[:-1]).clamp(max=MAX_BETA)


def timeline(abar: Tensor, steps: int, start: int | None = None, spacing: Spacing = "uniform") -> list[int]:
    """Times at which a sampler asks the network: ``steps`` different ones, from the last down to 0.

    Args:
        abar: The chain's schedule (T,).
        steps: Network evaluations.
        start: The first time; T - 1 if None.
        spacing: uniform (in time) | log_snr (uniform in log(a_t / s_t), as far as times are whole numbers; from -5 on,
            below which there is next to no signal), which solvers of higher order need.

    Raises:
        InputError: If there are not that many times.
    """
    start = len(abar) - 1 if start is None else start
    if not 0 <= start < len(abar):
        raise InputError(f"Sampling starts at a time in 0 to {len(abar) - 1}, got {start}.")
    if not 1 <= steps <= start + 1:
        raise InputError(f"A sampler can take 1 to {start + 1} steps here, got {steps}.")
    if steps == 1:
        return [start]
    if spacing == "uniform":  # in whole numbers: rounding would give some times twice
        return [start - number * start // (steps - 1) for number in range(steps)]
    log_snr = (0.5 * torch.logit(abar[: start + 1])).clamp(min=MIN_LOG_SNR)
    wanted = torch.linspace(float(log_snr[start]), float(log_snr[0]), steps, dtype=abar.dtype)
    times = (log_snr[:, None] - wanted).abs().argmin(0)
    times[0] = start
    # Each at least one above the next, where there are more steps than times to their taste, and none above its place.
    left = torch.arange(steps - 1, -1, -1)
    times = (times - left).flip(0).cummax(0).values.flip(0) + left
    return torch.minimum(times, start - left.flip(0)).tolist()
