"""How far a fit is: in batches at which optimisers step, as loggers count, however many optimisers there are."""

from collections.abc import Mapping
from typing import Any

import lightning as L


def steps_done(trainer: L.Trainer) -> int:
    """Steps of the fit so far; Lightning's ``global_step`` counts those of every optimiser."""
    return trainer.fit_loop.epoch_loop._batches_that_stepped


def steps_at(checkpoint: Mapping[str, Any]) -> int:
    """Steps of the fit when a checkpoint was saved."""
    loop = checkpoint.get("loops", {}).get("fit_loop", {}).get("epoch_loop.state_dict", {})
    return loop.get("_batches_that_stepped", checkpoint.get("global_step", 0))
