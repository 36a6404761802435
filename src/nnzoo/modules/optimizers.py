"""Steps that the modules share: the optimiser and its schedule, batch checks, means per stage, image metrics."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch.optim.lr_scheduler import LambdaLR

from nnzoo.errors import InputError, check_choices

Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["constant", "cosine", "linear", "multistep"]


def configure_optimizer(module: L.LightningModule) -> OptimizerLRScheduler:
    """The optimiser and its schedule from the module's hyperparameters; what ``configure_optimizers`` returns.

    Reads ``lr``, ``weight_decay`` (applied to weight matrices and kernels, not to biases and norms),
    ``lr_schedule`` (constant; cosine or linear, down to 0 at the last step; multistep, to a tenth after half and a
    hundredth after three quarters of all steps) and ``lr_warmup`` (share of all steps during which the rate rises
    linearly from 0). Where a module has them, also ``optimizer`` (adamw, the default, or sgd) and sgd's
    ``momentum``.
    """
    hparams = module.hparams
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": parameters, "weight_decay": 0.0}]  # each group costs time at each step
    if hparams["weight_decay"]:
        groups = [
            {"params": [p for p in parameters if p.dim() > 1], "weight_decay": hparams["weight_decay"]},
            {"params": [p for p in parameters if p.dim() <= 1], "weight_decay": 0.0},
        ]
    # The fused kernel is the fastest on CPU and GPU, but unscales float16 gradients itself, which forbids clipping.
    # The decay given here is that of groups added later, as fine-tuning does.
    options = {
        "lr": hparams["lr"],
        "weight_decay": hparams["weight_decay"],
        "fused": module.trainer.precision != "16-mixed",
    }
    optimizer: torch.optim.Optimizer
    if hparams.get("optimizer") == "sgd":
        optimizer = torch.optim.SGD(groups, momentum=hparams["momentum"], **options)
    else:
        optimizer = torch.optim.AdamW(groups, **options)
    schedule, warmup = hparams["lr_schedule"], hparams["lr_warmup"]
    if schedule == "constant" and warmup == 0:
        return {"optimizer": optimizer}
    steps = module.trainer.estimated_stepping_batches
    if not math.isfinite(steps):
        raise InputError("A learning-rate schedule needs an end: set --trainer.max_epochs or --trainer.max_steps.")
    scheduler = FirstGroupsLR(optimizer, lambda step: schedule_factor(step, int(steps), schedule, warmup))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class FirstGroupsLR(LambdaLR):
    """A schedule of the parameter groups that the optimiser had at first; others are left to whoever added them.

    Fine-tuning adds the backbone's and sets its rate, for which torch's own schedule has no place.
    """

    def get_lr(self) -> list[Any]:
        """The rate of every group."""
        return [*super().get_lr(), *(group["lr"] for group in self.optimizer.param_groups[len(self.base_lrs) :])]


def schedule_factor(step: int, total_steps: int, schedule: Schedule, warmup: float) -> float:
    """The factor on the learning rate at a step: warm-up from 0 to 1, then the schedule up to the end."""
    warmup_steps = round(warmup * total_steps)
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    if schedule == "multistep":  # of all steps, so that warming up does not move the milestones
        return 0.1 ** sum(step >= share * total_steps for share in (0.5, 0.75))
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    return 1 - progress if schedule == "linear" else 1.0


def check_hyperparameters(module: L.LightningModule) -> None:
    """Raises InputError if a choice does not exist, or what :func:`configure_optimizer` reads is out of range."""
    check_choices(type(module), module.hparams)
    check_optimizer(module.hparams)


def check_optimizer(hparams: Mapping[str, Any]) -> None:
    """Raises InputError if the hyperparameters that :func:`configure_optimizer` reads are out of range."""
    if not hparams["lr"] > 0:
        raise InputError(f"lr must be above 0, got {hparams['lr']}: set --model.lr.")
    if hparams["weight_decay"] < 0:
        raise InputError(f"weight_decay must not be negative, got {hparams['weight_decay']}.")
    if not 0 <= hparams.get("momentum", 0.0) < 1:
        raise InputError(f"momentum goes from 0 to below 1, got {hparams['momentum']}.")
    if not 0 <= hparams["lr_warmup"] < 1:
        raise InputError(f"lr_warmup is a share of all steps, from 0 to below 1, got {hparams['lr_warmup']}.")
