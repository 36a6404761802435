"""Packaged YAML files: recipes, their variants and overlays."""

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from nnzoo.errors import InputError

RECIPES = Path(str(files("nnzoo.recipes")))
GROUPS = {"model", "data", "trainer", "checkpoint", "last_checkpoint", "figures"}
"""Keys that have options beneath them."""


@cache
def packaged_configs() -> dict[str, Path]:
    """Every packaged YAML by its stem: recipes, their variants and overlays."""
    return {path.stem: path for path in [*sorted(RECIPES.glob("*.yaml")), *sorted(RECIPES.glob("overlays/*.yaml"))]}


@cache
def recipe_stems() -> list[str]:
    """The recipes: what has a program and a YAML of one stem."""
    return [path.stem for path in sorted(RECIPES.glob("[!_]*.py")) if path.with_suffix(".yaml").is_file()]


def recipe_of(config: str) -> str | None:
    """The recipe that runs a packaged config: the longest stem that its name starts with; None for an overlay."""
    stems = [stem for stem in recipe_stems() if f"{config}_".startswith(f"{stem}_")]
    return None if packaged_configs()[config].parent != RECIPES else max(stems, key=len, default=None)


def variant_for(recipe: str, dataset: str) -> str | None:
    """The recipe's variant for a data set: the only one that sets it, or of several the one that has its name.

    None if there is none, or if the recipe itself is for that data set.
    """
    stems = [stem for stem in packaged_configs() if recipe_of(stem) == recipe]
    fitting = [s for s in stems if (read_yaml(find_config(s)).get("data") or {}).get("dataset") == dataset]
    named = f"{recipe}_{dataset}"
    if recipe in fitting or not fitting:
        return None
    return named if named in fitting else fitting[0] if len(fitting) == 1 else None


def settings_of(config: str) -> dict[str, Any]:
    """What a packaged config sets, on top of its recipe's own settings."""
    recipe = recipe_of(config)
    layers = [config] if recipe in (None, config) else [str(recipe), config]
    merged: dict[str, Any] = {}
    for name in layers:
        for key, value in read_yaml(str(packaged_configs()[name])).items():
            merged[key] = {**(merged.get(key) or {}), **value} if isinstance(value, Mapping) else value
    return merged


def find_config(name: str) -> str:
    """The packaged config of that name, or the file at that path.

    Raises:
        InputError: If there is neither.
    """
    packaged = packaged_configs()
    if name in packaged:
        return str(packaged[name])
    if Path(name).is_file():
        return name
    nearest = difflib.get_close_matches(name, packaged, n=1)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    raise InputError(f"There is no config {name}.{hint} Give a file, or one of {', '.join(packaged)}.")


def recipe_config(recipe: str) -> str:
    """The YAML of a packaged recipe by its stem, or that beside a recipe's program of one's own.

    Args:
        recipe: A stem such as vae, or the path of a program (``__file__``).

    Raises:
        InputError: If the program has no YAML beside it.
    """
    path = Path(recipe)
    if path.suffix != ".py":
        return find_config(recipe)
    if not path.with_suffix(".yaml").is_file():
        raise InputError(f"The recipe {path} needs its settings beside it, in {path.with_suffix('.yaml').name}.")
    return str(path.with_suffix(".yaml"))


def read_yaml(config: str) -> dict[str, Any]:
    """The contents of a YAML file, or of the text of one.

    Raises:
        InputError: If it is not valid YAML with keys, has a key twice, or options are missing beneath a group.
    """
    try:
        text = config if config.startswith("{") else Path(config).read_text(encoding="utf-8")
        contents = yaml.load(text, UniqueKeys)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"The config {config} is not valid YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(contents, dict) or not all(isinstance(key, str) for key in contents):
        raise InputError(f"The config {config} must hold keys such as model:, data: and trainer:.")
    for group in GROUPS & contents.keys():
        # A class may stand alone: model: my_package.MyVAE.
        if not isinstance(contents[group], dict) and not (group == "model" and isinstance(contents[group], str)):
            raise InputError(f"The config {config} must have options beneath {group}:, not {contents[group]}.")
    return contents


class UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice beneath one key, where YAML's own loader takes the last without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands there twice", key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)
