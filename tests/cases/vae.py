"""The VAE in the tests over all families."""

from unittest import mock

from nnzoo import VAE
from support.case import AUGMENTED, Case
from support.user_files import write_images


class NoiselessVAE(VAE):
    """A VAE whose loss is deterministic: the code is the posterior's mean."""

    def loss_terms(self, *args, **kwargs):
        with mock.patch("nnzoo.modules.vae.reparameterize", lambda mean, *_: mean[None]):
            return super().loss_terms(*args, **kwargs)


vae_mnist = Case(quicker={"num_nll_samples": 10})
vae = Case(
    noiseless=["--model", "cases.vae.NoiselessVAE", *AUGMENTED],
    quicker=vae_mnist.quicker,
    other_values={"max_nll_values": [1]},
    small={"architecture": "mlp", "hidden": (16, 8)},
    files=write_images,
)
