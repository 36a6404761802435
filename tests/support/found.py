"""What there is to test, found on disk: a new family is covered by being there."""

import functools
import importlib
import importlib.util
import inspect
import pkgutil
from pathlib import Path

import lightning as L
import yaml

import nnzoo.modules
import toys
from nnzoo.data.facts import facts_of
from nnzoo.data.sources import chosen_dataset
from nnzoo.parameters import parameters_of, switched_off
from nnzoo.run import configs
from nnzoo.run.data import room_of
from support.case import Case

CONFIGS = configs.packaged_configs()
TOYS = {path.stem: path for path in sorted(Path(toys.__path__[0]).glob("*.yaml"))}
"""Families of the tests' own, with their YAML beside them."""
RECIPES = [*configs.recipe_stems(), *TOYS]


def recipe_of(config):
    """The recipe that runs a config; None for an overlay."""
    return config if config in TOYS else configs.recipe_of(config)


def module_name(config):
    """The module of the recipe that runs a config, as ``python -m`` takes it."""
    return f"toys.{config}" if config in TOYS else f"nnzoo.recipes.{recipe_of(config)}"


def recipe(name):
    """The module of a recipe."""
    return importlib.import_module(module_name(name))


def case(config):
    """What is particular of a config in the tests that run over all."""
    stem = f"cases.{recipe_of(config)}"
    found = importlib.util.find_spec(stem)
    return getattr(importlib.import_module(stem), config, Case()) if found else Case()


def config_flags(config):
    """The flags that choose a config."""
    return [] if config in TOYS else ["--config", config]


def only_class(module, base):
    """The one trainable subclass of ``base`` that a recipe imports or defines: that from which no other derives."""
    found = {v for v in vars(module).values() if inspect.isclass(v) and issubclass(v, base) and v is not base}
    found = {v for v in found if not inspect.isabstract(v)}
    (last,) = (v for v in found if not any(issubclass(other, v) for other in found - {v}))
    return last


def settings_of(config):
    """A config on top of its recipe's."""
    return yaml.safe_load(TOYS[config].read_text()) if config in TOYS else configs.settings_of(config)


def model_settings(config):
    """A config's settings of its model, without those that models of other tasks alone have."""
    models = getattr(recipe(config), "MODELS", {}).values()
    others = {name for cls in models for name in parameters_of(cls)} - set(parameters_of(model_class(config)))
    return {name: value for name, value in (settings_of(config).get("model") or {}).items() if name not in others}


def datamodule_class(config):
    """The datamodule of the recipe that runs a config: where a recipe has several, the data set decides."""
    return room_of((settings_of(config).get("data") or {}).get("dataset"), datamodule_classes(config))


def datamodule_classes(config):
    """All datamodules of the recipe that runs a config."""
    module = recipe(config)
    return getattr(module, "DATA", None) or [only_class(module, L.LightningDataModule)]


def datamodule_of(config, **settings):
    """A config's datamodule, without the command line."""
    return datamodule_class(config)(**active(datamodule_class(config), config, "data", settings))


def active(cls, config, group, changed):
    """A config's settings of a group with some changed, without its own that the changes switch off."""
    own = model_settings(config) if group == "model" else settings_of(config).get(group) or {}
    settings = {**own, **changed}
    chosen = {"dataset": chosen_dataset(settings)} if "dataset" in settings else {}
    return settings | switched_off(cls, settings | chosen, [own])


def downloaded(config):
    """The folder under the data root that a config's data set is downloaded to; None if it needs no download."""
    dataset = settings_of(config).get("data", {}).get("dataset")
    source = getattr(datamodule_class(config), "sources", {}).get(dataset)
    return None if source is None else source.folder


@functools.cache
def model_class(config):
    """The module that a config trains: where a recipe has several, the data's task decides."""
    module = recipe(config)
    models = getattr(module, "MODELS", None)
    return models[datamodule_of(config).task] if models else only_class(module, L.LightningModule)


def build(config, model=None, data=None, datamodule=None):
    """A config's model and datamodule, without the command line; ``model`` and ``data`` override its values.

    A ``datamodule`` that has been built before saves reading the data again.
    """
    datamodule = datamodule or datamodule_of(config, **(data or {}))
    cls = model_class(config)
    return cls(**linked(cls, datamodule) | active(cls, config, "model", model or {})), datamodule


def linked(cls, datamodule):
    """What the command line links from the data to a module."""
    return {key: getattr(datamodule, key) for key in facts_of(type(datamodule)) if key in parameters_of(cls)}


def run(config, flags=(), subcommand=()):
    """The command line of a config; returns the test metrics."""
    return recipe(config).main([*subcommand, *config_flags(config), *flags])


def all_modules():
    """Every LightningModule of nnzoo that is trained: the public ones, and those from which no other derives."""
    found = set()
    for info in pkgutil.iter_modules(nnzoo.modules.__path__, "nnzoo.modules."):
        classes = [v for v in vars(importlib.import_module(info.name)).values() if inspect.isclass(v)]
        found |= {v for v in classes if issubclass(v, L.LightningModule) and v.__module__ == info.name}
    return {v for v in found if v.__name__ in nnzoo.__all__ or not any(issubclass(w, v) for w in found - {v})}


def cases():
    """Configs that need no download and no files of a user's, and together train every module: recipes first."""
    found = {}
    named = [*(c for c in CONFIGS if recipe_of(c)), *TOYS]
    for config in sorted(named, key=lambda c: (c not in RECIPES, c)):
        if not downloaded(config) and settings_of(config).get("data", {}).get("dataset") not in ("folder", "csv"):
            found.setdefault(model_class(config), config)
    return sorted(found.values())


CASES = cases()
