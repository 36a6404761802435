"""Runs of seconds that tests look at, and runs that they kill, resume and compare."""

import contextlib
import csv
import io
import signal
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from support.forked import run_forked
from support.found import case, config_flags, module_name, run

SMOKE = ["--config", "smoke", "--trainer.accelerator", "cpu", "--baselines", "null"]
SMOKE += ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
"""A fit and a test of a few batches."""

QUICK = [*SMOKE, "--figures.draw", "false"]
"""The same without pictures, which take as long as the rest."""

BATCHES = 20
"""Of an epoch at most in a run that is killed."""

FLAGS = [
    *("--trainer.max_epochs", "4", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
    *("--trainer.limit_train_batches", str(BATCHES), "--trainer.limit_val_batches", "3"),
    *("--trainer.limit_test_batches", "2", "--baselines", "null", "--figures.draw", "false"),
    "--trainer.callbacks+=lightning.pytorch.callbacks.ModelCheckpoint",
    "--trainer.callbacks.every_n_train_steps=3",
    "--trainer.callbacks.filename=step",
    "--trainer.callbacks.enable_version_counter=false",
]
"""A short run that saves a checkpoint within its epochs too."""


class Smoke(NamedTuple):
    """A finished run of a few batches, with what it printed and warned of."""

    metrics: dict[str, float]
    folder: Path
    printed: str
    warned: list[str]


def smoke(config: str) -> Smoke:
    """Runs a config for a moment in the working directory."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), warnings.catch_warnings(record=True) as warned:
        metrics = run(config, [*SMOKE, *case(config).shorter_flags, *case(config).quicker_flags])
    return Smoke(metrics, run_folder(Path.cwd()), printed.getvalue(), [str(warning.message) for warning in warned])


def flags_of(config: str) -> list[str]:
    """Flags of a short run of a config."""
    return [*FLAGS, *case(config).shorter_flags, *case(config).quicker_flags]


def run_folder(root: Path) -> Path:
    """The folder of the one run under a root."""
    (folder,) = {path.parent for path in root.rglob("config.yaml")}
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    """What stands in a run's metrics.csv."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if value} for row in csv.DictReader(file)]


def run_until_killed(config: str, step: int, flags: Sequence[str] = ()) -> Path:
    """Runs a config in a process of its own that is killed before a step; returns its folder, ready to be resumed."""
    program = [module_name(config), *config_flags(config), *flags_of(config), *flags]
    program += ["--trainer.default_root_dir", "killed"]
    program += ["--trainer.callbacks+=support.helpers.KillAtStep", f"--trainer.callbacks.step={step}"]
    result = run_forked(program)
    assert result.returncode == -signal.SIGKILL, result.stderr
    folder = run_folder(Path("killed"))
    settings = folder / "config.yaml"
    settings.write_text(settings.read_text().replace(f"step: {step}", "step: -1"))  # no power cut this time
    return folder


def assert_same_bits(one: Path, other: Path, keys: Iterable[str]) -> None:
    """Two checkpoints hold the same under some keys."""
    checkpoints = [torch.load(path, weights_only=True) for path in (one, other)]
    for key in keys:
        torch.testing.assert_close(*(checkpoint[key] for checkpoint in checkpoints), rtol=0, atol=0)
