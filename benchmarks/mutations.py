"""Do the tests notice mistakes? Makes mistakes in a copy of the source, one at a time, and runs the tests on each.

    python benchmarks/mutations.py               # all, which takes about half a minute each on one core
    python benchmarks/mutations.py nets -k KL    # those of one list whose name or file contains a text

The mistakes are real ones: a swapped sign, a wrong axis, a forgotten ``eval()``. They stand in ``mistakes/*.yaml``, by
file, each with the tests that should catch it. A mistake whose text is no longer in the source is an error.
"""

import argparse
import multiprocessing
import os
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
LISTS = ROOT / "benchmarks" / "mistakes"
ENOUGH = 0.95
# Imported once and not for each mistake; nothing of nnzoo, of which each mistake has another.
PRELOADED = ["torch", "lightning.pytorch.cli", "torchvision.transforms.v2", "torchmetrics.image", "torchmetrics.text",
             "matplotlib.figure", "pandas", "scipy.stats", "sklearn.ensemble", "sklearn.neural_network", "h5py",
             "torchvision.datasets", "torch.utils.tensorboard", "pytest", "peft", "transformers.pipelines",
             "transformers.models.bert.modeling_bert", "transformers.models.gpt2.modeling_gpt2",
             "transformers.models.llama.modeling_llama", "transformers.models.auto.modeling_auto"]  # fmt: skip


@dataclass(frozen=True)
class Mistake:
    """One mistake in the source.

    Attributes:
        path: The file, from the repository's root.
        name: What is wrong.
        old: Text that the file holds once.
        new: What stands there instead.
        tests: Arguments of pytest: the tests that should catch it.
    """

    path: str
    name: str
    old: str
    new: str
    tests: str

    def made_in(self, text: str) -> str:
        """The file's text with the mistake; ValueError if the place is not there, or not the only one."""
        if text.count(self.old) != 1:
            raise ValueError(f"{self.path}: {self.name}: {self.old!r} occurs {text.count(self.old)} times, not once")
        return text.replace(self.old, self.new)


def mistakes(*lists: str) -> list[Mistake]:
    """The mistakes of some lists, or of all."""
    paths = [LISTS / f"{name}.yaml" for name in lists] or sorted(LISTS.glob("*.yaml"))
    files = [item for path in paths for item in yaml.safe_load(path.read_text(encoding="utf-8")).items()]
    return [Mistake(path, **settings) for path, listed in files for settings in listed]


def copied(folder: Path) -> Path:
    """A copy of the repository's source and tests, with the recipes where an installed package has them."""
    for name in ("src", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    recipes = folder / "src" / "nnzoo" / "recipes"
    shutil.copytree(ROOT / "recipes", recipes, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "recipes").symlink_to(recipes)
    for name in ("pyproject.toml", "README.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, folder)
    return folder


@contextmanager
def made(mistake: Mistake, folder: Path) -> Iterator[None]:
    """Makes a mistake in a copy for a while."""
    path = folder / mistake.path
    right = path.read_text(encoding="utf-8")
    path.write_text(mistake.made_in(right), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(right, encoding="utf-8")


class Failures:
    """A plugin of pytest that keeps the names of the tests that failed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:  # noqa: D102
        if report.failed:
            self.names.append(report.nodeid)


def tested(folder: Path, arguments: list[str], results: Connection) -> None:
    """Runs tests on a copy, in a process of its own; sends pytest's exit code and the tests that failed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    os.chdir(folder)
    sys.dont_write_bytecode = True  # a mistake made within a second of another would be taken for it
    sys.path.insert(0, str(folder / "src"))
    os.environ["PYTHONPATH"] = str(folder / "src")  # of the processes that tests start
    failures = Failures()
    code = pytest.main([*arguments, "-q", "-p", "no:cacheprovider"], plugins=[failures])
    results.send((int(code), failures.names))


def run(folder: Path, arguments: list[str], limit: float) -> tuple[int, list[str]]:
    """What :func:`tested` finds; a run without an end, which a mistake may cause, counts as a failure."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=tested, args=(folder, arguments, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv() if receiver.poll(limit) else (1, [f"no end within {limit:.0f} s"])
    except EOFError:
        return 1, ["the process died"]
    finally:
        process.kill()
        process.join()


def verdict(code: int, failed: list[str]) -> str:
    """How a mistake ended: caught, survived, or in an error of its entry's own."""
    if code == pytest.ExitCode.TESTS_FAILED:
        return "caught"
    return "survived" if code == pytest.ExitCode.OK else f"error ({pytest.ExitCode(code).name.lower()})"


def main() -> None:
    """Makes the mistakes and prints what became of each, and the share that was caught."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lists", nargs="*", help="stems of the lists; all if none is given")
    parser.add_argument("-k", default="", help="only mistakes whose name or file contains this")
    parser.add_argument("--limit", type=float, default=600, help="seconds for the tests of one mistake")
    options = parser.parse_args()
    chosen = [m for m in mistakes(*options.lists) if options.k.lower() in f"{m.path} {m.name}".lower()]
    verdicts: dict[str, int] = {}
    catching: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        for number, mistake in enumerate(chosen, start=1):
            start = time.monotonic()
            with made(mistake, copy):
                code, failed = run(copy, [*shlex.split(mistake.tests), "-x"], options.limit)
            found = verdict(code, failed)
            verdicts[found] = verdicts.get(found, 0) + 1
            catching |= {name for name in failed if "::" in name}
            by = f" by {failed[0]}" if failed else f": {mistake.tests}"
            seconds = time.monotonic() - start
            print(f"[{number}/{len(chosen)} {seconds:3.0f} s] {mistake.path}: {mistake.name}: {found}{by}", flush=True)
        code, failed = run(copy, sorted(catching), 60 * options.limit) if catching else (0, [])
    print(", ".join(f"{count} {found}" for found, count in verdicts.items()))
    share = verdicts.get("caught", 0) / max(1, len(chosen))
    print(f"{100 * share:.1f} % of {len(chosen)} mistakes were caught")
    if code:
        print(f"these tests fail without a mistake too, so they caught nothing: {', '.join(failed) or 'all'}")
    sys.exit(bool(code) or share < ENOUGH or any(found.startswith("error") for found in verdicts))


if __name__ == "__main__":
    main()
