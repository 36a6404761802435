"""The optimiser and its schedule, from a module's hyperparameters."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerConfig, OptimizerLRSchedulerConfig
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from nnzoo.errors import InputError
from nnzoo.nets.layers import is_decayed

Optimizer = Literal["adamw", "rmsprop", "sgd"]
Schedule = Literal["constant", "cosine", "linear", "multistep"]


def build_optimizer(
    parameters: Iterable[nn.Parameter],
    hparams: Mapping[str, Any],
    trainer: L.Trainer,
    steps: float | None = None,
    shares: Mapping[nn.Parameter, float] | None = None,
) -> OptimizerConfig | OptimizerLRSchedulerConfig:
    """An optimiser of some parameters and its schedule, as ``configure_optimizers`` returns them.

    Args:
        parameters: What to train; those that are frozen are left out.
        hparams: The hyperparameters that :class:`nnzoo.modules.base.ZooModule` documents.
        trainer: Of the fit.
        steps: Steps of this optimiser in the whole fit; the trainer's estimate, for one optimiser, if None.
        shares: Share of the learning rate that a parameter has, where that is not 1.

    Raises:
        InputError: If a schedule has no end.
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    groups = [group for share, chosen in by_share(trained, shares) for group in by_decay(chosen, hparams, share)]
    # The decay given here is that of groups added later, as fine-tuning does.
    options = {"lr": hparams["lr"], "weight_decay": hparams["weight_decay"]}
    fused = may_be_fused(trainer)
    optimizer: torch.optim.Optimizer
    if hparams["optimizer"] == "sgd":
        optimizer = torch.optim.SGD(groups, momentum=hparams["momentum"], fused=fused, **options)
    elif hparams["optimizer"] == "rmsprop":
        optimizer = torch.optim.RMSprop(groups, **options)  # there is no fused one
    else:
        betas = tuple(hparams.get("betas", (0.9, 0.999)))
        optimizer = torch.optim.AdamW(groups, betas=betas, fused=fused, **options)
    schedule, warmup = hparams["lr_schedule"], hparams["lr_warmup"]
    if schedule == "constant" and warmup == 0:
        return {"optimizer": optimizer}
    steps = trainer.estimated_stepping_batches if steps is None else steps
    if not math.isfinite(steps):
        raise InputError("A learning-rate schedule needs an end: set --trainer.max_epochs or --trainer.max_steps.")
    total = int(steps)
    scheduler = FirstGroupsLR(optimizer, lambda step: schedule_factor(step, total, schedule, warmup))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def by_share(
    parameters: list[nn.Parameter], shares: Mapping[nn.Parameter, float] | None
) -> list[tuple[float, list[nn.Parameter]]]:
    """Parameters by their share of the learning rate, the largest first."""
    found: dict[float, list[nn.Parameter]] = {}
    for parameter in parameters:
        found.setdefault((shares or {}).get(parameter, 1.0), []).append(parameter)
    return sorted(found.items(), key=lambda one: -one[0]) or [(1.0, [])]


def by_decay(parameters: list[nn.Parameter], hparams: Mapping[str, Any], share: float) -> list[dict[str, Any]]:
    """Parameter groups of a share of the learning rate: one, or with weight decay one with and one without it."""
    decay, rate = hparams["weight_decay"], hparams["lr"] * share
    if not decay:
        return [{"params": parameters, "weight_decay": 0.0, "lr": rate}]  # each group costs time at each step
    decayed, spared = ([p for p in parameters if is_decayed(p) == which] for which in (True, False))
    return [{"params": decayed, "weight_decay": decay, "lr": rate}, {"params": spared, "weight_decay": 0.0, "lr": rate}]


def may_be_fused(trainer: L.Trainer) -> bool:
    """Whether the fused kernel, the fastest on CPU and GPU, may be used.

    It unscales float16 gradients itself, and Lightning clips no gradients of a fused optimiser under mixed precision.
    """
    precision = str(trainer.precision)
    return precision != "16-mixed" and not (precision.endswith("-mixed") and trainer.gradient_clip_val)


class FirstGroupsLR(LambdaLR):
    """A schedule of the parameter groups that the optimiser had at first; others are left to whoever added them.

    Fine-tuning adds the backbone's and sets its rate, for which torch's own schedule has no place. A resumed fit takes
    from its checkpoint how many steps were made; rates, shape and length are those of its own settings.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on at the step of a saved schedule: at the rate that this one has there."""
        rates = self.base_lrs
        super().load_state_dict(state_dict)
        self.base_lrs = rates
        for group, rate, factor in zip(self.optimizer.param_groups, rates, self.lr_lambdas, strict=False):
            group["initial_lr"], group["lr"] = rate, rate * factor(self.last_epoch)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

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


def check_optimizer(hparams: Mapping[str, Any]) -> None:
    """Raises InputError if the hyperparameters that :func:`build_optimizer` reads are out of range."""
    for name in ("lr", "weight_decay", "momentum", "lr_warmup"):
        if not isinstance(hparams[name], int | float):
            raise InputError(f"{name} must be a number, got {hparams[name]!r}: set --model.{name}.")
    if not hparams["lr"] > 0:
        raise InputError(f"lr must be above 0, got {hparams['lr']}: set --model.lr.")
    if hparams["weight_decay"] < 0:
        raise InputError(f"weight_decay must not be negative, got {hparams['weight_decay']}.")
    if not 0 <= hparams["momentum"] < 1:
        raise InputError(f"momentum goes from 0 to below 1, got {hparams['momentum']}.")
    if not 0 <= hparams["lr_warmup"] < 1:
        raise InputError(f"lr_warmup is a share of all steps, from 0 to below 1, got {hparams['lr_warmup']}.")
