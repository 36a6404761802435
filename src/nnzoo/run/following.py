"""Settings that follow from others: data's from the model's, the model's from a checkpoint and from the data's task."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nnzoo.parameters import parameters_of
from nnzoo.run.arguments import Arguments, take
from nnzoo.run.checkpoint import read_checkpoint
from nnzoo.run.configs import RECIPES, read_yaml, recipe_config


def with_following(arguments: Arguments, recipe: str, datamodules: Iterable[type]) -> Arguments:
    """A command line with flags for settings of the data that follow from the model's, as a tokenizer does.

    What a flag or a config of the user's gives is left alone; what a recipe sets is not, as the model it was for may be
    another now.

    Args:
        arguments: The command line.
        recipe: Stem or program of the recipe.
        datamodules: Its classes of data, which may have ``follows``: setting of the data to hyperparameter.
    """
    for setting, option in {k: v for cls in datamodules for k, v in getattr(cls, "follows", {}).items()}.items():
        own = [c for c in arguments.configs if c == recipe_config(recipe) or RECIPES in Path(c).parents]
        others = [config for config in arguments.configs if config not in own]
        given = any(setting in (read_yaml(config).get("data") or {}) for config in others)
        if given or take(list(arguments.flags), f"--data.{setting}"):
            continue
        value = None
        for config in arguments.configs:
            model = read_yaml(config).get("model")
            model = model.get("init_args", model) if isinstance(model, Mapping) else {}
            value = model.get(option, value)
        for typed in take(list(arguments.flags), f"--model.{option}", f"--model.init_args.{option}"):
            value = None if typed == "null" else typed
        arguments.flags += [f"--data.{setting}={value}"] if value is not None else []
    return arguments


def for_task(arguments: Arguments, chosen: type, classes: Iterable[type]) -> Arguments:
    """A command line whose packaged configs set nothing that only models of another task know.

    So a recipe may smooth the labels of its classes, and still regress a file of the user's.

    Args:
        arguments: The command line.
        chosen: The model's class.
        classes: Those of all tasks of the recipe.
    """
    others = {name for cls in classes for name in parameters_of(cls)} - set(parameters_of(chosen))

    def fitting(config: str) -> str:
        settings = read_yaml(config)
        model = settings.get("model")
        if RECIPES not in Path(config).parents or not isinstance(model, Mapping) or not others & set(model):
            return config
        return json.dumps({**settings, "model": {name: model[name] for name in model if name not in others}})

    return replace(arguments, configs=[fitting(config) for config in arguments.configs])


def take_found(arguments: Arguments, model_class: Any, settings: Any) -> None:
    """Gives hyperparameters that a constructor would find out, and are not given, the values that a checkpoint has.

    Args:
        arguments: The command line, which may name a checkpoint.
        model_class: The model's class, which may have ``found_out``: names of hyperparameters.
        settings: Of the model, a Namespace that is changed.
    """
    missing = [name for name in getattr(model_class, "found_out", ()) if settings.get(name) is None]
    if arguments.ckpt_path is not None and missing:
        saved = read_checkpoint(arguments.ckpt_path).get("hyper_parameters", {})
        for name in missing:
            settings[name] = saved.get(name)
