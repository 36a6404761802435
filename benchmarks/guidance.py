"""What classifier-free guidance does to drawn images: a table and a figure.

    python benchmarks/guidance.py runs/ddpm/RUN/best.ckpt

Takes a checkpoint of a conditional ``ddpm`` of images. All images begin with the same noise, whatever the guidance, and
are compared with the training images, see ``yardstick.py``; ``class share`` is the share of them that the classifier of
the data takes for the class asked for. Distances have a bias that falls with the number of images, so that those of
other ``--images``, and of fewer held-out ones, are larger.

Of ``python -m nnzoo.recipes.ddpm --config ddpm_conditional`` with the seed 0::

    1000 images, 32 features of nnzoo's classifier of digits
    guidance      frechet    precision       recall  class share
    0              19.254        0.659        0.930        0.086
    1               2.323        0.884        0.916        0.990
    1.5             7.760        0.945        0.756        1.000
    2              16.810        0.956        0.640        1.000
    3              30.403        0.956        0.510        1.000
    5              41.129        0.915        0.365        1.000
    held out        5.639        0.881        0.936        0.981   (270 images)
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure
from yardstick import Yardstick

from nnzoo.errors import InputError, run_main
from nnzoo.files import replacing
from nnzoo.modules.ddpm import DDPM

GUIDANCES = (0.0, 1.0, 1.5, 2.0, 3.0, 5.0)
METRICS = ("frechet", "precision", "recall", "class_share")


def figure(found: dict[float, dict[str, float]], floor: dict[str, float], count: int) -> Figure:
    """The share of the class asked for and the Frechet distance against guidance, one below the other."""
    drawing = Figure(figsize=(6, 5), dpi=120, layout="constrained")
    axes = drawing.subplots(2, 1, sharex=True)
    names = {"class_share": "share of the class asked for", "frechet": "Frechet distance"}
    for axis, (metric, label) in zip(axes, names.items(), strict=True):
        axis.plot(list(found), [each[metric] for each in found.values()], marker="o", markersize=4, label="drawn")
        axis.axhline(floor[metric], color="0.5", linestyle="--", label=f"{count} held-out images")
        axis.set(ylabel=label)
        axis.grid(alpha=0.3)
    axes[0].set_ylim(0, 1.05)
    axes[1].set(xlabel="guidance: 0 no class, 1 the class alone", ylim=(0, None))
    axes[0].legend()
    return drawing


def main(args: list[str] | None = None) -> None:
    """Prints the table and writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("checkpoint", help="best.ckpt of a run of ddpm on images, with --model.conditional true")
    parser.add_argument("--images", type=int, default=1000, help="images to draw for each guidance")
    parser.add_argument("--guidances", type=float, nargs="+", default=GUIDANCES)
    parser.add_argument("--data", default="digits", help="what the model was trained on")
    parser.add_argument("--out", type=Path, default=Path("guidance.png"))
    options = parser.parse_args(args)
    module = DDPM.load_from_checkpoint(options.checkpoint, map_location="cpu").eval()
    if not module.num_conditions:
        raise InputError("Guidance needs a model of classes: train it with --model.conditional true.")
    yardstick = Yardstick(options.data)
    print(f"{options.images} images, {yardstick.network.num_features} features of {yardstick.network.origin}")
    print(f"{'guidance':8}" + "".join(f"{name.replace('_', ' '):>13}" for name in METRICS))
    found = {}
    for guidance in options.guidances:
        found[guidance] = yardstick.metrics(*yardstick.drawn(module, options.images, guidance=guidance))
        print(f"{guidance:<8g}" + "".join(f"{found[guidance][name]:13.3f}" for name in METRICS), flush=True)
    images, labels = (part[: options.images] for part in yardstick.held_out)
    floor = yardstick.metrics(images, labels)
    print(f"{'held out':8}" + "".join(f"{floor[name]:13.3f}" for name in METRICS) + f"   ({len(images)} images)")
    with replacing(options.out) as temporary:
        figure(found, floor, len(images)).savefig(temporary, format="png")
    print(options.out)


if __name__ == "__main__":
    run_main(main)
