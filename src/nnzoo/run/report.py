"""What a run says at its end: a table of metrics, and what its learning curves show."""

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch.callbacks import EarlyStopping

from nnzoo.baselines.base import Baselines

Curves = Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]]


def table(metrics: Mapping[str, float | str], model_name: str, notes: Sequence[str] = ()) -> str:
    """A text table: a row for each metric, a column for the model and for each baseline, and notes beneath.

    A baseline's metrics are named ``baseline/NAME/METRIC``, the model's ``STAGE/METRIC``.
    """
    rows: dict[str, dict[str, str]] = {}
    for name, value in metrics.items():
        stage, _, metric = name.partition("/")
        column = model_name
        if stage == "baseline":
            column, _, metric = metric.partition("/")
        cell = value if isinstance(value, str) else f"{value:.4f}"
        rows.setdefault(metric if stage in ("test", "baseline") else name, {})[column] = cell
    columns = [model_name, *sorted({column for row in rows.values() for column in row} - {model_name})]
    lines = [["metric", *columns]]
    lines += [[metric, *(row.get(column, "") for column in columns)] for metric, row in sorted(rows.items())]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    text = ["  ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])]).rstrip() for cells in lines]
    return "\n".join(["", text[0], "-" * len(text[0]), *text[1:], *notes])


def notes_of(trainer: Any, module: Any) -> list[str]:
    """What a table should say of its numbers: the units of a module's metrics, and what a baseline was fitted on."""
    notes = [getattr(module, "metric_note", "")]
    notes += [note for callback in trainer.callbacks if isinstance(callback, Baselines) for note in callback.notes]
    return [note for note in notes if note]


def ended_by_patience(trainer: Any) -> bool:
    """Whether a fit that is over ended before its last epoch, as ``--patience`` asks."""
    stopped = [callback.stopped_epoch for callback in trainer.callbacks if isinstance(callback, EarlyStopping)]
    return any(epoch and epoch + 1 == trainer.current_epoch for epoch in stopped)


def diagnosis(curves: Curves, ended_early: bool = False) -> str | None:
    """One sentence if the curves of the loss show divergence, over- or underfitting, else None.

    Divergence: see :func:`_divergence`.
    Overfitting: after its best epoch the validation loss rose by a tenth or more while the training loss, below it,
    went on falling; or the accuracy of training is a tenth or more above that of validation in the last epoch.
    Underfitting: the validation loss still fell by 2 % or more in the last tenth of the epochs.

    Args:
        curves: Quantity to stage to (epochs, values); "loss" with "train" and "val" is looked at, and "accuracy".
        ended_early: Whether ``--patience`` ended the fit, rather than the number of epochs.
    """
    loss = curves.get("loss", {})
    if "train" not in loss or "val" not in loss:
        return None
    (epochs, val), train = loss["val"], dict(zip(*loss["train"], strict=True))
    if diverged := _divergence(loss["train"][1], val):
        return diverged
    if len(val) < 10 or epochs[-1] not in train:
        return None
    best = min(range(len(val)), key=val.__getitem__)
    rise = val[-1] - val[best]
    start = train.get(epochs[best], train[epochs[-1]])
    if rise > 0.1 * abs(val[best]) and train[epochs[-1]] < min(start, val[-1]):
        return (
            f"Overfitting: since epoch {epochs[best]} the validation loss rose from {val[best]:.4g} to {val[-1]:.4g} "
            f"while the training loss fell from {start:.4g} to {train[epochs[-1]]:.4g}; more data, dropout, weight "
            "decay or --patience would help."
        )
    if gap := _gap(curves):
        return gap
    earlier = val[-1 - len(val) // 10]
    if earlier - val[-1] > max(0.02 * abs(earlier), 0.005 * (val[0] - min(val))):
        longer = "--patience" if ended_early else "--trainer.max_epochs"
        return (
            f"Underfitting: the validation loss was still falling, from {earlier:.4g} to {val[-1]:.4g} in the last "
            f"{len(val) // 10} epochs; a larger {longer} would help."
        )
    return None


def _divergence(train: Sequence[float], val: Sequence[float]) -> str | None:
    """Divergence, which steps that are too large bring about, and which a rising validation loss alone does not show.

    The training loss of an epoch is a thousand times that of the first, from which it may have come back to some
    plateau; or the validation loss of the last is above ten times that of the first, and the training loss no lower
    than it was: one that overfits has learned its training samples. Of losses that start below 0 nothing is said.
    """
    if not (train and val and train[0] > 0 and val[0] > 0):
        return None
    highest = max(train)
    rose = f"the training loss rose from {train[0]:.4g} in the first epoch to {highest:.4g}"
    if highest < 1000 * train[0]:
        if not (val[-1] > 10 * val[0] and train[-1] >= train[0]):
            return None
        rose = f"the validation loss rose from {val[0]:.4g} in the first epoch to {val[-1]:.4g}, and training fell none"
    return f"The fit diverged: {rose}; a smaller --model.lr would help."


def _gap(curves: Curves) -> str | None:
    """Overfitting that a loss need not show: a network may be right in training and surely wrong in validation."""
    accuracy = curves.get("accuracy", {})
    if "train" not in accuracy or "val" not in accuracy:
        return None
    train, val = (accuracy[stage][1][-1] for stage in ("train", "val"))
    if train - val < 0.1:
        return None
    return (
        f"Overfitting: the accuracy is {train:.4g} in training and {val:.4g} in validation; more data, augmentation, "
        "dropout or weight decay would help."
    )
