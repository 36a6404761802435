"""How far a fit is: in batches at which optimisers step, as loggers count, however many optimisers there are."""

from collections.abc import Mapping
from typing import Any

import lightning as L
from torchmetrics import Metric

PROGRESS_KEY = "nnzoo_progress"


def steps_done(trainer: L.Trainer) -> int:
    """Steps of the fit so far; Lightning's ``global_step`` counts those of every optimiser."""
    loop = trainer.fit_loop.epoch_loop
    batches: Any = loop.batch_progress.current
    # Lightning counts a step once the validation that follows it is over.
    uncounted = batches.processed > batches.completed or (trainer.validating and not trainer.sanity_checking)
    return loop._batches_that_stepped + int(uncounted and not loop._should_accumulate())


def steps_at(checkpoint: Mapping[str, Any]) -> int:
    """Steps of the fit when a checkpoint was saved."""
    return checkpoint.get(PROGRESS_KEY, {}).get("steps", checkpoint.get("global_step", 0))


def metrics_logged(trainer: L.Trainer) -> list[Metric]:
    """The metrics of a validation within a fit that is over, but for the reset of these."""
    results = trainer._results.result_metrics if trainer.validating and trainer._results is not None else []
    return [result.value for result in results if isinstance(result.value, Metric)]


def at_epoch_end(trainer: L.Trainer) -> bool:
    """Whether an epoch's last batch and the validation after it are over, but its training metrics not yet logged."""
    return trainer.training and trainer._logger_connector._first_loop_iter is None and trainer._results is not None


def end_last_batch(trainer: L.Trainer, checkpoint: dict[str, Any]) -> None:
    """Makes a checkpoint that is saved between a batch and its validation, or the end of its epoch, go on with these.

    Lightning would leave them out: it takes them for done. A checkpoint in the middle of a validation starts it again.
    """
    loop = trainer.fit_loop.epoch_loop
    batches: Any = loop.batch_progress.current
    if batches.processed == batches.completed:
        return
    fetcher: Any = trainer.fit_loop._data_fetcher
    validates = loop._should_check_val_fx(fetcher)
    if not validates and not loop._num_ready_batches_reached():
        return
    states = checkpoint["loops"]["fit_loop"]
    for counts in ("current", "total"):
        saved = states["epoch_loop.batch_progress"][counts]
        saved["completed"] = saved["processed"]
        if validates:
            started = {"ready": 1, "started": 1, "processed": 0, "completed": 0}
            states["epoch_loop.val_loop.batch_progress"][counts] = started
    if not validates:
        states["epoch_loop.state_dict"]["_batches_that_stepped"] = steps_done(trainer)
