"""Denoising autoencoder on handwritten digits.

Paper: Vincent et al. 2010, JMLR 11:3371 (stacked denoising autoencoders; here one is trained end to end).

    python -m nnzoo.recipes.autoencoder
    python -m nnzoo.recipes.autoencoder --config autoencoder_mnist

PSNR of the denoised test images, Gaussian noise of standard deviation 0.3: digits 17.13 dB (five seeds, standard
deviation 0.021), where the noisy image has 12.77 dB and a PCA of the same size 15.66; MNIST 20.56 dB (three seeds,
0.046), against 13.31 and 17.50. The README has the times and the hardware.
"""

from nnzoo.data.images.module import ImageDataModule
from nnzoo.errors import run_main
from nnzoo.modules.autoencoder import Autoencoder
from nnzoo.run.recipe import run_recipe


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(Autoencoder, ImageDataModule, recipe="autoencoder", args=args)


if __name__ == "__main__":
    run_main(main)
