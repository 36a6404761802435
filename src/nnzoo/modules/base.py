"""What all modules share: means per stage, logged once per epoch, and the optimiser."""

import math
from collections.abc import Sequence
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerLRScheduler

from nnzoo.metrics.means import StageMeans
from nnzoo.modules.optimizers import configure_optimizer
from nnzoo.seeds import mix_seed

FEW_STEPS, ENOUGH_STEPS = 200, 1000


class ZooModule(L.LightningModule):
    """A LightningModule that measures loss terms in ``self.means`` and reads its optimiser from its hyperparameters.

    A subclass sets ``self.means`` and updates it in its steps.
    """

    means: StageMeans

    def log_stage(self, stage: str) -> None:
        """Logs what was measured in a stage; a subclass with further metrics adds them here."""
        self.means.log(self, stage)

    def on_train_start(self) -> None:
        """Warns if the fit has too few steps for a network to learn much, as on a small file of the user's."""
        trainer = self.trainer
        steps, epochs = trainer.estimated_stepping_batches, trainer.max_epochs
        if trainer.limit_train_batches != 1.0 or getattr(trainer, "fast_dev_run", False) or not epochs:
            return  # as asked for
        if steps < FEW_STEPS:
            rank_zero_warn(
                f"This fit takes {steps:.0f} steps of the optimiser only, few for a network: set --trainer.max_epochs "
                f"{math.ceil(epochs * ENOUGH_STEPS / steps)}, say, or a smaller --data.batch_size."
            )

    def on_train_epoch_end(self) -> None:
        """Logs the means of the epoch."""
        self.log_stage("train")

    def on_validation_epoch_end(self) -> None:
        """Logs the means over the validation samples."""
        self.log_stage("val")

    def on_test_epoch_end(self) -> None:
        """Logs the means over the test samples."""
        self.log_stage("test")

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW with the configured schedule."""
        return configure_optimizer(self)

    def prediction_columns(self, predictions: Sequence[Any], classes: Sequence[str]) -> dict[str, Any]:
        """What ``predict_step`` returned for all batches as columns of a table; empty if a table cannot hold it.

        Args:
            predictions: Batch by batch.
            classes: The datamodule's names of the classes, or of the columns to forecast.
        """
        return {}

    def evaluation_generator(self, batch_idx: int) -> torch.Generator:
        """Noise for one evaluation batch: the same in every evaluation with these batches on these devices.

        It leaves the global generator, and so the training's noise, alone.
        """
        rank = self.global_rank if self._trainer else 0
        return torch.Generator(self.device).manual_seed(mix_seed(rank, batch_idx))
