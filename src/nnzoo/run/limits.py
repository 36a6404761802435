"""What a run's settings must satisfy that their types do not say, in a table that is looked at before training.

Lightning takes many of these values and then divides by zero, trains on nothing or tests the wrong weights.
"""

import difflib
import json
import os
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, NamedTuple

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torchmetrics import MetricCollection

from nnzoo.errors import InputError
from nnzoo.run.best import COUNTS

MAX_SEED = 2**32 - 1
"""NumPy's largest."""
LAUNCHED = ("TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "LSB_JOBID", "OMPI_COMM_WORLD_SIZE", "NODE_RANK", "GROUP_RANK")
"""Variables of launchers, and of users who start the nodes themselves."""
MAX_CPU_PROCESSES = max(8, os.cpu_count() or 1)


class Limit(NamedTuple):
    """A condition of one option, and the sentence that follows its name where it does not hold."""

    option: str
    holds: Callable[[Any], bool]
    sentence: str


class Relation(NamedTuple):
    """A condition of several options together, and the whole sentence where it does not hold."""

    holds: Callable[[Callable[[str], Any]], bool]
    sentence: str


def at_least(lowest: float) -> Callable[[Any], bool]:
    """Whether a number is ``lowest`` or more; what is no number, such as null, is left to its parser."""
    return lambda value: not isinstance(value, int | float) or value >= lowest


def above(lowest: float) -> Callable[[Any], bool]:
    """Whether a number is above ``lowest``."""
    return lambda value: not isinstance(value, int | float) or value > lowest


def positive_or_endless(value: Any) -> bool:
    """Whether a number is positive, or -1 for no end."""
    return value == -1 or at_least(1)(value)


def stays_in_its_folder(name: str | None) -> bool:
    """Whether a file of that name lies in the folder that it is put into."""
    return name is None or (name not in ("", ".", "..") and PurePath(name.replace("\\", "/")).name == name)


LIMITS = (
    Limit("seed_everything", lambda seed: 0 <= seed <= MAX_SEED, f"must be a number from 0 to {MAX_SEED}"),
    Limit("patience", at_least(0), "counts epochs, 0 for no early stopping"),
    Limit("trainer.max_epochs", positive_or_endless, "must be positive, or -1 for no end: 0 trains nothing"),
    Limit("trainer.max_steps", positive_or_endless, "must be positive, or -1 for no end: 0 trains nothing"),
    Limit("trainer.min_epochs", at_least(0), "must not be negative"),
    Limit("trainer.min_steps", at_least(0), "must not be negative"),
    Limit("trainer.accumulate_grad_batches", at_least(1), "must be 1 or more"),
    Limit("trainer.gradient_clip_val", at_least(0), "must not be negative; leave it out for no clipping"),
    Limit("trainer.limit_train_batches", above(0), "leaves nothing to train on: set a positive number"),
    Limit("trainer.limit_val_batches", at_least(0), "must not be negative"),
    Limit("trainer.limit_test_batches", above(0), "leaves nothing to test: the subcommand fit leaves out the test"),
    Limit("trainer.limit_predict_batches", above(0), "leaves nothing to predict: set a positive number"),
    Limit("trainer.overfit_batches", at_least(0), "must not be negative"),
    Limit("trainer.val_check_interval", above(0), "must be positive; to leave out validation set "
          "--trainer.limit_val_batches 0"),
    Limit("trainer.check_val_every_n_epoch", at_least(1), "must be 1 or more; to leave out validation set "
          "--trainer.limit_val_batches 0"),
    Limit("trainer.num_sanity_val_steps", at_least(-1), "must be -1 (all), 0 (none) or a number of batches"),
    Limit("trainer.log_every_n_steps", at_least(0), "must not be negative"),
    Limit("trainer.reload_dataloaders_every_n_epochs", at_least(0), "must not be negative"),
    Limit("trainer.num_nodes", at_least(1), "must be 1 or more"),
    Limit("trainer.enable_checkpointing", lambda on: on is not False, "leaves no best epoch to test: for a trial set "
          "--trainer.fast_dev_run true"),
    Limit("checkpoint.monitor", bool, "must name the metric that chooses the best epoch, such as val/loss"),
    Limit("checkpoint.filename", stays_in_its_folder, "must name a file of the run folder, which "
          "--trainer.default_root_dir moves"),
    Limit("last_checkpoint.filename", stays_in_its_folder, "must name a file of the run folder, which "
          "--trainer.default_root_dir moves"),
    Limit("checkpoint.save_top_k", positive_or_endless, "must be positive, or -1 for all: 0 leaves none to test"),
    Limit("last_checkpoint.save_top_k", positive_or_endless, "must be positive: of 0 a run could not be resumed"),
    Limit("checkpoint.every_n_epochs", at_least(1), "must be 1 or more"),
    Limit("last_checkpoint.every_n_epochs", at_least(1), "must be 1 or more"),
    Limit("last_checkpoint.seconds", at_least(0), "must not be negative: 0 writes each epoch"),
    Limit("last_checkpoint.save_weights_only", lambda only: not only, "could not be resumed: leave it out"),
    Limit("optimizer.init_args.lr", above(0), "must be above 0"),
    Limit("optimizer.init_args.weight_decay", at_least(0), "must not be negative"),
    Limit("lr_scheduler.init_args.step_size", at_least(1), "must be 1 or more"),
    Limit("lr_scheduler.init_args.T_max", at_least(1), "must be 1 or more"),
)  # fmt: skip


def _validates(get: Callable[[str], Any]) -> bool:
    limit = get("trainer.limit_val_batches")
    return limit is None or limit > 0


def on_cpu(get: Callable[[str], Any]) -> bool:
    """Whether the Trainer of some settings takes a CPU."""
    gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    return get("trainer.accelerator") == "cpu" or (get("trainer.accelerator") == "auto" and not gpu)


def _is_launched(get: Callable[[str], Any]) -> bool:
    """Whether something has started this process that starts those of other nodes too, where there are to be any."""
    return get("trainer.num_nodes") in (None, 1) or any(name in os.environ for name in LAUNCHED)


def _processes_fit(get: Callable[[str], Any]) -> bool:
    """Whether no more processes are asked for than a CPU has cores; GPUs are counted by Lightning."""
    devices = str(get("trainer.devices"))
    return not (on_cpu(get) and devices.lstrip("-").isdigit()) or 0 < int(devices) <= MAX_CPU_PROCESSES


def _ends_after(what: str) -> Callable[[Callable[[str], Any]], bool]:
    def holds(get: Callable[[str], Any]) -> bool:
        least, most = get(f"trainer.min_{what}"), get(f"trainer.max_{what}")
        return not least or most in (None, -1) or least <= most

    return holds


def _within_the_epochs(option: str) -> Callable[[Callable[[str], Any]], bool]:
    def holds(get: Callable[[str], Any]) -> bool:
        every, epochs = get(option), get("trainer.max_epochs")
        return every is None or epochs in (None, -1) or every <= epochs

    return holds


RELATIONS = (
    Relation(_processes_fit, "On CPUs --trainer.devices is the number of processes, here from 1 to "
             f"{MAX_CPU_PROCESSES}: set --trainer.devices 1."),
    Relation(lambda get: not (on_cpu(get) and get("trainer.sync_batchnorm")),
             "--trainer.sync_batchnorm is for GPUs: set --trainer.sync_batchnorm false."),
    Relation(_is_launched, "--trainer.num_nodes above 1 waits for other nodes: start the same command on each with "
             "torchrun or srun, or set --trainer.num_nodes 1."),
    Relation(_ends_after("epochs"), "--trainer.min_epochs must not be above --trainer.max_epochs."),
    Relation(_ends_after("steps"), "--trainer.min_steps must not be above --trainer.max_steps."),
    Relation(lambda get: _validates(get) or not str(get("checkpoint.monitor")).startswith("val/"),
             "--trainer.limit_val_batches 0 leaves no validation to choose the best epoch by: set --checkpoint.monitor "
             "train/loss."),
    Relation(lambda get: not get("patience") or get("checkpoint.monitor") not in COUNTS,
             "--patience waits for a better epoch, but here the last one is the best: leave it out, or set "
             "--checkpoint.monitor val/loss --checkpoint.mode min."),
    Relation(_within_the_epochs("trainer.check_val_every_n_epoch"),
             "--trainer.check_val_every_n_epoch is above --trainer.max_epochs: nothing would be validated."),
    Relation(_within_the_epochs("checkpoint.every_n_epochs"),
             "--checkpoint.every_n_epochs is above --trainer.max_epochs: nothing would be saved."),
    Relation(lambda get: get("checkpoint.filename") is None
             or (get("checkpoint.filename"), get("checkpoint.dirpath") or "")
             != (get("last_checkpoint.filename"), get("last_checkpoint.dirpath") or ""),
             "--checkpoint.filename and --last_checkpoint.filename are one file: the best epoch and the last one need "
             "names of their own."),
)  # fmt: skip


def check_limits(settings: Any) -> None:
    """Raises InputError at the first setting that a run cannot use.

    Args:
        settings: A command line's Namespace; options that it lacks are not looked at.
    """
    if settings.get("folds") is not None:  # which run_recipe takes off a command line
        raise InputError(
            f"--folds {settings['folds']} is for the command line, as a config is of one run: give it there."
        )
    for option, holds, sentence in LIMITS:
        if option in settings and not holds(settings[option]):
            raise InputError(f"--{option.replace('init_args.', '')} {shown(settings[option])} {sentence}.")
    for group in ("data", "model"):
        for name, value in (settings.get(group) or {}).items():
            if value == "":
                raise InputError(f"--{group}.{name} is empty: give a value or leave it out.")
    for all_hold, sentence in RELATIONS:
        if not all_hold(settings.get):
            raise InputError(sentence)


def shown(value: Any) -> Any:
    """A value as it is written in YAML."""
    return json.dumps(value) if value is None or value == "" or isinstance(value, bool) else value


class MonitorCheck(Callback):
    """Looks, once a few batches have been validated, at the metric that chooses the best epoch: whether there is one.

    Args:
        monitor: The metric.
        mode: max or min, by which it is chosen.

    Raises:
        InputError: If the metric is not measured, or the worst epoch would be chosen.
    """

    def __init__(self, monitor: str, mode: str) -> None:
        self.monitor, self.mode = monitor, mode

    def on_sanity_check_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Looks among the validation's metrics; those of training are not known yet."""
        known = sorted(trainer.callback_metrics)
        if self.monitor in COUNTS:
            return
        if known and not self.monitor.startswith("train/") and self.monitor not in known:
            nearest = difflib.get_close_matches(self.monitor, known, n=1)
            meant = f", did you mean {nearest[0]}" if nearest else ""
            raise InputError(
                f"There is no metric {self.monitor}{meant}: set --checkpoint.monitor to one of {', '.join(known)}, or "
                "to one of training, such as train/loss."
            )
        higher = higher_is_better(pl_module).get(self.monitor, False if self.monitor.endswith("loss") else None)
        if higher is not None and higher != (self.mode == "max"):
            raise InputError(
                f"The {'higher' if higher else 'lower'} {self.monitor}, the better: set --checkpoint.mode "
                f"{'max' if higher else 'min'}."
            )


def higher_is_better(module: torch.nn.Module) -> dict[str, bool]:
    """Whether the best value of a module's metrics is the highest, by name, of those that have a best one."""
    collections = (part for part in module.modules() if isinstance(part, MetricCollection))
    metrics = {str(name): metric for collection in collections for name, metric in collection.items()}
    return {name: metric.higher_is_better for name, metric in metrics.items() if metric.higher_is_better is not None}
