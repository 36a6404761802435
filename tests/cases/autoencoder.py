"""The autoencoder in the tests over all families."""

from support.case import AUGMENTED, Case

autoencoder = Case(noiseless=["--model.noise", "none", *AUGMENTED], small={"architecture": "mlp", "hidden": (16, 8)})
