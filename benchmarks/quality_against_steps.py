"""Frechet distance of drawn images against the steps of their sampler: a table and a figure.

    python benchmarks/quality_against_steps.py runs/ddpm/RUN/best.ckpt runs/ddpm/OTHER/best.ckpt

Takes checkpoints of ``ddpm``: of a chain all its samplers are run, of a flow both solvers. All begin with the same
noise, and all images are compared with the training images by the features that ``nnzoo.SampleQuality`` uses; the
floor is the distance of as many held-out images. A distance has a bias that falls with the number of images: numbers
for other ``--images`` cannot be compared.

Of ``python -m nnzoo.recipes.ddpm --model.timesteps 1000`` with the seed 0, 500 images and 32 features of nnzoo's
classifier of digits::

    evaluations      1,000      100       50       20       10
    ddpm             7.670    5.757    6.018    7.390   21.281
    ddim                      8.027    8.424   10.345   16.029
    dpm_solver                7.630    7.593    7.472    7.219
    held out         5.639 (270 images)

DPM-Solver++ with 20 evaluations, or with 10, is as good as DDPM with all 1,000. DDPM's own steps are best with 100 or
50: learned variances are made for few steps (arXiv:2102.09672).
"""

import argparse
import time
from pathlib import Path
from typing import NamedTuple, get_args

from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from yardstick import Yardstick

from nnzoo.files import replacing
from nnzoo.modules.ddpm import DDPM
from nnzoo.nets.flow_matching import Solver
from nnzoo.nets.samplers import SamplerName

STEPS = (1000, 100, 50, 20, 10)


class Result(NamedTuple):
    """A sampler's distance with a number of network evaluations, and the time it took."""

    sampler: str
    evaluations: int
    frechet: float
    seconds: float


def results(module: DDPM, yardstick: Yardstick, count: int, most: int) -> list[Result]:
    """Those of all samplers of a model, with as many network evaluations as the chain has times at most."""
    flows = module.hparams["objective"] == "flow_matching"
    found = []
    for sampler in get_args(Solver if flows else SamplerName):
        for evaluations in STEPS:
            if evaluations > (most if flows else min(most, module.hparams["timesteps"])):
                continue
            steps = evaluations // 2 if sampler == "heun" else evaluations
            started = time.monotonic()
            images, _ = yardstick.drawn(module, count, sampler=sampler, steps=steps)
            seconds = time.monotonic() - started
            name = sampler if flows else f"{sampler} of {module.hparams['timesteps']:,}"  # chains may differ
            found.append(Result(name, evaluations, yardstick.metrics(images)["frechet"], seconds))
            print(f"{name:20}{evaluations:6}{found[-1].frechet:12.3f}{seconds:10.1f}", flush=True)
    return found


def figure(found: list[Result], floor: float, count: int) -> Figure:
    """Both axes logarithmic: a line for each sampler."""
    drawing = Figure(figsize=(6, 4), dpi=120, layout="constrained")
    axis = drawing.subplots()
    for sampler in dict.fromkeys(result.sampler for result in found):
        own = [result for result in found if result.sampler == sampler]
        axis.plot([r.evaluations for r in own], [r.frechet for r in own], marker="o", markersize=4, label=sampler)
    axis.axhline(floor, color="0.5", linestyle="--", label=f"{count} held-out images")
    axis.set(xscale="log", yscale="log", xlabel="network evaluations", ylabel="Frechet distance")
    shown = sorted({result.evaluations for result in found})
    axis.set_xticks(shown, [f"{number:,}" for number in shown])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")
    axis.grid(alpha=0.3, which="both")
    axis.legend()
    return drawing


def main(args: list[str] | None = None) -> None:
    """Prints the table and writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoints", nargs="+", help="best.ckpt of runs of ddpm on images")
    parser.add_argument("--images", type=int, default=500, help="images to draw for each point")
    parser.add_argument("--most", type=int, default=max(STEPS), help="leave out more evaluations than that")
    parser.add_argument("--data", default="digits", help="what the models were trained on")
    parser.add_argument("--out", type=Path, default=Path("quality_against_steps.png"))
    options = parser.parse_args(args)
    yardstick = Yardstick(options.data)
    held_out = yardstick.held_out[0][: options.images]
    floor = yardstick.metrics(held_out)["frechet"]
    print(f"{options.images} images, {yardstick.network.num_features} features of {yardstick.network.origin}")
    print(f"{'sampler':15}{'evaluations':>11}{'frechet':>12}{'seconds':>10}")
    found = []
    for path in options.checkpoints:
        module = DDPM.load_from_checkpoint(path, map_location="cpu").eval()
        found += results(module, yardstick, options.images, options.most)
    print(f"{'held out':26}{floor:12.3f}   ({len(held_out)} images)")
    with replacing(options.out) as temporary:
        figure(found, floor, len(held_out)).savefig(temporary, format="png")
    print(options.out)


if __name__ == "__main__":
    main()
