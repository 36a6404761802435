"""Mode collapse on 25 Gaussians: GAN, WGAN and WGAN-GP side by side, each with its paper's optimiser.

    python benchmarks/mode_collapse.py --seeds 0 1 2 3 4

Trains the recipes ``wgan_gp_toy_gan``, ``wgan_gp_toy_wgan`` and ``wgan_gp_toy`` with the same networks and data. Writes
what each draws into ``mode_collapse.png``, and prints the modes that 2,500 of its points reach and the share of them
within three standard deviations of one, 0.989 for the law itself. A run that has ended in ``--folder`` already is not
repeated: ``runs/recorded`` holds those of ``python -m nnzoo.recipes record``. Further flags, such as
``--trainer.max_epochs 20``, go to the recipes. README has the numbers of five seeds.

Gulrajani et al. 2017 (arXiv:1704.00028) show the same in their figure 3, for 8 and 25 Gaussians and a Swiss roll: the
surface of a critic with clipped weights misses what makes the modes, that of one with a penalty follows the data.
"""

import argparse
from pathlib import Path
from statistics import mean

import torch
from nnzoo.recipes.wgan_gp import main as train
from torch import Tensor

from nnzoo import WGANGP, DensityDataModule
from nnzoo.files import replacing
from nnzoo.metrics.modes import mode_metrics
from nnzoo.modules.drawing import MODE_SAMPLES
from nnzoo.plots.densities import frame_around, point_row

CONFIGS = {"GAN": "wgan_gp_toy_gan", "WGAN": "wgan_gp_toy_wgan", "WGAN-GP": "wgan_gp_toy"}


def drawn(config: str, seed: int, folder: Path, flags: list[str]) -> Tensor:
    """Points that a recipe's model draws in the end."""
    root = folder / config / f"seed-{seed}"
    if not any(root.rglob("result.json")):
        settings = ["--seed_everything", str(seed), "--baselines", "null", "--figures.draw", "false"]
        train(["--config", config, *settings, "--trainer.default_root_dir", str(root), *flags])
    run = max(path.parent for path in root.rglob("result.json"))
    module = WGANGP.load_from_checkpoint(run / "best.ckpt", map_location="cpu").eval()
    return module.sample(MODE_SAMPLES, generator=torch.Generator().manual_seed(0))


def main(args: list[str] | None = None) -> None:
    """Trains all three for each seed, prints the table and writes the picture of the first seed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/mode_collapse"), help="of the runs and the picture")
    given, flags = parser.parse_known_args(args)  # further flags go to the recipes
    data = DensityDataModule(dataset="twenty_five_gaussians")
    clouds = {"data": data.points("test", MODE_SAMPLES)}
    measure = mode_metrics(data.mode_centers, data.mode_std)
    rows = []
    for name, config in CONFIGS.items():
        points = [drawn(config, seed, given.folder, flags) for seed in given.seeds]
        found = [measure(cloud) for cloud in points]
        modes, share = ([float(each[key]) for each in found] for key in ("modes_found", "high_quality"))
        clouds[f"{name}: {modes[0]:.0f} modes"] = points[0]
        rows.append(f"{name:10}{min(modes):6.0f} to {max(modes):2.0f}{mean(share):22.3f}")
    print(f"\n{'':10}{'modes of 25':>12}{'within three sigma':>22}   (seeds: {len(given.seeds)})", *rows, sep="\n")
    path = given.folder / "mode_collapse.png"
    with replacing(path) as temporary:
        point_row(clouds, "25 Gaussians", frame_around(clouds["data"], margin=0.25)).savefig(temporary, format="png")
    print(f"\n{path}")


if __name__ == "__main__":
    main()
