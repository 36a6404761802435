"""Likelihood against Frechet distance: all that draws digits, in one table.

    python benchmarks/generative_models.py

Takes bits per dimension, Frechet distance, precision and recall from the recorded runs of the recipes (means of their
seeds, see ``nnzoo.SampleQuality`` for what is compared), and measures the processor time of drawing an image: for each
recipe with the network it has after one epoch, which is as fast as a trained one, and without its fit for the classical
models. Prints Markdown; README has it, and ``tests/test_generative_table.py`` holds its figures against the records.
"""

import argparse
import importlib
import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnzoo.recipes._records import FOLDER, Entry

import nnzoo
from nnzoo.baselines.images import mixtures
from nnzoo.baselines.sample_quality import PixelModel, drawn_images
from nnzoo.data.images.module import ImageDataModule

MODELS = {
    "VAE": ("vae", "VAE"),
    "WGAN-GP": ("wgan_gp", "WGANGP"),
    "GAN": ("wgan_gp_gan", "WGANGP"),
    "WGAN, clipped weights": ("wgan_gp_wgan", "WGANGP"),
    "DDPM": ("ddpm", "DDPM"),
    "DDPM of a class": ("ddpm_conditional", "DDPM"),
    "Flow matching": ("ddpm_flow", "DDPM"),
    "GRU, pixel rows": ("sequence_generator", "SequenceGenerator"),
}
"""Recipe and class by the name in the table."""
CLASSICAL = {"Gaussian (PCA)": "pca", "Gaussian mixture": "mixture", "Training images": "training_images"}
METRICS = ("bits_per_dim", "frechet", "precision", "recall")
IMAGES, REPEATS = 270, 3


def mean(metrics: Mapping[str, Any], name: str, digits: int) -> str:
    """A recorded mean, or nothing where the model has no such number."""
    return f"{metrics[name]['mean']:.{digits}f}" if name in metrics else ""


def cells(metrics: Mapping[str, Any], prefix: str) -> list[str]:
    """The recorded figures of a row."""
    return [mean(metrics, f"{prefix}/{name}", digits) for name, digits in zip(METRICS, (3, 1, 2, 2), strict=True)]


def recorded() -> dict[str, list[str]]:
    """The table without times: rows of cells by the models' names."""
    found = {}
    for name, (recipe, _) in MODELS.items():
        if (result := Entry(recipe).result) is not None:
            found[name] = cells(result["metrics"], "test")
    classical = json.loads((FOLDER / "results" / "ddpm.json").read_text(encoding="utf-8"))["metrics"]
    return found | {name: cells(classical, f"baseline/{stem}") for name, stem in CLASSICAL.items()}


def seconds(draw: Callable[[], Any]) -> float:
    """The median of the processor time for an image, of some repeats with :data:`IMAGES` each."""
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        draw()
        times.append(time.process_time() - started)
    return statistics.median(times) / IMAGES


def drawing(recipe: str, class_name: str, folder: Path) -> Callable[[], Any]:
    """What draws by a recipe's network."""
    entry = Entry(recipe)
    settings = {"trainer.max_epochs": "1", "trainer.default_root_dir": str(folder / recipe), "figures.draw": "false"}
    flags = [text for name, value in settings.items() for text in (f"--{name}", value)]
    program = importlib.import_module(f"nnzoo.recipes.{entry.recipe}")
    program.main(["fit", "--config", recipe, "--baselines", "null", *flags])
    checkpoint = max((folder / recipe).rglob("last.ckpt"), key=lambda path: path.stat().st_mtime)
    module = getattr(nnzoo, class_name).load_from_checkpoint(checkpoint, map_location="cpu").eval()
    labels = torch.arange(IMAGES) % 10
    return lambda: drawn_images(module, labels, (1, 8, 8))


def classical_drawing() -> dict[str, Callable[[], Any]]:
    """What draws by the classical models of the training images."""
    data = ImageDataModule(dataset="digits")
    data.setup()
    train = data.tensors("train")[0]
    model = PixelModel(train, data.levels)
    mixture = next(iter(mixtures([20], "full"))).fit(model.codes(train))
    spread, noise = np.sqrt(model.pca.explained_variance_), np.random.default_rng(0)
    return {
        "Gaussian (PCA)": lambda: model.images(noise.normal(size=(IMAGES, len(spread))) * spread),
        "Gaussian mixture": lambda: model.images(mixture.sample(IMAGES)[0]),
    }


def main(args: list[str] | None = None) -> None:
    """Measures the times and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/generative_models"))
    folder = parser.parse_args(args).folder
    draws = {name: drawing(*model, folder) for name, model in MODELS.items()} | classical_drawing()
    times = {name: f"{1000 * seconds(draw):.2g}" for name, draw in draws.items()}
    header = ["model", "bits/dim", "Frechet distance", "precision", "recall", "ms per image"]
    rows = [header, ["---"] * len(header), *([name, *row, times.get(name, "")] for name, row in recorded().items())]
    print("\n".join("| " + " | ".join(row) + " |" for row in rows))


if __name__ == "__main__":
    main()
