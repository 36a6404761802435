"""Small VAEs, images that suit their likelihoods, and noise that is fixed."""

import torch
from torch.distributions import Normal

import nnzoo.modules.vae as vae_module
from nnzoo.modules.vae import VAE

SMALL = {"in_shape": (2, 3, 4), "levels": 17, "latent_dim": 3, "hidden": (6,), "num_nll_samples": 5}
LIKELIHOODS = ["bernoulli", "gaussian", "discretized_logistic"]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images_for(likelihood, count=4):
    levels = 2 if likelihood == "bernoulli" else 17
    return torch.randint(levels, (count, 2, 3, 4)) / (levels - 1)


def small(likelihood="discretized_logistic", **settings):
    torch.manual_seed(1)
    return VAE(**{**SMALL, "likelihood": likelihood, **settings})


def fix_noise(monkeypatch):
    """Replaces the posterior's draws by fixed quantiles, so that a sample's loss is a function of the sample."""

    def quantiles(mean, log_var, num_samples, generator=None):
        steps = (torch.arange(num_samples) + 0.7) / (num_samples + 0.6)
        return mean + (log_var / 2).exp() * Normal(0, 1).icdf(steps).to(mean).view(-1, 1, 1)

    monkeypatch.setattr(vae_module, "reparameterize", quantiles)
    return quantiles
