"""Callbacks that tests hand to a recipe by import path, so that they reach other processes too."""

import json
import os
import signal
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback

from nnzoo.run.checkpoint import AtomicCheckpointIO
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


class KillAt(Callback):
    """Kills its own process at the n-th call of a hook, as a power cut would.

    Args:
        hook: Name of a hook of callbacks.
        call: Its calls, counted from 1; 0 for never.
    """

    def __init__(self, hook: str, call: int) -> None:
        self.left = call
        setattr(self, hook, self._called)

    def _called(self, trainer, *args):
        if trainer.sanity_checking:
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class KillAfterSaving(AtomicCheckpointIO):
    """Kills its own process as soon as a checkpoint of a name has been saved so many times; 0 for never."""

    def __init__(self, stem: str, times: int) -> None:
        super().__init__()
        self.stem, self.left = stem, times

    def save_checkpoint(self, checkpoint, path, storage_options=None):
        super().save_checkpoint(checkpoint, path, storage_options)
        due = Path(path).stem == self.stem
        self.left -= due
        if due and self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class RecordRates(Callback):
    """Writes the learning rate of every training step into the run folder."""

    def __init__(self) -> None:
        self.rates = []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_end(self, trainer, pl_module):
        Path(trainer.default_root_dir, "rates.json").write_text(json.dumps(self.rates))
