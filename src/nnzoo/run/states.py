"""States of random generators and of metrics, as plain values and tensors, and putting them back."""

import random
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities import move_data_to_device
from torchmetrics import Metric

from nnzoo.metrics.waiting import Waiting


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


def metric_states(module: torch.nn.Module, logged: Collection[Metric] = ()) -> dict[str, dict[str, Any]]:
    """Accumulated values of every torchmetrics object in a module that has seen data, and what waits to be measured.

    Args:
        module: The module.
        logged: Metrics that were logged already, and so start anew.

    Returns:
        Them by the names of the parts that hold them.
    """
    done = set(map(id, logged))
    metrics = {
        name: {"count": metric._update_count, "values": metric.metric_state}
        for name, metric in module.named_modules()
        if isinstance(metric, Metric) and metric.update_called and id(metric) not in done
    }
    waiting = {
        name: {"waiting": part.batches}
        for name, part in module.named_modules()
        if isinstance(part, Waiting) and part.batches
    }
    return metrics | waiting


def set_metric_states(module: torch.nn.Module, states: dict[str, dict[str, Any]]) -> None:
    """Restores what :func:`metric_states` returned."""
    device = next(module.parameters()).device
    for name, state in states.items():
        part: Any = module.get_submodule(name)
        if isinstance(part, Waiting):
            part.batches = move_data_to_device(state["waiting"], device)
            continue
        part._update_count = state["count"]
        for key, value in move_data_to_device(state["values"], device).items():
            setattr(part, key, value)
