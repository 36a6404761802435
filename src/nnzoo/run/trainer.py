"""What every run gives the Trainer, beside what was asked for."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.io import CheckpointIO
from lightning.pytorch.callbacks import Callback, EarlyStopping, ProgressBar, TQDMProgressBar

from nnzoo.run.checkpoint import AtomicCheckpointIO, ExactResume
from nnzoo.run.expected_time import ExpectedTime
from nnzoo.run.limits import MonitorCheck
from nnzoo.run.many_steps import ManySteps
from nnzoo.run.metrics_log import MetricsLogger
from nnzoo.run.nan_guard import NaNGuard
from nnzoo.run.predictions import PredictionWriter
from nnzoo.run.progress_lines import ProgressLines, TimeOfTest
from nnzoo.run.rate_finder import RateFinder
from nnzoo.run.record import RunRecord


def run_callbacks(settings: Mapping[str, Any], finds_rate: bool) -> list[Callback]:
    """The callbacks that were asked for, the baselines, and those of every run.

    Args:
        settings: The command line's trainer, baselines, checkpoint and patience.
        finds_rate: Whether to look for a learning rate.
    """
    trainer, checkpoint, patience = (settings[name] for name in ("trainer", "checkpoint", "patience"))
    callbacks = without_repeated([TimeOfTest(), *as_list(trainer["callbacks"]), *as_list(settings["baselines"])])
    callbacks += [ExactResume(), NaNGuard(), RunRecord(), PredictionWriter(), ExpectedTime(), ManySteps()]
    callbacks.append(MonitorCheck(checkpoint.monitor, checkpoint.mode))
    if patience:
        callbacks.append(EarlyStopping(checkpoint.monitor, patience=patience, mode=checkpoint.mode))
    if finds_rate:
        callbacks.append(RateFinder())
    if trainer["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in callbacks):
        # A bar that is redrawn at every step slows short ones, and in a file it makes thousands of lines.
        callbacks.append(TQDMProgressBar(refresh_rate=20) if sys.stderr.isatty() else ProgressLines())
    return callbacks


def without_repeated(callbacks: list[Callback]) -> list[Callback]:
    """The callbacks, but of several of one kind that keep a state the last: an overlay's, not the recipe's."""
    last = {callback.state_key: callback for callback in callbacks}
    return [c for c in callbacks if type(c).state_dict is Callback.state_dict or last[c.state_key] is c]


def run_plugins(plugins: Any) -> list[Any]:
    """The plugins that were asked for, and atomic checkpoints unless these write them in a way of their own."""
    listed = as_list(plugins)
    has_io = any(isinstance(plugin, CheckpointIO) for plugin in listed)
    return listed if has_io else [*listed, AtomicCheckpointIO()]


def run_loggers(logger: Any, run_dir: Path, progress: Mapping[str, Any] | None) -> Any:
    """metrics.csv, continued after the progress of a resumed checkpoint, and what was asked for; False for none.

    A logger whose ``save_dir`` is empty writes into the run folder.
    """
    if logger is False:
        return False
    wanted = [] if logger in (None, True) else as_list(logger)
    for one in wanted:
        for folder in ("_root_dir", "_save_dir"):  # of TensorBoard's and of CSV loggers, which open their files later
            if getattr(one, folder, None) == "":
                setattr(one, folder, str(run_dir))
    return [MetricsLogger(run_dir, progress), *wanted]


def as_list(value: Any) -> list[Any]:
    """A list of what may be nothing, one thing or several."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]
