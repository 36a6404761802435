"""Variational autoencoder on handwritten digits.

Paper: Kingma & Welling 2013, arXiv:1312.6114; the digits' likelihood is the discretised logistic of arXiv:1606.04934.

    python -m nnzoo.recipes.vae
    python -m nnzoo.recipes.vae --config vae_mnist

Digits: 1.932 bits/dim on the test images (k = 1,000), the mean of five seeds with standard deviation 0.0073; PCA,
kernel density and Gaussian mixture reach 2.97, 3.28 and 2.74. MNIST: 86.97 nats (k = 1,000, one seed) after 70
epochs; the IWAE paper (arXiv:1509.00519) reports 86.76 for two layers of 200 units after 3,280 epochs, with k = 5,000.
The README has the times and the hardware.
"""

from nnzoo.data.images.module import ImageDataModule
from nnzoo.errors import run_main
from nnzoo.modules.vae import VAE
from nnzoo.run.recipe import run_recipe


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(VAE, ImageDataModule, recipe="vae", args=args)


if __name__ == "__main__":
    run_main(main)
