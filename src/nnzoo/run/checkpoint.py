"""Checkpoints that are whole or absent, and that carry all a run needs to go on bit for bit."""

import pickle
import random
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torchmetrics import Metric

import nnzoo
from nnzoo.data.facts import datamodule_of, held_facts
from nnzoo.errors import InputError
from nnzoo.files import replacing
from nnzoo.run.progress import steps_done
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
        InputError: If there is no such file, or it is truncated or no checkpoint at all.
    """
    if not Path(path).is_file():
        raise InputError(f"There is no checkpoint {path}: check --ckpt_path.")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise InputError(
            f"{path} is truncated or not a checkpoint: use another one, such as last.ckpt or best.ckpt of the run."
        ) from error
    if not isinstance(checkpoint, dict) or "state_dict" not in checkpoint:
        raise InputError(f"{path} is not a Lightning checkpoint: give one that a run has saved.")
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

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Adds the states of all processes."""
        state = {"random": random_states(), "metrics": metric_states(pl_module)}
        states: list[Any] = [state]
        if trainer.world_size > 1:
            states = [None] * trainer.world_size
            torch.distributed.all_gather_object(states, state)
        checkpoint[RESUME_KEY] = states
        checkpoint[CLASS_KEY] = public_name(type(pl_module))
        checkpoint[FACTS_KEY] = held_facts(datamodule_of(trainer))

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keeps the states until training starts, and tells ModelCheckpoint where a moved run folder is now."""
        self._states = checkpoint.get(RESUME_KEY)
        if self._states is not None and len(self._states) != trainer.world_size:
            rank_zero_warn("The run was saved on another number of devices: it goes on with other noise.")
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint) and callback.state_key in checkpoint.get("callbacks", {}):
                state = checkpoint["callbacks"][callback.state_key]
                checkpoint["callbacks"][callback.state_key] = moved_to(state, Path(str(callback.dirpath)))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Restores the random generators, or seeds each process in its own way."""
        state = self._state_of(trainer)
        if state is not None:
            set_random_states(state["random"])
        elif trainer.world_size > 1:
            seed = mix_seed(torch.initial_seed(), trainer.global_rank, steps_done(trainer))
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """After a resume in the middle of an epoch, restores the metrics, which Lightning resets at its start.

        Not the random generators again: the batch is there, and a dataset may have drawn from them.
        """
        if self._states is None:
            return
        state = self._state_of(trainer)
        if batch_idx > 0 and state is not None:
            set_metric_states(pl_module, state["metrics"])
        self._states = None

    def _state_of(self, trainer: L.Trainer) -> dict[str, Any] | None:
        # On another number of devices the noise cannot be the same: start anew.
        if self._states is None or len(self._states) != trainer.world_size:
            return None
        return self._states[trainer.global_rank]


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


def random_states() -> dict[str, Any]:
    """States of Python's, NumPy's and torch's random generators, as plain values and tensors."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - the global generator is what libraries draw from
    return {
        "python": random.getstate(),
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Restores what :func:`random_states` returned."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"].cpu())
    if states["cuda"] and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
    if states["mps"] is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(states["mps"].cpu())


def metric_states(module: torch.nn.Module) -> dict[str, dict[str, Any]]:
    """Accumulated values of every torchmetrics object in a module that has seen data, by its name."""
    return {
        name: {"count": metric._update_count, "values": metric.metric_state}
        for name, metric in module.named_modules()
        if isinstance(metric, Metric) and metric.update_called
    }


def set_metric_states(module: torch.nn.Module, states: dict[str, dict[str, Any]]) -> None:
    """Restores what :func:`metric_states` returned."""
    for name, state in states.items():
        metric = module.get_submodule(name)
        metric._update_count = state["count"]
        for key, value in state["values"].items():
            setattr(metric, key, _to(value, module))


def _to(value: Any, module: torch.nn.Module) -> Any:
    device = next(module.parameters()).device
    return [item.to(device) for item in value] if isinstance(value, list) else value.to(device)
