"""A recipe as a user gets it, with the training of its epochs on the clock."""

import importlib
import os
import tempfile
from collections.abc import Sequence
from typing import Any, ClassVar
from unittest import mock

import lightning as L

from benchmarks.measuring import Stopwatch
from nnzoo.run.configs import recipe_of

# Importing Lightning sets a variable that makes every optimiser step look for a GPU: only nnzoo is to pay for that.
NVML = {name: os.environ.pop(name) for name in ["PYTORCH_NVML_BASED_CUDA_CHECK"] if name in os.environ}
SHORT = (
    "--trainer.accelerator cpu --trainer.limit_val_batches 1 --trainer.limit_test_batches 1 --figures.draw false "
    "--baselines null"
)
"""What leaves training as it is, and shortens what comes before and after it."""


class Clock(L.Callback):
    """Times the training of epochs: from the start of one to the validation after it, or to its end if there is none.

    It has no hook for batches, so that those who count them, and the loop, do as they would without it.
    """

    latest: ClassVar["Clock"]
    """That of the last fit, with what was fitted."""
    steps = 1

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:  # noqa: D102
        Clock.latest, self.watch = self, Stopwatch(self.steps)
        self.module, self.clip = module, trainer.gradient_clip_val
        self.data: Any = trainer.datamodule  # type: ignore[attr-defined]

    def on_train_epoch_start(self, *args: Any) -> None:  # noqa: D102
        self.watch.start()

    def on_validation_start(self, *args: Any) -> None:  # noqa: D102
        self.watch.stop()

    def on_train_epoch_end(self, *args: Any) -> None:  # noqa: D102
        self.watch.stop()


def fit(config: str, steps: int, epochs: int, flags: Sequence[str] = ()) -> Clock:
    """Fits a recipe with its callbacks, logger, metrics and checkpoints, and gives back the clock that it ran by.

    Args:
        config: A packaged config.
        steps: Training batches of an epoch, at most as many as there are.
        epochs: Epochs, of which the first warms up.
        flags: Further flags of the recipe.
    """
    program = importlib.import_module(f"nnzoo.recipes.{recipe_of(config)}")
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, NVML):
        own = f"fit --config {config} {SHORT} --trainer.default_root_dir {folder}"
        own += f" --trainer.max_epochs {epochs} --trainer.limit_train_batches {steps}"
        with mock.patch.object(Clock, "steps", steps):
            program.main([*own.split(), f"--trainer.callbacks+={__name__}.Clock", *flags])
    return Clock.latest
