"""Denoising diffusion from text: handwritten digits that look as a prompt says.

Papers: Ho et al. 2020, arXiv:2006.11239; guidance of Ho & Salimans 2022, arXiv:2207.12598; cross-attention as in
Rombach et al. 2021, arXiv:2112.10752.

    python -m nnzoo.recipes.ddpm_text
    python -m nnzoo.recipes.ddpm_text predict --ckpt_path runs/ddpm_text/RUN/best.ckpt --model.prompt "seven, bold"

Captions are written from what is measured of each image. Of the images drawn, 0.84 have the stroke and the tilt
that their prompt asks for (0.14 where it asks for the digit alone), and 1 are of the digit by a classifier that
knows 0.981 of the test images (one seed). Images of your own need a table of captions beside them, see the README.
"""

from nnzoo.data.images.captioned import CaptionedImageDataModule
from nnzoo.errors import run_main
from nnzoo.modules.ddpm_text import TextDDPM
from nnzoo.run.recipe import run_recipe


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(TextDDPM, CaptionedImageDataModule, recipe="ddpm_text", args=args)


if __name__ == "__main__":
    run_main(main)
