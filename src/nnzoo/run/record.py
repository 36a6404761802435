"""The run record: config.yaml, which repeats the run, and result.json with metrics, seed, versions, time and commit."""

import contextlib
import os
import platform
import re
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import SaveConfigCallback

from nnzoo.data.facts import datamodule_of
from nnzoo.files import replacing, to_json
from nnzoo.modules.base import ZooModule
from nnzoo.modules.sharded import size_of
from nnzoo.run.best import keeper, rule
from nnzoo.run.carried import changed_hparams
from nnzoo.run.checkpoint import public_name
from nnzoo.run.folder import COLUMNS, CONFIG, RESULT
from nnzoo.run.metrics_log import read_curves
from nnzoo.run.progress import PROGRESS_KEY, steps_at, steps_done
from nnzoo.run.report import diagnosis, ended_by_patience


class SaveRunConfig(SaveConfigCallback):
    """Writes the complete configuration to ``config.yaml`` of the run folder, whole or not at all.

    A run that goes on keeps its file until it trains: settings that its checkpoint refuses must not stay in it.
    """

    def save_config(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Writes the file of a new run, before anything can fail."""
        self._goes_on = (Path(trainer.default_root_dir) / CONFIG).is_file()
        if not self._goes_on:
            self._write(trainer, stage)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Writes the file of a run that goes on, whose settings were all accepted."""
        if trainer.is_global_zero and self._goes_on:
            self._write(trainer, "fit")

    def _write(self, trainer: L.Trainer, stage: str) -> None:
        # Without the checkpoint of a resumed run, so that the config can start a new one.
        config = self.config.clone()
        config.ckpt_path = None
        with replacing(Path(trainer.default_root_dir) / CONFIG) as temporary:
            temporary.write_text(self.parser.dump(config, skip_unset=False), encoding="utf-8")
        data = datamodule_of(trainer)
        # What became of the columns of a user's file.
        report = data.column_report() if hasattr(data, "column_report") and stage == "fit" else None
        if report is not None:
            with replacing(Path(trainer.default_root_dir) / COLUMNS) as temporary:
                report.to_csv(temporary, index=False)

    def keep_rate(self, trainer: L.Trainer, pl_module: L.LightningModule, lr: float) -> None:
        """Writes the file with a learning rate that was found, so that it repeats the run without looking again."""
        model = self.config.model
        (model.init_args if "class_path" in model else model).lr = lr
        self.config.lr_find = False
        if trainer.is_global_zero:
            self._write(trainer, "fit")


class RunRecord(Callback):
    """Writes ``result.json`` into the run folder at the end of fitting and of testing.

    Its ``metrics`` are those of the best checkpoint, which is tested: what training and validation gave in its epoch
    (``best_epoch``, counted from 1; ``best_by`` is what chose it), and the test. ``last`` holds those of the last
    epoch. Where the run was resumed with other settings of the model, ``changes`` has the step, and their values before
    and after.
    """

    def __init__(self) -> None:
        self._seconds = {"fit": 0.0, "test": 0.0}
        self._started = 0.0
        self._last: dict[str, float] = {}
        self._changes: list[dict[str, Any]] = []
        self._now: list[dict[str, Any]] = []
        self._diagnosis: Any = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Remembers whether this is a fit: a test loads the state of its checkpoint too."""
        self._fitting = stage == "fit"

    def state_dict(self) -> dict[str, Any]:
        """Training time so far, and the settings of before, so that a resumed run reports the whole."""
        seconds = self._seconds["fit"] + time.monotonic() - self._started
        return {"fit_seconds": seconds, "changes": self._changes}

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Notes which of the model's settings differ from those before."""
        changed = {name: list(values) for name, values in changed_hparams(pl_module, checkpoint).items()}
        self._now = [{"step": steps_at(checkpoint), "model": changed}] if changed else []

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes up the training time of the run before."""
        if self._fitting:
            self._seconds["fit"] = state_dict["fit_seconds"]
            self._changes = [*state_dict.get("changes", []), *self._now]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Records the fit."""
        self._record(trainer, pl_module, "fit")

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the clock."""
        self._started = time.monotonic()

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Records the test."""
        self._record(trainer, pl_module, "test")

    def _record(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        self._seconds[stage] += time.monotonic() - self._started
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        measured = {name: float(value) for name, value in trainer.callback_metrics.items()}
        best_path = getattr(keeper(trainer), "best_model_path", "")
        if stage == "fit":
            self._last = measured
        path = trainer.ckpt_path if stage == "test" else best_path
        best_epoch, chosen = measured_in(path) if path else (trainer.current_epoch, self._last)
        record = {
            "metrics": chosen | (measured if stage == "test" else {}),
            "best_epoch": best_epoch,
            "best_by": rule(keeper(trainer)),
            "last": self._last,
            "model": public_name(type(pl_module)),
            "hyperparameters": {
                "model": _plain(pl_module.hparams),
                "data": _plain(getattr(datamodule_of(trainer), "hparams", {})),
            },
            "parameters": sum(map(size_of, pl_module.parameters())),
            "trained_parameters": sum(size_of(p) for p in pl_module.parameters() if p.requires_grad),
            "costs": pl_module.costs() if isinstance(pl_module, ZooModule) else {},
            "seed": int(os.environ["PL_GLOBAL_SEED"]) if "PL_GLOBAL_SEED" in os.environ else None,
            "changes": self._changes,
            "command": sys.argv[1:],
            "epochs": trainer.current_epoch,
            "steps": steps_done(trainer),
            "best_checkpoint": Path(best_path).name or None,
            "diagnosis": diagnosis(read_curves(trainer), ended_by_patience(trainer))
            if stage == "fit"
            else self._diagnosis,
            "fit_seconds": round(self._seconds["fit"], 2),
            "test_seconds": round(self._seconds["test"], 2),
            "peak_memory_mib": peak_memory_mib(pl_module.device),
            "devices": f"{trainer.world_size} x {device_name(pl_module.device)}",
            "precision": str(trainer.precision),
            "versions": {"python": platform.python_version(), **versions()},
            "commit": commit(),
        }
        self._diagnosis = record["diagnosis"]
        with replacing(Path(trainer.default_root_dir) / RESULT) as temporary:
            temporary.write_text(to_json(record), encoding="utf-8")


def measured_in(path: str | Path) -> tuple[int, dict[str, float]]:
    """The epoch of a checkpoint, counted from 1, and what was measured in it: training only where it had ended."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    progress = checkpoint.get(PROGRESS_KEY, {"metrics": {}, "next_row": {}})
    logged = {name: float(value) for name, value in progress["metrics"].items()}
    stale = {name for name in logged if name.startswith("train/")} - progress["next_row"].keys()
    return checkpoint["epoch"] + 1, {name: value for name, value in logged.items() if name not in stale}


def versions() -> dict[str, str]:
    """The versions of nnzoo and of what it depends on, as far as it is installed."""
    needed = [re.split(r"[^\w.-]", line)[0] for line in requires("nnzoo") or [] if "extra ==" not in line]
    found = {}
    for name in ["nnzoo", *needed]:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _plain(hparams: Any) -> dict[str, Any]:
    return {name: value for name, value in dict(hparams).items() if not name.startswith("_")}


def peak_memory_mib(device: torch.device) -> int | None:
    """Largest memory so far: of the GPU's allocator, or of this process on a CPU; None where that is not known."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) // 2**20
    try:
        import resource  # not on Windows
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)


def device_name(device: torch.device) -> str:
    """Name of the GPU, or the numbers of threads and CPU cores and the kind of processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads on {os.cpu_count()} cores, {platform.machine()})"


def commit() -> str | None:
    """The commit of nnzoo's source, with ``-dirty`` if files differ from it; None outside a git checkout."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", __file__)  # an installed copy may lie inside a checkout of something else
        # A number that was just recorded does not change how the next one comes about.
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":/", ":(top,exclude)recipes/results")
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
