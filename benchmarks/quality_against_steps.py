"""Frechet distance of drawn images against the steps of their sampler: a table and a figure.

    python benchmarks/quality_against_steps.py runs/ddpm/RUN/best.ckpt runs/ddpm/OTHER/best.ckpt

Takes checkpoints of ``ddpm``: of a chain all its samplers are run, of a flow both solvers. All begin with the same
noise, and all images are compared with the training images by the features that ``nnzoo.SampleQuality`` uses; the
floor is the distance of as many held-out images. A distance has a bias that falls with the number of images: numbers
for other ``--images`` cannot be compared.
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple, get_args

import torch
from matplotlib.figure import Figure
from torch import Tensor

from nnzoo.baselines.base import alone
from nnzoo.baselines.features import Features, feature_network
from nnzoo.baselines.sample_quality import on_levels
from nnzoo.data.images.module import ImageDataModule
from nnzoo.metrics.samples import sample_metrics
from nnzoo.modules.ddpm import DDPM
from nnzoo.nets.flow_matching import Solver
from nnzoo.nets.samplers import SamplerName

STEPS = (1000, 100, 50, 20, 10)
TOGETHER = 250


class Result(NamedTuple):
    """A sampler's distance with a number of network evaluations, and the time it took."""

    sampler: str
    evaluations: int
    frechet: float
    seconds: float


def drawn(module: DDPM, count: int, sampler: str, steps: int) -> Tensor:
    """Images from the seed 0, whatever the sampler: of all classes in turn if the module has classes."""
    generator = torch.Generator().manual_seed(0)
    sizes = [len(part) for part in torch.arange(count).split(TOGETHER)]
    return torch.cat([module.sample(size, generator=generator, sampler=sampler, steps=steps) for size in sizes])


def distance(network: Features, real: Tensor, images: Tensor) -> float:
    metrics = alone(sample_metrics(network.num_features))
    metrics.update(network(real), real=True)
    metrics.update(network(images), real=False)
    return float(metrics.compute()["frechet"])


def results(module: DDPM, network: Features, real: Tensor, count: int, most: int) -> list[Result]:
    """Those of all samplers of a model, with as many network evaluations as the chain has times at most."""
    flows = module.hparams["objective"] == "flow_matching"
    found = []
    for sampler in get_args(Solver if flows else SamplerName):
        for evaluations in STEPS:
            if evaluations > (most if flows else min(most, module.hparams["timesteps"])):
                continue
            steps = evaluations // 2 if sampler == "heun" else evaluations
            started = time.monotonic()
            images = on_levels(drawn(module, count, sampler, steps), module.hparams["levels"])
            seconds = time.monotonic() - started
            name = sampler if flows else f"{sampler} of {module.hparams['timesteps']:,}"  # chains may differ
            found.append(Result(name, evaluations, distance(network, real, images), seconds))
            print(f"{name:20}{evaluations:6}{found[-1].frechet:12.3f}{seconds:10.1f}", flush=True)
    return found


def figure(found: list[Result], floor: float) -> Figure:
    """Both axes logarithmic: a line for each sampler."""
    drawing = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axis = drawing.subplots()
    for sampler in dict.fromkeys(result.sampler for result in found):
        own = [result for result in found if result.sampler == sampler]
        axis.plot([r.evaluations for r in own], [r.frechet for r in own], marker="o", markersize=4, label=sampler)
    axis.axhline(floor, color="0.5", linestyle="--", label="held-out images")
    axis.set(xscale="log", yscale="log", xlabel="network evaluations", ylabel="Frechet distance")
    axis.grid(alpha=0.3, which="both")
    axis.legend()
    return drawing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoints", nargs="+", help="best.ckpt of runs of ddpm on images")
    parser.add_argument("--images", type=int, default=500, help="images to draw for each point")
    parser.add_argument("--most", type=int, default=max(STEPS), help="leave out more evaluations than that")
    parser.add_argument("--data", default="digits", help="what the models were trained on")
    parser.add_argument("--out", type=Path, default=Path("quality_against_steps.png"))
    options = parser.parse_args()
    data = ImageDataModule(dataset=options.data)
    network = feature_network(data)
    real, held_out = (on_levels(data.tensors(part, 5000)[0], data.levels) for part in ("train", "test"))
    floor = distance(network, real, held_out[: options.images])
    print(f"{options.images} images, {network.num_features} features of {network.origin}")
    print(f"{'sampler':15}{'evaluations':>11}{'frechet':>12}{'seconds':>10}")
    found = []
    for path in options.checkpoints:
        module = DDPM.load_from_checkpoint(path, map_location="cpu").eval()
        found += results(module, network, real, options.images, options.most)
    print(f"{'held out':26}{floor:12.3f}   ({len(held_out[: options.images])} images)")
    figure(found, floor).savefig(options.out)


if __name__ == "__main__":
    main()
