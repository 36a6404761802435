"""What glibc's allocator costs a training step on a CPU, left alone and as a run sets it: see benchmarks/README.md.

    python -m benchmarks.allocator
    python -m benchmarks.allocator --fits cnn_mnist resnet20 --rounds 9

Each training has a process of its own, as the allocator cannot be set back, and both ways take turns. Measured are the
time of the processor (in the program, and in the system on its behalf), the page faults of a step that need no disk,
and the most memory that the process held.
"""

import argparse
import os
import resource
from collections.abc import Sequence
from multiprocessing import get_context
from typing import Any
from unittest import mock

import lightning as L
import torch

from benchmarks.fits import Clock, fit
from benchmarks.measuring import Stopwatch, quiet, shown, spread

FITS: dict[str, tuple[str, int, Sequence[str]]] = {
    "cnn_mnist": ("cnn_mnist", 15, ()),
    "resnet20": ("cnn_mnist", 3, ("--model.architecture", "resnet", "--model.depth", "20")),
    "vae_mnist": ("vae_mnist", 30, ()),
    "mlp": ("mlp", 39, ()),
}
"""Config, training steps of an epoch, and flags."""
WAYS = {"alone": {"MALLOC_": "set by the user"}, "kept": {}}
"""Variables that a run looks at; glibc itself has read its own long before."""
MEASURED = ("ms", "faults", "MiB")


def page_faults() -> float:
    """Of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


class Faults(Clock):
    """Counts the page faults of training steps, beside the clock."""

    counted: Stopwatch

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:  # noqa: D102
        self.watch = Faults.counted = Stopwatch(Clock.steps, page_faults)


def measured(name: str, way: str) -> dict[str, float]:
    """A training in this process: milliseconds and faults of a step, and the most memory."""
    torch.set_num_threads(1)
    config, steps, flags = FITS[name]
    with quiet(), mock.patch.dict(os.environ, WAYS[way]):
        clock = fit(config, steps, 3, [f"--trainer.callbacks+={Faults.__module__}.Faults", *flags])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return dict(zip(MEASURED, (1e3 * clock.watch.seconds, Faults.counted.seconds, peak / 1024), strict=True))


def main(args: list[str] | None = None) -> None:
    """Prints medians and quartiles over the rounds as a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.allocator")
    parser.add_argument("--fits", nargs="+", choices=FITS, default=list(FITS))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(args)
    context: Any = get_context("forkserver")  # imports once, and then starts processes that have trained nothing
    context.set_forkserver_preload([f"nnzoo.recipes.{recipe}" for recipe in ("cnn", "mlp", "vae")])
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for number in range(options.rounds):
        for name in options.fits:
            for way in list(WAYS)[:: -1 if number % 2 else 1]:
                with context.Pool(1) as pool:
                    one = pool.apply(measured, (name, way))
                found.setdefault((name, way), []).append(one)
                print(f"round {number + 1}: {name} {way} {one}", flush=True)
    print(f"| fit | allocator | {' | '.join(MEASURED)} |\n| --- | --- |{' --- |' * len(MEASURED)}")
    for (name, way), rounds in found.items():
        cells = [shown(spread([one[unit] for one in rounds], 1), 1) for unit in MEASURED]
        print(f"| {name} | {way} | {' | '.join(cells)} |")
    for name in options.fits:
        pairs = zip(found[name, "alone"], found[name, "kept"], strict=True)
        print(f"{name}: {shown(spread([kept['ms'] / alone['ms'] for alone, kept in pairs], 3), 3)} of the time")


if __name__ == "__main__":
    from benchmarks.allocator import main  # by this name the processes find what they are to do

    main()
