"""Denoising diffusion without a network: noise, what is predicted, losses and the bound on the likelihood."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError
from nnzoo.nets.noise import Source, normal, uniform
from nnzoo.nets.noise_schedule import ScheduleName, noise_schedule
from nnzoo.nets.precision import at_least_float32

Prediction = Literal["eps", "x0", "v"]
Variance = Literal["fixed_small", "fixed_large", "learned"]
Weighting = Literal["simple", "eps", "min_snr"]
Denoiser = Callable[[Tensor, Tensor], Tensor]
"""From noised data (B, ...) and times (B,) to the network's output (B, ...), variances beside it if learned."""

MAX_SNR = 5.0
"""Where min-SNR cuts the weight of times with little noise."""

VLB_FACTOR = 1e-3
"""Factor on the bound in the hybrid loss."""


class Diffusion(nn.Module):
    """A chain of T noising steps and its reverse (Ho et al. 2020, arXiv:2006.11239).

    q(x_t | x_0) = N(a_t x_0, s_t^2 I) with a_t = sqrt(abar_t) and s_t = sqrt(1 - abar_t); time 0 is one step of noise.
    Data lie in [-1, 1] if they have grey levels. Constants are computed in float64 and kept in float32.

    Args:
        steps: T.
        schedule: linear | cosine.
        prediction: What the network's output means: eps (the noise) | x0 (the data) | v = a_t eps - s_t x_0
            (Salimans & Ho 2022, arXiv:2202.00512).
        variance: Of a reverse step: fixed_small (the posterior's) | fixed_large (beta) | learned (between both, by a
            second output per channel; Nichol & Dhariwal 2021, arXiv:2102.09672).
        weighting: Of the squared error of the prediction: simple (1) | eps (so that each prediction has the loss of
            eps: 1, SNR or SNR / (SNR + 1)) | min_snr (that, cut at SNR 5; Hang et al. 2023, arXiv:2303.09556).
        zero_terminal_snr: No data left at the last time (arXiv:2305.08891); needs x0 or v.
        levels: Number of grey levels of the data, for the likelihood; None if they are continuous.

    Raises:
        InputError: If settings do not go together.
    """

    abar: Tensor
    alpha: Tensor
    sigma: Tensor
    snr: Tensor
    mean_of_x0: Tensor
    mean_of_xt: Tensor
    log_small: Tensor
    log_large: Tensor

    def __init__(
        self,
        steps: int = 1000,
        schedule: ScheduleName = "linear",
        prediction: Prediction = "eps",
        variance: Variance = "fixed_large",
        weighting: Weighting = "simple",
        zero_terminal_snr: bool = False,
        levels: int | None = 256,
    ) -> None:
        super().__init__()
        if zero_terminal_snr and prediction == "eps":
            raise InputError("Where no data are left the noise says nothing of them: zero_terminal_snr needs x0 or v.")
        self.steps, self.prediction, self.variance, self.weighting = steps, prediction, variance, weighting
        self.levels = levels
        self.exact_abar = noise_schedule(schedule, steps, zero_terminal_snr)
        """abar (T,) in float64, for samplers, whose steps are differences of these."""
        abar, before = self.exact_abar, torch.cat([torch.ones(1, dtype=torch.float64), self.exact_abar[:-1]])
        betas = 1 - abar / before
        small = betas * (1 - before) / (1 - abar)
        small[0] = small[1]  # it would be 0, of which there is no logarithm
        large = torch.cat([small[:1], betas[1:]])
        constants = {
            "abar": abar,
            "alpha": abar.sqrt(),
            "sigma": (1 - abar).sqrt(),
            "snr": abar / (1 - abar),
            "mean_of_x0": betas * before.sqrt() / (1 - abar),
            "mean_of_xt": (1 - before) * (1 - betas).sqrt() / (1 - abar),
            "log_small": small.log(),
            "log_large": large.log(),
        }
        for name, values in constants.items():
            self.register_buffer(name, values.float(), persistent=False)

    @property
    def outputs_per_channel(self) -> int:
        """Values that the network gives for each value of the data."""
        return 2 if self.variance == "learned" else 1

    def draw_times(self, count: int, source: Source = None) -> Tensor:
        """Uniform times (count,) in 0 .. T - 1."""
        return (self.steps * uniform((count,), self.alpha, source)).long().clamp(max=self.steps - 1)

    def network_time(self, times: Tensor) -> Tensor:
        """What the network is told of times (B,): 0 to 1,000, whatever T."""
        return times.to(self.abar.dtype) * (1000 / self.steps)

    def noised(self, data: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """A draw from q(x_t | x_0)."""
        return at(self.alpha, times, data) * data + at(self.sigma, times, data) * noise

    def target(self, data: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """What the network should say."""
        if self.prediction == "v":
            return at(self.alpha, times, data) * noise - at(self.sigma, times, data) * data
        return noise if self.prediction == "eps" else data

    def data_and_noise(self, noised: Tensor, times: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
        """The estimates of x_0 and of the noise that an output (without variances) means."""
        alpha, sigma = at(self.alpha, times, noised), at(self.sigma, times, noised)
        if self.prediction == "eps":
            return (noised - sigma * output) / alpha, output
        if self.prediction == "x0":
            return output, (noised - alpha * output) / sigma
        return alpha * noised - sigma * output, sigma * noised + alpha * output

    def split(self, output: Tensor) -> tuple[Tensor, Tensor | None]:
        """A network's output as prediction and, if it is learned, where the variance lies: -1 (small) to 1 (large)."""
        if self.variance != "learned":
            return output, None
        prediction, place = output.chunk(2, dim=1)
        return prediction, place

    def weights(self, times: Tensor) -> Tensor:
        """Factors (B,) on the squared error of the prediction."""
        snr = self.snr[times]
        if self.weighting == "simple":
            return torch.ones_like(snr)
        eps = {"eps": torch.ones_like(snr), "x0": snr, "v": snr / (snr + 1)}[self.prediction]
        return eps if self.weighting == "eps" else eps * (MAX_SNR / snr).clamp(max=1)

    def losses(self, output: Tensor, data: Tensor, times: Tensor, noise: Tensor) -> Tensor:
        """Loss of each sample (B,): the weighted squared error, averaged over the data's dimensions.

        With a learned variance 0.001 times the bound is added (the hybrid loss), from which the mean learns nothing: an
        estimate of the sum over all times, in bits per dimension and scaled by 1 / 1,000 as in the paper's code.
        """
        prediction, place = self.split(at_least_float32(output))
        error = (prediction - self.target(data, times, noise)).square().flatten(1).mean(1)
        losses = self.weights(times) * error
        if place is None:
            return losses
        frozen = torch.cat([prediction.detach(), place], dim=1)
        bound = self.bound_terms(frozen, data, self.noised(data, times, noise), times)
        return losses + VLB_FACTOR * self.steps * bound / (data[0].numel() * math.log(2))

    def log_variance(self, times: Tensor, place: Tensor | None, like: Tensor) -> Tensor:
        """Of the reverse step from each time, one that broadcasts over ``like`` (B, ...)."""
        small, large = at(self.log_small, times, like), at(self.log_large, times, like)
        if place is None:
            return small if self.variance == "fixed_small" else large
        share = (place + 1) / 2
        return share * large + (1 - share) * small

    def bound_terms(self, output: Tensor, data: Tensor, noised: Tensor, times: Tensor, clip: bool = False) -> Tensor:
        """A time's term of the bound on -log p(x_0) for each sample (B,), in nats, summed over its dimensions.

        KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)) at t > 0 and -log p(x_0 | x_1) at 0, of the grey level where
        there are levels.

        Args:
            output: The network's, with variances if they are learned.
            data: x_0.
            noised: x_t.
            times: t (B,).
            clip: Clip the estimate of x_0 to [-1, 1], as samplers do; not in training.
        """
        prediction, place = self.split(at_least_float32(output))
        estimate = self.data_and_noise(noised, times, prediction)[0]
        estimate = estimate.clamp(-1, 1) if clip else estimate
        of_x0, of_xt = at(self.mean_of_x0, times, data), at(self.mean_of_xt, times, data)
        log_variance = self.log_variance(times, place, data).expand_as(data)
        error = of_x0 * (estimate - data)  # of the means: x_t counts the same in both
        log_true = at(self.log_small, times, data)
        log_ratio = log_true - log_variance
        kl = 0.5 * (log_ratio.exp() - 1 - log_ratio + error.square() * (-log_variance).exp())
        decoded = -log_prob_of_data(data, of_x0 * estimate + of_xt * noised, log_variance, self.levels)
        return torch.where(spread(times, data) == 0, decoded, kl).flatten(1).sum(1)

    def prior_kl(self, data: Tensor) -> Tensor:
        """KL(q(x_T | x_0) || N(0, I)) of each sample (B,), in nats."""
        mean, variance = self.alpha[-1] * data, 1 - self.abar[-1]
        return 0.5 * (mean.square() + variance - 1 - variance.log()).flatten(1).sum(1)

    @torch.no_grad()
    def nll_terms(self, denoise: Denoiser, data: Tensor, source: Source = None, clip: bool = True) -> Tensor:
        """The bound on -log p(x_0) term by term (B, T + 1), in nats: times 0 to T - 1, then the prior's.

        Each time has one draw of noise; their sum is an unbiased estimate of the bound.

        Args:
            denoise: The network.
            data: x_0 (B, ...), exact grey levels in [-1, 1] where there are levels.
            source: Of the noise.
            clip: Clip the estimates of x_0, as samplers do.
        """
        terms = []
        for time in range(self.steps):
            times = torch.full((len(data),), time, device=data.device)
            noised = self.noised(data, times, normal(data.shape, data, source))
            terms.append(self.bound_terms(denoise(noised, times), data, noised, times, clip))
        return torch.stack([*terms, self.prior_kl(data)], dim=1)


def spread(values: Tensor, like: Tensor) -> Tensor:
    """A value per sample (B,), so that it broadcasts over data (B, ...)."""
    return values.view(-1, *[1] * (like.dim() - 1))


def at(values: Tensor, times: Tensor, like: Tensor) -> Tensor:
    """The value at each sample's time, so that it broadcasts over data (B, ...)."""
    return spread(values[times], like)


def log_prob_of_data(data: Tensor, mean: Tensor, log_variance: Tensor, levels: int | None) -> Tensor:
    """Log-probability of each value under a normal distribution, in nats: of its grey level, or its density.

    Levels are ``levels`` points from -1 to 1; the outermost reach to infinity, so that probabilities sum to 1.
    """
    inverse_std = (-0.5 * log_variance).exp()
    if levels is None:
        return -0.5 * (((data - mean) * inverse_std).square() + log_variance + math.log(2 * math.pi))
    half = 1 / (levels - 1)
    distance = (data - mean).abs()  # by symmetry in the left tail, where the logarithm is accurate
    upper = torch.special.log_ndtr((half - distance) * inverse_std)
    lower = torch.special.log_ndtr((-half - distance) * inverse_std)
    inside = upper + torch.log(-torch.expm1((lower - upper).clamp(max=-1e-7)))
    lowest = torch.special.log_ndtr((data + half - mean) * inverse_std)
    highest = torch.special.log_ndtr((mean - data + half) * inverse_std)
    return torch.where(data < -1 + half, lowest, torch.where(data > 1 - half, highest, inside))
