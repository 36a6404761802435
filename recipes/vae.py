"""Variational autoencoder on handwritten digits.

Paper: Kingma & Welling 2013, arXiv:1312.6114; the digits' likelihood is the discretised logistic of arXiv:1606.04934.

    python -m nnzoo.recipes.vae
    python -m nnzoo.recipes.vae --config vae_mnist
"""

from nnzoo.cli import ZooCLI
from nnzoo.data.image import ImageDataModule
from nnzoo.errors import run_main
from nnzoo.modules.vae import VAE


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return ZooCLI(VAE, ImageDataModule, recipe="vae", args=args).metrics


if __name__ == "__main__":
    run_main(main)
