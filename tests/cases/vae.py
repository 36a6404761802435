"""The VAE in the tests over all families."""

from support.case import AUGMENTED, Case

vae = Case(
    noiseless=["--model", "support.helpers.NoiselessVAE", *AUGMENTED], small={"architecture": "mlp", "hidden": (16, 8)}
)
