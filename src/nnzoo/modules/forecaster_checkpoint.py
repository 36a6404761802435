"""Whether a forecaster's checkpoint is of data like those at hand."""

from collections.abc import Mapping, Sequence
from typing import Any

from nnzoo.errors import InputError

OPTIONS = {
    "history": "--data.history",
    "horizon": "--data.horizon",
    "season": "--data.season",
    "column_mean": "--data.inputs and --data.targets",
    "target_columns": "--data.target and --data.targets",
}
"""What a checkpoint must share with the data besides its columns' names, and the options that set it."""


def check_same_data(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Raises InputError if the data have other columns, or windows of other sizes, than the checkpoint.

    Args:
        ours: The hyperparameters that follow from the data at hand.
        theirs: Those in the checkpoint.
    """
    _check_columns(ours.get("columns", ()), theirs.get("columns", ()))
    differing = [name for name in OPTIONS if _size(name, ours[name]) != _size(name, theirs[name])]
    if differing:
        saved, given = (
            " and ".join(f"{name} {_size(name, hparams[name])}" for name in differing) for hparams in (theirs, ours)
        )
        options = ", ".join(OPTIONS[name] for name in differing)
        raise InputError(f"The checkpoint is of data with {saved}, these have {given}: set {options} to match.")


def _check_columns(ours: Sequence[str], theirs: Sequence[str]) -> None:
    if not ours or not theirs or list(ours) == list(theirs):  # without names they cannot be compared
        return
    missing, further = (
        ", ".join(column for column in some if column not in others) or "none"
        for some, others in ((theirs, ours), (ours, theirs))
    )
    if missing == further:
        raise InputError(
            f"The checkpoint has its columns in another order than these data: sort them as {', '.join(theirs)}."
        )
    raise InputError(
        f"The columns are not the checkpoint's (missing: {missing}; not in the checkpoint: {further}): set "
        f"--data.drop, --data.inputs and --data.target to get {', '.join(theirs)}."
    )


def _size(name: str, value: Any) -> Any:
    if name == "column_mean":
        return f"of {len(value[0])} columns"
    return list(value) if name == "target_columns" else value
