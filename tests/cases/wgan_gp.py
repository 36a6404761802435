"""Adversarial models in the tests over all families."""

from unittest import mock

import torch

from nnzoo import WGANGP
from support.case import AUGMENTED, Case

SGD = ["--model.optimizer", "sgd", "--model.lr", "0.002"]


class NoiselessWGANGP(WGANGP):
    """A generator that draws from one noise, and points in the middle for the penalty."""

    def draw(self, count, labels, source=None):
        steps = torch.linspace(-1, 1, self.hparams["latent_dim"], device=self.device)
        return self.generator(steps.expand(count, -1), labels)

    def critic_terms(self, *args):
        with mock.patch("nnzoo.modules.wgan_gp.uniform", lambda shape, like, *_: like.new_full(shape, 0.5)):
            return super().critic_terms(*args)


wgan_gp = Case(
    tied={"training_images"},  # real ones, as good as a model can get
    # Adam would forgive processes a gradient of another scale.
    noiseless=["--model", "cases.wgan_gp.NoiselessWGANGP", *AUGMENTED, *("--model.n_critic", "2"), *SGD],
    quicker={"channels": 4, "n_critic": 2},
    small={"channels": 4, "n_critic": 2, "hidden": (8,), "latent_dim": 4},
    other_values={
        "critic_lr": [0.01, 0.02],
        "betas": [(0.5, 0.9), (0.5, 0.99)],
        "labels": [[3], [1, 2]],
        "num_images": [3, 5],
        "critic_norm": ["layer", "instance"],
    },
    flags=["--trainer.strategy", "ddp_find_unused_parameters_true"],
)
