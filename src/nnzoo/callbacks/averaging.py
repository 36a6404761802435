"""Moving averages of the weights."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.trainer.states import TrainerFn


class EMA(EMAWeightAveraging):
    """Lightning's exponential moving average of weights and buffers, batch statistics included.

    Checkpoints hold the average as the model's weights, and the weights of the last step beside it, for resuming.
    Lightning's own callback takes the latter for a test that follows a fit as well, so that it would test other weights
    than it has validated.
    """

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restores average and last weights when a fit resumes; elsewhere the average is the model."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
