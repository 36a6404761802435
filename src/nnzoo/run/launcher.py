"""What has started the processes of a run: this command, or torchrun, srun and their like."""

import os
from collections.abc import Mapping
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments import SLURMEnvironment
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.rank_zero import rank_zero_only, rank_zero_warn
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from nnzoo.errors import InputError


def is_global_zero() -> bool:
    """Whether this is the process that writes files."""
    return getattr(rank_zero_only, "rank", 0) == 0


def launched_processes() -> int:
    """The number of processes that a launcher has started; 1 without one."""
    if SLURMEnvironment.detect():
        return int(os.environ["SLURM_NTASKS"])
    return int(os.environ.get("WORLD_SIZE", "1"))


def check_launched(trainer: Mapping[str, Any]) -> None:
    """Raises InputError if a launcher has started other processes than a Trainer's settings make use of.

    Lightning looks only where it distributes: on one device every process would train by itself, all in one folder.

    Args:
        trainer: Settings of the Trainer.
    """
    processes = launched_processes()
    if processes == 1 or not isinstance(trainer["strategy"], str):
        return
    settings: dict[str, Any] = {name: trainer[name] for name in ("accelerator", "strategy", "devices", "num_nodes")}
    settings |= dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    try:
        used = L.Trainer(**settings).world_size
    except (ValueError, MisconfigurationException) as error:  # Lightning's own check, of several devices
        raise InputError(f"{processes} processes were started, which these settings do not fit: {error}") from error
    if used != processes:
        raise InputError(
            f"{processes} processes were started for settings that make use of {used}, so that each would train a "
            "model of its own: set --trainer.devices to the processes of a node and --trainer.strategy ddp, or add "
            "--config multi_gpu or multi_node."
        )


def warn_of_batch_norms(model: nn.Module, trainer: L.Trainer, synchronised: bool) -> None:
    """Warns where the batch statistics of several processes differ from those of one."""
    if trainer.world_size == 1 or synchronised or not any(isinstance(layer, _BatchNorm) for layer in model.modules()):
        return
    on_gpu = trainer.strategy.root_device.type != "cpu"
    one = "--trainer.devices 1, since PyTorch shares these statistics between GPUs only"
    rank_zero_warn(
        f"Batch norm: each of the {trainer.world_size} processes normalises by the mean and the variance of its own "
        "share of a batch, and the running averages of process 0 are kept for evaluation, so that weights and metrics "
        f"differ from those of one process: set {'--trainer.sync_batchnorm true' if on_gpu else one}."
    )
