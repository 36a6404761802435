"""Checkpoints that are whole or absent, and that carry all a run needs to go on bit for bit."""

import pickle
import random
import zipfile
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.fabric.utilities.apply_func import convert_tensors_to_scalars
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn

import nnzoo
from nnzoo.data.facts import datamodule_of, held_facts
from nnzoo.errors import InputError
from nnzoo.files import replacing
from nnzoo.run.carried import Changes, apply_to_optimizers, changed_hparams, check_epoch, take_over
from nnzoo.run.metrics_log import rows_written
from nnzoo.run.progress import PROGRESS_KEY, at_epoch_end, end_last_batch, metrics_logged, steps_done
from nnzoo.run.states import metric_states, random_states, set_metric_states, set_random_states
from nnzoo.seeds import mix_seed

RESUME_KEY = "nnzoo_exact_resume"
CLASS_KEY = "nnzoo_class"
FACTS_KEY = "nnzoo_facts"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its target and renames it, so that a kill or a full disk leaves the last one whole.

    Lightning's own writes to the system's temporary folder first; where that is another file system the move is a copy
    that can be cut short.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Saves the checkpoint; raises InputError, with the earlier file intact, if the disk is full or read-only."""
        target = Path(path)
        try:
            with replacing(target) as temporary, temporary.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:  # torch wraps some write errors in a RuntimeError
            raise InputError(
                f"Cannot save the checkpoint {target} ({error}): free some space or choose another "
                "--trainer.default_root_dir; earlier checkpoints are intact, go on with --resume."
            ) from error


def public_name(cls: type) -> str:
    """The name under which a class is imported, such as nnzoo.VAE: it stays where its file moves."""
    name = cls.__qualname__
    return f"nnzoo.{name}" if getattr(nnzoo, name, None) is cls else f"{cls.__module__}.{name}"


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The checkpoint's contents, on the CPU.

    Raises:
        InputError: If there is no such file, or it is truncated, of Lightning 1 or no checkpoint at all.
    """
    if not Path(path).is_file():
        raise InputError(f"There is no checkpoint {path}: check --ckpt_path.")
    try:
        if zipfile.is_zipfile(path):  # torch does not look at the checksums of the tensors
            with zipfile.ZipFile(path) as archive:
                if damaged := archive.testzip():
                    raise ValueError(f"{damaged} has another checksum than when it was written")
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    # Of a file that was cut off, the system says that its argument is invalid.
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError, zipfile.BadZipFile, OSError) as error:
        raise InputError(
            f"{path} is truncated, damaged or no checkpoint: use another, such as last.ckpt or best.ckpt of the run."
        ) from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise InputError(f"{path} is not a Lightning checkpoint: give one that a run has saved.")
    version = str(checkpoint.get("pytorch-lightning_version", "2"))
    if version.startswith(("0.", "1.")):
        raise InputError(f"{path} was saved by Lightning {version}: give one that a run of nnzoo has saved.")
    return checkpoint


class ExactResume(Callback):
    """Makes a resumed run give the same bits as one that was never stopped.

    Every checkpoint gets, for each process, the states of all random generators and of the module's metrics. Lightning
    saves neither (``seed_everything`` seeds once), and torchdata's stateful loader covers the loader only, whose
    position the sampler here knows anyway. In a run of several processes each starts from a seed of its own, so that
    no two draw the same noise.
    """

    def __init__(self) -> None:
        self._states: list[dict[str, Any]] | None = None
        self._metrics: dict[str, torch.Tensor] = {}
        self._batches: list[float] | None = None
        self._changed: Changes = {}
        self._stopped = False

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Adds the states of all processes."""
        state = {"random": random_states(), "metrics": metric_states(pl_module, metrics_logged(trainer))}
        states: list[Any] = [state]
        if trainer.world_size > 1:
            states = [None] * trainer.world_size
            torch.distributed.all_gather_object(states, state)
        checkpoint[RESUME_KEY] = states
        checkpoint[PROGRESS_KEY] = progress_of(trainer)
        end_last_batch(trainer, checkpoint)
        checkpoint[CLASS_KEY] = public_name(type(pl_module))
        checkpoint[FACTS_KEY] = held_facts(datamodule_of(trainer))

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keeps the states until training starts, and tells ModelCheckpoint where a moved run folder is now."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._changed = changed_hparams(pl_module, checkpoint)
            self._stopped = take_over(trainer, pl_module, checkpoint)
        self._states = checkpoint.get(RESUME_KEY)
        progress = checkpoint.get(PROGRESS_KEY, {})
        self._metrics, self._batches = progress.get("metrics", {}), progress.get("batches")
        if self._states is not None and len(self._states) != trainer.world_size:
            rank_zero_warn("The run was saved on another number of devices: it goes on with other noise.")
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.state_key in checkpoint.get("callbacks", {}):
                state = checkpoint["callbacks"][callback.state_key]
                checkpoint["callbacks"][callback.state_key] = moved_to(state, Path(str(callback.dirpath)))

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Keeps a fit that had stopped early from going on."""
        if self._stopped:
            trainer.should_stop = True
            rank_zero_info("The run had stopped early, and does not go on: a larger --patience would train further.")

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Applies changed settings, restores the random generators, or seeds each process in its own way.

        After a resume in the middle of an epoch, restores what the module's metrics have measured in it.
        """
        self._restore_metrics(trainer)
        check_epoch(trainer, self._batches)
        if self._changed:
            apply_to_optimizers(trainer, pl_module, self._changed)
        state, self._states = self._state_of(trainer), None
        if state is not None:
            set_random_states(state["random"])
            if trainer.fit_loop.restarted_mid_epoch:
                set_metric_states(pl_module, state["metrics"])
        elif trainer.world_size > 1:
            seed = mix_seed(torch.initial_seed(), trainer.global_rank, steps_done(trainer))
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restores the metrics of a fit that was over."""
        self._restore_metrics(trainer)
        if self._stopped:
            epochs: Any = trainer.fit_loop.epoch_progress.current
            epochs.completed = epochs.processed

    def _restore_metrics(self, trainer: L.Trainer) -> None:
        # For the record, and for what looks at those of an earlier epoch; a sanity check would reset them before.
        trainer.callback_metrics.update(self._metrics)
        self._metrics = {}

    def _state_of(self, trainer: L.Trainer) -> dict[str, Any] | None:
        # On another number of devices the noise cannot be the same: start anew.
        if self._states is None or len(self._states) != trainer.world_size:
            return None
        return self._states[trainer.global_rank]


def progress_of(trainer: L.Trainer) -> dict[str, Any]:
    """How far a fit is: steps, metrics, rows of metrics.csv, and the metrics of an epoch that are to be its next row.

    Lightning saves the checkpoint of an epoch before it logs the epoch's training metrics.
    """
    batches = [trainer.num_training_batches, trainer.accumulate_grad_batches]
    metrics = {name: value.detach().cpu() for name, value in trainer.callback_metrics.items()}
    steps, next_row = steps_done(trainer), {}
    if at_epoch_end(trainer):
        logged = convert_tensors_to_scalars(trainer._logger_connector.metrics["log"])
        next_row = {"epoch": trainer.current_epoch, **logged, "step": steps - 1} if logged else {}
    rows = rows_written(trainer)
    return {"steps": steps, "batches": batches, "metrics": metrics, "rows": rows, "next_row": next_row}


def moved_to(state: dict[str, Any], folder: Path) -> dict[str, Any]:
    """ModelCheckpoint's state for a run folder that was moved with its best checkpoint; Lightning would forget it."""
    best = folder / Path(state["best_model_path"]).name
    if not state["best_model_path"] or not best.is_file():
        return state

    def here(path: str) -> str:
        return str(folder / Path(path).name) if path else path

    paths = ("best_model_path", "kth_best_model_path", "last_model_path")
    best_k = {here(path): score for path, score in state["best_k_models"].items()}
    return {**state, "dirpath": str(folder), "best_k_models": best_k, **{name: here(state[name]) for name in paths}}
