"""Callbacks and a model that tests hand to a recipe by import path, so that they reach subprocesses too."""

import os
import signal
from pathlib import Path
from unittest import mock

import torch
from lightning.pytorch.callbacks import Callback

from nnzoo import VAE


class KillAtStep(Callback):
    """Kills its own process, as a power cut would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class RecordBatches(Callback):
    """Saves the images of every training step of its process."""

    def __init__(self, folder: str) -> None:
        self.folder, self.images = Path(folder), []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.images.append(batch[0])

    def on_train_end(self, trainer, pl_module):
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.images, self.folder / f"rank{trainer.global_rank}.pt")


class RecordWeights(Callback):
    """Saves the last layer's weights after every training step."""

    def __init__(self, folder: str) -> None:
        self.folder, self.steps = Path(folder), []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps.append(pl_module.net.head[-1].weight.detach().clone())

    def on_fit_end(self, trainer, pl_module):
        self.folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.steps, self.folder / "steps.pt")


class NoiselessVAE(VAE):
    """A VAE whose loss is deterministic: the code is the posterior's mean."""

    def loss_terms(self, *args, **kwargs):
        with mock.patch("nnzoo.modules.vae.reparameterize", lambda mean, *_: mean[None]):
            return super().loss_terms(*args, **kwargs)
