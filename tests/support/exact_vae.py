"""VAEs of linear Gaussian data, whose likelihood and posterior are known in closed form."""

import math

import numpy as np
import torch
from scipy import stats
from torch import nn

from nnzoo.modules.vae import VAE

# p(z) = N(0, I), p(x|z) = N(W z + b, s^2 I). The columns of W are orthogonal, so p(z|x) has a diagonal covariance.
W = 0.1 * np.array([[0.8, -0.3], [0.6, 0.4], [0.0, 1.0]])
B = np.array([[0.45, 0.50, 0.55], [0.60, 0.35, 0.50]])
S = 0.05
LEVELS = 10**6 + 1
VARIANCE = 1 / (1 + (W**2).sum(axis=0) / S**2)
MARGINAL = W @ W.T + S**2 * np.eye(3)


def exact_log_likelihood(images, labels=None):
    labels = np.zeros(len(images), dtype=int) if labels is None else labels.numpy()
    marginals = [stats.multivariate_normal(b, MARGINAL) for b in B]
    return np.array([marginals[y].logpdf(x) for x, y in zip(images.flatten(1).numpy(), labels, strict=True)])


class Posterior(nn.Module):
    """The exact posterior, its means shifted and its variances scaled by the given amounts."""

    def __init__(self, shift, factor):
        super().__init__()
        self.shift, self.factor = shift, factor

    def forward(self, images, labels=None):
        offset = torch.from_numpy(B)[0 if labels is None else labels]
        mean = (images.flatten(1) - offset) @ torch.from_numpy(W * VARIANCE / S**2)
        log_var = torch.from_numpy(np.log(self.factor * VARIANCE)).expand_as(mean)
        return torch.cat([mean + self.shift * torch.from_numpy(VARIANCE).sqrt(), log_var], dim=1)


class LinearGaussian(nn.Module):
    def __init__(self):
        super().__init__()
        self.rows = []

    def forward(self, codes, labels=None):
        self.rows.append(len(codes))
        offset = torch.from_numpy(B)[0 if labels is None else labels]
        location = codes.double() @ torch.from_numpy(W).T + offset
        return torch.stack([location - 0.5, torch.full_like(location, math.log(S) + 1)], dim=1).unsqueeze(2)


class ExactVAE(VAE):
    """A VAE whose likelihood is known in closed form, with the exact posterior as its encoder."""

    shift, factor = 0.0, 1.0

    def build_encoder(self):
        return Posterior(self.shift, self.factor)

    def build_decoder(self):
        return LinearGaussian()


class ShiftedVAE(ExactVAE):
    shift, factor = 0.5, 1.5


def exact(kind=ExactVAE, **settings):
    defaults = {"in_shape": (1, 1, 3), "latent_dim": 2, "levels": LEVELS, "likelihood": "gaussian"}
    return kind(**{**defaults, **settings}).eval()


def linear_gaussian_images(count, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.multivariate_normal(B[0], MARGINAL, size=count).clip(0, 1)
    return torch.from_numpy(images).view(count, 1, 1, 3)
