"""Callbacks that tests hand to a recipe by import path, so that they reach other processes too."""

import os
import signal
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback

from nnzoo.run.progress import steps_done


class KillAtStep(Callback):
    """Kills its own process before a step of the fit, as a power cut would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if steps_done(trainer) == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class RecordBatches(Callback):
    """Saves the batch of every training step of its process."""

    def __init__(self, folder: str) -> None:
        self.folder, self.batches = Path(folder), []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.batches.append(batch)

    def on_train_end(self, trainer, pl_module):
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.batches, self.folder / f"rank{trainer.global_rank}.pt")


class RecordWeights(Callback):
    """Saves the last layer's weights after every training step."""

    def __init__(self, folder: str) -> None:
        self.folder, self.steps = Path(folder), []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps.append(pl_module.net.head[-1].weight.detach().clone())

    def on_fit_end(self, trainer, pl_module):
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.steps, self.folder / "steps.pt")
