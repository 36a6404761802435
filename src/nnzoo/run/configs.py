"""Packaged YAML files: recipes, their variants and overlays."""

import difflib
from importlib.resources import files
from pathlib import Path

from nnzoo.errors import InputError


def packaged_configs() -> dict[str, Path]:
    """Every packaged YAML by its stem: recipes, their variants and overlays."""
    folder = Path(str(files("nnzoo.recipes")))
    return {path.stem: path for path in [*sorted(folder.glob("*.yaml")), *sorted(folder.glob("overlays/*.yaml"))]}


def find_config(name: str) -> str:
    """The packaged config of that name, or the file at that path."""
    packaged = packaged_configs()
    if name in packaged:
        return str(packaged[name])
    if Path(name).is_file():
        return name
    nearest = difflib.get_close_matches(name, packaged, n=1)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    raise InputError(f"There is no config {name}.{hint} Give a file, or one of {', '.join(packaged)}.")
