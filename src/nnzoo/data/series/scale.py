"""What the training part says about the scale of each series' columns."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from nnzoo.errors import InputError

Values = NDArray[np.float64]

FAR = 1e3
"""Of mean over standard deviation: beyond it, float32's seven digits leave a column's movement less than four."""
LARGEST_LEVEL = 1e10
"""Of mean over standard deviation: beyond it, a column does not move but for the rounding of its numbers."""


def column_scales(parts: Sequence[Values]) -> tuple[Values, Values]:
    """Mean and standard deviation of each series and column in its training part, each (S, D).

    A column that does not move in one series, such as a product not yet sold, takes the median of the other series'
    standard deviations.

    Args:
        parts: The training rows of each series, (T, D).
    """
    scalers = [StandardScaler().fit(rows) for rows in parts]
    mean, variance = (np.stack([getattr(scaler, name) for scaler in scalers]) for name in ("mean_", "var_"))
    std = np.sqrt(variance)
    still = std <= np.abs(mean) / LARGEST_LEVEL
    usual = np.ma.median(np.ma.masked_array(std, still), axis=0)
    return mean, np.where(still, np.ma.filled(usual, 1.0), std)


def offsets_of(mean: Values, std: Values) -> Values:
    """What is taken from values before they become float32: their mean where it is far from 0, else 0.

    It is a float32 number itself, so that adding it gives the values back.
    """
    return np.where(np.abs(mean) > FAR * std, mean.astype(np.float32), 0.0)


def check_columns(columns: Sequence[str], parts: Sequence[Values]) -> None:
    """Raises InputError if a column does not move in the training part of any series, or less than numbers can say.

    Args:
        columns: Names of the D columns.
        parts: The training rows of each series, (T, D).
    """
    for number, column in enumerate(columns):
        mean, std = (np.array([measure(rows[:, number]) for rows in parts]) for measure in (np.mean, np.std))
        if (std > np.abs(mean) / LARGEST_LEVEL).any():
            continue
        if not any(np.ptp(rows[:, number]) > 0 for rows in parts):
            raise InputError(
                f"Column {column} is constant in the training part: choose another --data.target, or leave it out with "
                "--data.drop."
            )
        raise InputError(
            f"Column {column} has mean {mean[0]:.6g} but standard deviation {std[0]:.3g} in the training part, which "
            "is lost in the rounding of its numbers: subtract a constant from the column, such as its first value, or "
            "difference it."
        )


def naive_errors(parts: Sequence[Values], season: int) -> Values:
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
            kept = rows - offsets_of(rows.mean(axis=0), rows.std(axis=0))
            error[error <= np.finfo(np.float32).eps * np.abs(kept).max(axis=0)] = 0
    return errors
