"""The names of the files of a run, and the folder that holds them."""

import datetime
from pathlib import Path

CONFIG, METRICS, RESULT = "config.yaml", "metrics.csv", "result.json"
BEST, LAST = "best", "last"
"""Stems of the checkpoints."""
COLUMNS = "columns.csv"
FIGURES = "figures"
PREDICTIONS, PREDICTED_BATCHES = "predictions.csv", "predictions.pt"


def figure_path(folder: Path, name: str) -> Path:
    """Where a run's picture of that name lies; an animation beside it ends with .gif."""
    return folder / FIGURES / f"{name}.png"


def new_folder(root: Path, recipe: str, suffix: str = "", make: bool = True) -> Path:
    """``ROOT/RECIPE/DATE_TIME``, with a number behind it if that is taken.

    Args:
        root: Folder of all runs.
        recipe: Stem of the recipe.
        suffix: Added to date and time.
        make: Make it; otherwise only its name is returned.
    """
    name = f"{datetime.datetime.now():%Y-%m-%d_%H-%M-%S}{suffix}"
    folder, number = root / recipe / name, 2
    while make:
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            folder, number = root / recipe / f"{name}-{number}", number + 1
    return folder
