"""One run of a recipe under a clock: the seconds of its parts, those until training begins, and its peak memory.

The process of such a run is ``python -m benchmarks.parts RESULT.json RECIPE FLAGS``. Imports are on its clock, so that
this file imports nothing but Python's own.
"""

import contextlib
import functools
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
REST = "rest"
PARTS = ("imports", "data", "training", "validation", "checkpoints", "figures", "baselines", "test", REST)


class Parts:
    """Seconds by part: each moment counts for the innermost part that is open, and for the rest where none is.

    Args:
        clock: Tells the seconds since the process began; those of the processor unless given, so that other programs
            do not count.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self.clock, self.seconds = clock, dict.fromkeys(PARTS, 0.0)
        self.open, self.since = [REST], 0.0
        self.until_first_step: float | None = None

    def settle(self) -> None:
        """Gives the seconds since the last call to the part that is open."""
        now = self.clock()
        self.seconds[self.open[-1]] += now - self.since
        self.since = now

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What runs within is of this part; validation within a test is the test's."""
        self.settle()
        self.open.append("test" if name == "validation" and "test" in self.open else name)
        try:
            yield
        finally:
            self.settle()
            self.open.pop()

    def watch(self, owner: Any, function: str, name: str) -> None:
        """Makes the calls of a function, which an object or a module looks up by its name, a part."""
        original = getattr(owner, function)

        @functools.wraps(original)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return original(*args, **kwargs)

        setattr(owner, function, timed)

    def watch_first_step(self, strategy: Any) -> None:
        """Notes when the first training step begins, and steps aside."""
        original = strategy.training_step

        @functools.wraps(original)
        def noted(*args: Any, **kwargs: Any) -> Any:
            strategy.training_step = original
            self.until_first_step = self.clock()
            return original(*args, **kwargs)

        strategy.training_step = noted


def watched(recipe: str, parts: Parts) -> Any:
    """The recipe's program, with its parts on the clock."""
    # Python calls it by name for modules that are not there yet: so late imports, as of scikit-learn, count as such.
    parts.watch(importlib._bootstrap, "_find_and_load", "imports")  # type: ignore[attr-defined]
    program = importlib.import_module(f"nnzoo.recipes.{recipe}")
    lightning, loops = importlib.import_module("lightning"), "lightning.pytorch.loops"
    figures, baselines = (importlib.import_module(f"nnzoo.{name}") for name in ("run.figures", "baselines.base"))
    for cls in filter(lambda one: isinstance(one, type), vars(program).values()):
        if issubclass(cls, lightning.LightningDataModule):
            for function in ("__init__", "prepare_data", "setup"):
                parts.watch(cls, function, "data")
    parts.watch(importlib.import_module("nnzoo.data.facts").fact, "__get__", "data")  # called once, may read the data
    parts.watch(importlib.import_module(f"{loops}.fit_loop")._FitLoop, "run", "training")
    parts.watch(importlib.import_module(f"{loops}.evaluation_loop")._EvaluationLoop, "run", "validation")
    parts.watch(lightning.Trainer, "save_checkpoint", "checkpoints")
    for function in ("on_validation_end", "on_fit_end", "on_test_end"):
        parts.watch(figures.Figures, function, "figures")
    parts.watch(baselines.Baselines, "on_test_epoch_end", "baselines")
    parts.watch(lightning.Trainer, "test", "test")
    parts.watch_first_step(importlib.import_module("lightning.pytorch.strategies").Strategy)
    return program


def peak_memory() -> float:
    """The most MiB that the process ever had in memory: of its own life, unlike getrusage's, which knows its parent."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main(result: str, recipe: str, *flags: str) -> None:
    """Runs the recipe and writes what the clock has seen."""
    parts = Parts()
    watched(recipe, parts).main(list(flags))
    parts.settle()
    found = {"seconds": parts.seconds, "until_first_step": parts.until_first_step, "peak_mib": peak_memory()}
    Path(result).write_text(json.dumps(found), encoding="utf-8")


def in_own_process(recipe: str, flags: Sequence[str]) -> dict[str, Any]:
    """What the clock sees of a run on one thread of the processor, in a process that nothing was imported into.

    Raises:
        RuntimeError: If the run fails, with the last that it said.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        own = ["--trainer.accelerator", "cpu", "--trainer.default_root_dir", folder]
        command = [sys.executable, "-m", f"{__package__}.parts", str(result), recipe, *flags, *own]
        alone = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg", "XDG_CACHE_HOME": folder}  # nothing kept from earlier
        ran = subprocess.run(command, cwd=ROOT, env={**os.environ, **alone}, capture_output=True, text=True)
        if ran.returncode:
            raise RuntimeError(f"{recipe} {' '.join(flags)} failed: {ran.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return found


if __name__ == "__main__":
    main(*sys.argv[1:])
