"""Stops a run whose loss is no longer a number, before it overwrites a good checkpoint."""

import math
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from nnzoo.errors import InputError
from nnzoo.modules.base import ZooModule
from nnzoo.run.progress import steps_done

EVERY = 50
"""Steps between two looks where nothing is logged within an epoch."""


class NaNGuard(Callback):
    """Raises InputError when a training loss or a weight is NaN or infinite, or a loss beyond a module's ``most_loss``.

    The losses, all that the module's means add up and the one that a step returns, are looked at after every step on a
    CPU and every ``log_every_n_steps`` steps elsewhere, as a look waits for the device; the weights before every
    checkpoint, so a checkpoint never holds NaN. What the module knows of the batch is said too (``loss_context()``).
    """

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks the losses."""
        waits = pl_module.device.type != "cpu"
        if waits and batch_idx % (getattr(trainer, "log_every_n_steps", 1) or EVERY):
            return
        module = pl_module if isinstance(pl_module, ZooModule) else None
        loss = float(outputs["loss"]) if isinstance(outputs, dict) and "loss" in outputs else 0.0
        if module is not None and module.losses_wait and math.isfinite(loss) and not waits:
            return  # it stands for those of the means
        losses = module.means.lost("train", module.most_loss) if module else {}
        if not math.isfinite(loss):
            losses = {"loss": loss}
        if losses:
            found = ", the ".join(f"{name.replace('_', ' ')} is {value:.4g}" for name, value in losses.items())
            context = module.loss_context() if module else ""
            self._stop(trainer, pl_module, f"The {found}{f' {context}' if context else ''}")

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Checks the weights."""
        for name, parameter in pl_module.named_parameters():
            if not torch.isfinite(parameter).all():
                self._stop(trainer, pl_module, f"The weights {name} hold NaN or infinite values")

    def _stop(self, trainer: L.Trainer, module: L.LightningModule, finding: str) -> None:
        # Lightning clips no gradients of a module that makes its steps itself.
        clip = ", clip gradients (--trainer.gradient_clip_val 1)" if module.automatic_optimization else ""
        raise InputError(
            f"{finding} in epoch {trainer.current_epoch}, step {steps_done(trainer)}: lower --model.lr{clip} or look "
            "for NaN in the data. Earlier checkpoints are intact."
        )
