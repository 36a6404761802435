"""Weights in pieces on several devices (FSDP, arXiv:2304.11277), and what modules must know of it.

Outside of a step each device holds a piece of every weight, in one row: neither its shape nor its size is the weight's
own. Lightning lays the weights out between ``configure_model`` and ``on_fit_start``.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import lightning as L
from lightning.pytorch.strategies import FSDPStrategy
from torch import nn

from nnzoo.errors import InputError


def is_sharded(trainer: L.Trainer | None) -> bool:
    """Whether a Trainer divides the weights over its devices."""
    return trainer is not None and isinstance(trainer.strategy, FSDPStrategy)


def keep_shapes(parameters: Iterable[nn.Parameter]) -> None:
    """Keeps the shape of each weight beside it; FSDP leaves what is beside it alone."""
    for parameter in parameters:
        if not hasattr(parameter, "whole_shape"):
            parameter.whole_shape = parameter.shape  # type: ignore[attr-defined]


def size_of(parameter: nn.Parameter) -> int:
    """Numbers in a weight, whole."""
    return int(getattr(parameter, "whole_shape", parameter.shape).numel())


def check_shardable(module: Any) -> None:
    """Raises InputError if a module's weights cannot be divided."""
    hparams: Mapping[str, Any] = module.hparams
    if not module.shardable:
        raise InputError(
            f"The weights of {type(module).__name__} are not made to be divided over devices, as --config fsdp does: "
            "take --config multi_gpu."
        )
    if hparams.get("l1") or hparams.get("l2"):
        raise InputError(
            "l1 and l2 need whole weights, which --config fsdp divides over the devices: leave them out, set "
            "--model.weight_decay, or take --config multi_gpu."
        )
    kinds = {parameter.dtype for parameter in module.parameters()}
    if len(kinds) > 1:
        named = " and ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
        raise InputError(
            f"--config fsdp divides weights of one kind of numbers only, and these are {named}: leave out "
            "--model.base_precision and --model.load_in_4bit, and add --config bf16."
        )
