"""What the training part says about the scale of its columns."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nnzoo.errors import InputError

LARGEST_LEVEL = 1e5
"""Of mean over standard deviation: beyond it, float32's seven digits leave a column's movement less than two."""


def check_columns(columns: Sequence[str], rows: NDArray[np.float64]) -> None:
    """Raises InputError if a column of the training rows (N, D) is constant, or too far from 0 for float32."""
    spreads, means, stds = np.ptp(rows, axis=0), rows.mean(axis=0), rows.std(axis=0)
    for name, spread, mean, std in zip(columns, spreads, means, stds, strict=True):
        if not spread > 0:
            raise InputError(
                f"Column {name} is constant in the training part: choose another --data.target, or leave it out with "
                "--data.drop."
            )
        if abs(mean) > LARGEST_LEVEL * std:
            raise InputError(
                f"Column {name} has mean {mean:.6g} but standard deviation {std:.3g} in the training part, which is "
                "lost in the float32 numbers that networks take: subtract a constant from the column, such as its "
                "first value, or difference it."
            )


def naive_errors(parts: Sequence[NDArray[np.float64]], season: int) -> NDArray[np.float64]:
    """The scale of MASE for each series and column (S, D): mean |y_t - y_(t - season)| within its training part.

    The mean is over the T - season differences (Hyndman & Koehler 2006). It is 0 where there is no scale: in a training
    part of a season or less, or one that repeats exactly, up to the rounding of float32.

    Args:
        parts: The training rows of each series, (T, D).
        season: Steps after which the series repeat.
    """
    errors = np.zeros((len(parts), parts[0].shape[1]))
    for error, rows in zip(errors, parts, strict=True):
        if len(rows) > season:
            error[:] = np.abs(rows[season:] - rows[:-season]).mean(axis=0)
            error[error <= np.finfo(np.float32).eps * np.abs(rows).max(axis=0)] = 0
    return errors
