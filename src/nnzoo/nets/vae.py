"""The mathematics of variational autoencoders: KL divergence, free bits, importance weights."""

import math

import torch
from torch import Tensor

from nnzoo.nets.noise import Source, normal

LOG_VAR_RANGE = (-12.0, 8.0)
"""Log-variances of the posterior are clamped to this range, so that a wild first step cannot overflow exp."""


def reparameterize(mean: Tensor, log_var: Tensor, num_samples: int, generator: Source = None) -> Tensor:
    """Draws z = mean + exp(log_var / 2) * noise (Kingma & Welling 2013, arXiv:1312.6114).

    Args:
        mean: Posterior means (B, L).
        log_var: Posterior log-variances (B, L).
        num_samples: Draws per image, K.
        generator: Source of the noise; the global one if None.

    Returns:
        Codes (K, B, L).
    """
    noise = normal((num_samples, *mean.shape), mean, generator, dim=1)
    return mean + (0.5 * log_var).exp() * noise


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, exp(log_var)) || N(0, 1)) per latent dimension: (B, L), in nats."""
    return 0.5 * (mean.square() + log_var.exp() - log_var - 1)


def apply_free_bits(kl: Tensor, free_bits: float) -> Tensor:
    """Sums the KL over latent dimensions, counting at least ``free_bits`` nats for each (arXiv:1606.04934).

    The paper takes the maximum over batch means; here it is taken per sample, so that the loss of a sample does not
    depend on its batch.

    Args:
        kl: KL per latent dimension (B, L).
        free_bits: Nats per dimension below which the KL is not reduced further.

    Returns:
        KL per sample (B,).
    """
    return kl.clamp(min=free_bits).sum(dim=1)


def log_standard_normal(codes: Tensor) -> Tensor:
    """Log N(z; 0, I), summed over the last dimension."""
    return (-0.5 * codes.square() - 0.5 * math.log(2 * math.pi)).sum(dim=-1)


def log_posterior(codes: Tensor, mean: Tensor, log_var: Tensor) -> Tensor:
    """Log N(z; mean, exp(log_var)), summed over the last dimension."""
    log_density = -0.5 * (codes - mean).square() * (-log_var).exp() - 0.5 * log_var - 0.5 * math.log(2 * math.pi)
    return log_density.sum(dim=-1)


def importance_bound(log_weights: Tensor) -> Tensor:
    """The IWAE bound log (1/K) sum_k w_k from log-weights (K, B): (B,), in nats (Burda et al., arXiv:1509.00519)."""
    return torch.logsumexp(log_weights, dim=0) - math.log(log_weights.shape[0])


def elbo_terms(log_px: Tensor, kl: Tensor, alpha: float, beta: float, free_bits: float) -> dict[str, Tensor]:
    """The weighted negative ELBO and its parts, per sample.

    loss = alpha * reconstruction + beta * KL, counted by :func:`apply_free_bits`; "elbo" has neither factor.

    Args:
        log_px: log p(x|z) of one code per image (B,).
        kl: KL per latent dimension (B, L).
        alpha: Factor on the reconstruction term.
        beta: Factor on the KL term.
        free_bits: Nats per latent dimension that are not reduced further.
    """
    total = kl.sum(dim=1)
    loss = -alpha * log_px + beta * (apply_free_bits(kl, free_bits) if free_bits else total)
    return {"loss": loss, "reconstruction": -log_px, "kl": total, "elbo": log_px - total}


def iwae_terms(log_px: Tensor, log_ratio: Tensor, kl: Tensor, alpha: float, beta: float) -> dict[str, Tensor]:
    """The weighted negative importance-weighted bound, and the ELBO of the same codes with its parts, per sample.

    Args:
        log_px: log p(x|z) of K codes per image (K, B).
        log_ratio: log p(z) - log q(z|x) of the same codes (K, B).
        kl: KL per latent dimension (B, L), for the ELBO.
        alpha: Factor on log p(x|z).
        beta: Factor on log p(z) - log q(z|x).
    """
    loss = -importance_bound(alpha * log_px + beta * log_ratio)
    reconstruction, total = -log_px.mean(dim=0), kl.sum(dim=1)
    return {"loss": loss, "reconstruction": reconstruction, "kl": total, "elbo": -reconstruction - total}
