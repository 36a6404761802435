"""Settings that a checkpoint's states carry: when a fit resumes, those that were given act, or are refused."""

from collections.abc import Mapping, Sequence
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.callbacks.early_stopping import EarlyStoppingReason

from nnzoo.errors import InputError
from nnzoo.modules.base import ZooModule
from nnzoo.modules.optimizers import FirstGroupsLR
from nnzoo.parameters import same_value
from nnzoo.run.progress import steps_at

BY_PATIENCE = (EarlyStoppingReason.NOT_STOPPED, EarlyStoppingReason.PATIENCE_EXHAUSTED)
Changes = dict[str, tuple[Any, Any]]


def changed_hparams(module: L.LightningModule, checkpoint: Mapping[str, Any]) -> Changes:
    """Hyperparameters in which a module differs from the one that was saved: (saved, given) by name."""
    saved, given = checkpoint.get("hyper_parameters", {}), module.hparams
    both = {name: (saved[name], given[name]) for name in saved.keys() & given.keys()}
    return {name: values for name, values in sorted(both.items()) if not same_value(*values)}


def take_over(trainer: L.Trainer, module: L.LightningModule, checkpoint: dict[str, Any]) -> bool:
    """Lets the settings of callbacks and schedules act instead of those in a checkpoint that is about to be loaded.

    Returns:
        Whether the fit had stopped early, and still has to under these settings.

    Raises:
        InputError: If a setting cannot be changed in the middle of a fit.
    """
    _check_best(trainer, checkpoint)
    if has_own_optimizer(module):
        _check_optimizer(module, checkpoint)
    stopped = False
    for callback in trainer.early_stopping_callbacks:
        state = checkpoint["callbacks"].get(callback.state_key)
        if state is not None:
            state["patience"] = callback.patience
            other_reason = EarlyStoppingReason(state["stopping_reason"]) not in BY_PATIENCE
            stopped |= other_reason or state["wait_count"] >= callback.patience
    return stopped


def _check_best(trainer: L.Trainer, checkpoint: Mapping[str, Any]) -> None:
    states = [state for name, state in checkpoint["callbacks"].items() if name.startswith(ModelCheckpoint.__qualname__)]
    saved = {str(state["monitor"]) for state in states if state["monitor"]}
    callbacks = [callback for callback in trainer.checkpoint_callbacks if isinstance(callback, ModelCheckpoint)]
    given = {callback.monitor for callback in callbacks if callback.monitor}
    if saved and not given <= saved:
        raise InputError(
            f"The run chooses its best checkpoint by {' and '.join(sorted(saved))}, which cannot be compared with "
            f"{' and '.join(sorted(given - saved))}: leave out --checkpoint.monitor, or start a new run."
        )
    if saved and not {callback.state_key for callback in callbacks if callback.monitor} <= set(checkpoint["callbacks"]):
        raise InputError(
            "The run chooses its best checkpoint at other epochs or steps: leave out --checkpoint.every_n_epochs and "
            "the like, or start a new run."
        )


def has_own_optimizer(module: L.LightningModule) -> bool:
    """Whether the hyperparameters make the optimiser, rather than the command line's ``--optimizer``."""
    return isinstance(module, ZooModule) and "configure_optimizers" not in vars(module)


def _check_optimizer(module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
    changed = changed_hparams(module, checkpoint)
    if "optimizer" in changed:
        saved, given = changed["optimizer"]
        raise InputError(
            f"The run's states are those of the optimizer {saved}, which {given} cannot use: leave out "
            "--model.optimizer, or start a new run."
        )
    saved, given = changed.get("weight_decay", (0.0, 0.0))
    if bool(saved) != bool(given):
        raise InputError(
            f"The run was started with weight_decay {saved}; it can be changed, but not between none and some, as "
            f"{given} would: leave out --model.weight_decay, or start a new run."
        )
    if not checkpoint["lr_schedulers"]:
        # The rate was constant so far; a schedule that is given now starts with the step that the fit is at.
        steps = steps_at(checkpoint)
        state = {"last_epoch": steps, "_step_count": steps + 1, "lr_lambdas": []}
        checkpoint["lr_schedulers"] = [dict(state) for _ in checkpoint["optimizer_states"]]


def apply_to_optimizers(trainer: L.Trainer, module: L.LightningModule, changed: Changes) -> None:
    """Sets changed hyperparameters in optimisers whose states were loaded; schedules have the rates of their own."""
    if not has_own_optimizer(module):
        return
    schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
    saved_rate, rate = changed.get("lr", (1.0, 1.0))
    if "lr" in changed and not all(isinstance(scheduler, FirstGroupsLR) for scheduler in schedulers):
        raise InputError(f"The run's scheduler goes on with its own rates: leave out --model.lr {rate}.")
    for optimizer in trainer.optimizers:
        for group in optimizer.param_groups:
            if "momentum" in changed and "momentum" in group:
                group["momentum"] = changed["momentum"][1]
            if "weight_decay" in changed and group["weight_decay"]:
                group["weight_decay"] = changed["weight_decay"][1]
            if any(scheduler.optimizer is optimizer for scheduler in schedulers):
                continue
            last = group.get("initial_lr", group["lr"])  # a schedule may have been given up
            group["lr"] = rate if last == saved_rate else last * (rate / saved_rate)


def check_epoch(trainer: L.Trainer, saved: Sequence[float] | None) -> None:
    """Raises InputError if epochs have other numbers of batches or steps than those before: the positions are lost.

    Args:
        trainer: Of the fit.
        saved: Batches of an epoch and of a step, as a checkpoint holds them.
    """
    given = [trainer.num_training_batches, trainer.accumulate_grad_batches]
    if saved is not None and list(saved) != given:
        (batches, each), (now, now_each) = saved, given
        raise InputError(
            f"The run had {batches} batches in an epoch and {each} in a step, these settings make it {now} and "
            f"{now_each}: leave out what changes that, such as --data.batch_size, or start a new run."
        )
