"""Stops a run whose loss is no longer a number, before it overwrites a good checkpoint."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from nnzoo.errors import InputError


class NaNGuard(Callback):
    """Raises InputError when the training loss or a weight is NaN or infinite.

    The loss is looked at every ``log_every_n_steps`` steps (each look waits for a GPU to finish); the weights before
    every checkpoint, so a checkpoint never holds NaN.
    """

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Checks the loss."""
        every = getattr(trainer, "log_every_n_steps", 1)
        if batch_idx % every == 0 and isinstance(outputs, dict) and "loss" in outputs:
            loss = outputs["loss"]
            if not torch.isfinite(loss):
                self._stop(trainer, f"The loss is {loss.item()}")

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Checks the weights."""
        for name, parameter in pl_module.named_parameters():
            if not torch.isfinite(parameter).all():
                self._stop(trainer, f"The weights {name} hold NaN or infinite values")

    def _stop(self, trainer: L.Trainer, finding: str) -> None:
        raise InputError(
            f"{finding} in epoch {trainer.current_epoch}, step {trainer.global_step}: lower --model.lr, clip gradients "
            "(--trainer.gradient_clip_val 1) or look for NaN in the data. Earlier checkpoints are intact."
        )
