"""Denoising diffusion on handwritten digits.

Paper: Ho et al. 2020, arXiv:2006.11239.

    python -m nnzoo.recipes.ddpm
"""

from nnzoo.data.densities.module import DensityDataModule
from nnzoo.data.images.module import ImageDataModule
from nnzoo.errors import run_main
from nnzoo.modules.ddpm import DDPM
from nnzoo.run.recipe import run_recipe

DATA = [ImageDataModule, DensityDataModule]


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(DDPM, DATA, recipe="ddpm", args=args)


if __name__ == "__main__":
    run_main(main)
