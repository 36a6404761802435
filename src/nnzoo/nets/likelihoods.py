"""Likelihoods p(x | z) of images: what a decoder's output means, with every constant.

All take images scaled to [0, 1] with shape (..., C, H, W) and a decoder's ``params`` with ``params_per_channel * C``
channels; log-probabilities are summed over C, H and W, in nats.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nnzoo.nets.precision import at_least_float32

LikelihoodName = Literal["bernoulli", "gaussian", "discretized_logistic"]


class Bernoulli:
    """Bernoulli likelihood of binary images; ``params`` are logits.

    log p(x) = sum_d x_d log s(l_d) + (1 - x_d) log(1 - s(l_d)), for x in {0, 1}. Grey values would give a number that
    is not a likelihood, so binarise them first.
    """

    params_per_channel = 1
    is_density = False

    def log_prob(self, images: Tensor, params: Tensor) -> Tensor:
        """Log-probability of ``images`` (..., C, H, W): shape (...), in nats."""
        params = at_least_float32(params)
        images = images.to(params.dtype).expand_as(params)
        return -F.binary_cross_entropy_with_logits(params, images, reduction="none").flatten(-3).sum(-1)

    def mean(self, params: Tensor) -> Tensor:
        """Expected image: the probability of a 1."""
        return torch.sigmoid(at_least_float32(params))

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw from the likelihood."""
        return torch.bernoulli(torch.sigmoid(params), generator=generator)


class _LocationScale:
    """Location and log-scale per pixel, from a decoder with two channels per image channel.

    Args:
        levels: Number of grey levels of the data: images are k / (levels - 1), k = 0 .. levels - 1.
    """

    params_per_channel = 2

    def __init__(self, levels: int) -> None:
        self.levels = levels
        self.width = 1 / (levels - 1)

    def split(self, params: Tensor) -> tuple[Tensor, Tensor]:
        """Location and scale; the scale is kept above 1 % of a grey level, or constant pixels would drive it to 0."""
        location, log_scale = at_least_float32(params).chunk(2, dim=-3)
        # Starting from 0.5 and a scale of e^-1 keeps the first steps tame.
        return location + 0.5, (log_scale - 1).clamp(math.log(0.01 * self.width), 3).exp()

    def mean(self, params: Tensor) -> Tensor:
        """The image to show: the location, cut to [0, 1] (the mean differs where a tail is cut off)."""
        return self.split(params)[0].clamp(0, 1)


class Gaussian(_LocationScale):
    """Normal likelihood with a learned mean and standard deviation per pixel.

    log p(x) = -sum_d [ (x_d - m_d)^2 / (2 s_d^2) + log s_d + log(2 pi) / 2 ]: a density, so data with discrete levels
    must be dequantised (uniform noise of one level's width) before it means anything in bits.
    """

    is_density = True

    def log_prob(self, images: Tensor, params: Tensor) -> Tensor:
        """Log-density of ``images`` (..., C, H, W): shape (...), in nats."""
        location, scale = self.split(params)
        log_density = -0.5 * ((images - location) / scale) ** 2 - scale.log() - 0.5 * math.log(2 * math.pi)
        return log_density.flatten(-3).sum(-1)

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw from the likelihood, cut to [0, 1]."""
        location, scale = self.split(params)
        noise = torch.empty_like(location).normal_(generator=generator)
        return (location + scale * noise).clamp(0, 1)


class DiscretizedLogistic(_LocationScale):
    """Logistic distribution integrated over each grey level (Kingma et al. 2016, arXiv:1606.04934).

    P(x) = s((x + w/2 - m) / s) - s((x - w/2 - m) / s) with w = 1 / (levels - 1); the first and the last level reach to
    minus and plus infinity, so the probabilities of the levels sum to one.
    """

    is_density = False

    def log_prob(self, images: Tensor, params: Tensor) -> Tensor:
        """Log-probability of ``images`` (..., C, H, W): shape (...), in nats."""
        location, scale = self.split(params)
        upper = (images + self.width / 2 - location) / scale
        lower = (images - self.width / 2 - location) / scale
        below, above = F.logsigmoid(upper), F.logsigmoid(-lower)
        # s(u) - s(l) = s(u) s(-l) (1 - exp(l - u)) needs no clipping, however narrow the level.
        inside = below + above + torch.log(-torch.expm1(-self.width / scale))
        half = self.width / 2
        log_prob = torch.where(images < half, below, torch.where(images > 1 - half, above, inside))
        return log_prob.flatten(-3).sum(-1)

    def sample(self, params: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw from the likelihood: one of the grey levels."""
        location, scale = self.split(params)
        uniform = torch.empty_like(location).uniform_(1e-6, 1 - 1e-6, generator=generator)
        continuous = location + scale * torch.logit(uniform)
        return (continuous.clamp(0, 1) * (self.levels - 1)).round() / (self.levels - 1)


Likelihood = Bernoulli | Gaussian | DiscretizedLogistic


def build_likelihood(name: LikelihoodName, levels: int) -> Likelihood:
    """The likelihood of that name for images with that many grey levels."""
    if name == "bernoulli":
        return Bernoulli()
    return Gaussian(levels) if name == "gaussian" else DiscretizedLogistic(levels)


def bits_per_dim(nll: Tensor, num_dims: int, likelihood: Likelihood) -> Tensor:
    """Converts a negative log-likelihood in nats per image into bits per dimension.

    A density is turned into the probability of a grey level by the level's width:
    bits/dim = (nll / D + log(levels - 1)) / ln 2; a probability needs no such term.
    """
    offset = math.log(likelihood.levels - 1) if isinstance(likelihood, Gaussian) else 0.0
    return (nll / num_dims + offset) / math.log(2)
