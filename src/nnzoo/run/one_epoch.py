"""One epoch for all folds of a cross-validation, by the mean of their curves, as published tables often have it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnzoo.errors import InputError
from nnzoo.run.folder import METRICS, RESULT
from nnzoo.run.metrics_log import Curves, curves_in


@dataclass(frozen=True)
class OneEpoch:
    """The epoch at which the mean of a curve over the folds is best, and what the folds measured in it.

    Attributes:
        epoch: Counted from 1; the first of several that are as good.
        epochs: How many epochs of all folds were looked at.
        by: What it is the best by, such as "highest val/accuracy".
        values: For each quantity of validation, such as accuracy, that of every fold.
    """

    epoch: int
    epochs: int
    by: str
    values: dict[str, list[float]]


def one_epoch(folds: Sequence[Curves], by: str) -> OneEpoch:
    """Averages the folds' curves and takes the best epoch (Xu et al. 2019, arXiv:1810.00826, for GIN).

    Args:
        folds: Of each fold: quantity to stage to (epochs, values), see :func:`nnzoo.run.metrics_log.curves_in`.
        by: The curve that decides, such as "highest val/accuracy".

    Raises:
        InputError: If a fold has no such curve, or they have no epoch in common in which all are numbers.
    """
    how, _, name = by.partition(" ")
    stage, _, quantity = name.partition("/")
    curves = [dict(zip(*fold.get(quantity, {}).get(stage, ([], [])), strict=True)) for fold in folds]
    common = sorted(set.intersection(*(set(curve) for curve in curves)))
    # Comparisons with NaN are False: a sum that is one differs from itself.
    sums = {epoch: total for epoch in common if (total := sum(curve[epoch] for curve in curves)) == total}
    if not sums:
        raise InputError(
            "--folds_rule one_epoch chooses by a curve that every fold has in metrics.csv: let --checkpoint.monitor "
            "name a metric of validation, such as val/loss, and leave out --trainer.fast_dev_run and --trainer.logger."
        )
    best = (max if how == "highest" else min)(sums, key=sums.__getitem__)
    values: dict[str, list[float]] = {}
    for other in folds[0]:
        measured = [dict(zip(*fold.get(other, {}).get("val", ([], [])), strict=True)).get(best) for fold in folds]
        found = [value for value in measured if value is not None]
        if len(found) == len(folds):
            values[other] = found
    return OneEpoch(int(best), len(common), by, values)


def curves_of_run(root: Path) -> tuple[Curves, str]:
    """The curves of the one run below a folder, and what its best checkpoint was chosen by; nothing without files."""
    metrics, results = list(root.rglob(METRICS)), list(root.rglob(RESULT))
    if not (metrics and results):
        return {}, ""
    record: Mapping[str, str] = json.loads(results[0].read_text(encoding="utf-8"))
    return curves_in(metrics[0]), record["best_by"]
