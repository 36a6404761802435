"""What there is to test, found on disk: a new family is covered by being there."""

import functools
import importlib
import inspect
import pkgutil

import lightning as L
import nnzoo.recipes
import yaml

import nnzoo.modules
from nnzoo.run.arguments import LINKS
from nnzoo.run.configs import packaged_configs

CONFIGS = packaged_configs()
DOWNLOADED = {
    "mnist": "MNIST",
    "fashion_mnist": "FashionMNIST",
    "cifar10": "cifar-10-batches-py",
    "etth1": "ETTh1",
    "jsb": "JSB",
}
"""Data sets that have to be downloaded, with their folders under the data root."""
RECIPES = [name for _, name, _ in pkgutil.iter_modules(nnzoo.recipes.__path__) if name in CONFIGS]


def recipe(name):
    """The module of a recipe."""
    return importlib.import_module(f"nnzoo.recipes.{name}")


def recipe_of(config):
    """The recipe that runs a packaged config: the longest stem of a recipe that its name starts with."""
    return max((name for name in RECIPES if f"{config}_".startswith(f"{name}_")), key=len, default=None)


def classes_in(module, base):
    """The subclasses of ``base`` that a recipe imports."""
    return {v for v in vars(module).values() if inspect.isclass(v) and issubclass(v, base) and v is not base}


def settings_of(config):
    """A packaged config on top of its recipe's."""
    merged = {}
    for name in (recipe_of(config), config):
        for key, value in yaml.safe_load(CONFIGS[name].read_text()).items():
            merged[key] = {**(merged.get(key) or {}), **value} if isinstance(value, dict) else value
    return merged


def datamodule_of(config, **settings):
    (datamodule_class,) = classes_in(recipe(recipe_of(config)), L.LightningDataModule)
    return datamodule_class(**{**settings_of(config)["data"], **settings})


@functools.cache
def model_class(config):
    """The module that a packaged config trains: where a recipe has several, the data's task decides."""
    module = recipe(recipe_of(config))
    if hasattr(module, "MODELS"):
        return module.MODELS[datamodule_of(config).task]
    (found,) = classes_in(module, L.LightningModule)
    return found


def build(config, model=None, data=None):
    """A config's datamodule and model, without the command line; ``model`` and ``data`` override its values."""
    datamodule = datamodule_of(config, **(data or {}))
    cls = model_class(config)
    return cls(**{**linked(cls, datamodule), **settings_of(config)["model"], **(model or {})}), datamodule


def linked(cls, datamodule):
    """What the command line links from the data to a module."""
    return {key: getattr(datamodule, key) for key in LINKS if key in inspect.signature(cls).parameters}


def run(config, flags=(), subcommand=()):
    """The command line of a packaged config; returns the test metrics."""
    return recipe(recipe_of(config)).main([*subcommand, "--config", config, *flags])


def all_modules():
    """Every LightningModule of nnzoo that can be trained: those that others derive from cannot."""
    found = set()
    for info in pkgutil.iter_modules(nnzoo.modules.__path__, "nnzoo.modules."):
        classes = [v for v in vars(importlib.import_module(info.name)).values() if inspect.isclass(v)]
        found |= {v for v in classes if issubclass(v, L.LightningModule) and v.__module__ == info.name}
    return {v for v in found if not any(issubclass(other, v) for other in found - {v})}


def cases():
    """Configs that need no download and together train every module: recipes first, variants for the rest."""
    found = {}
    for config in sorted((c for c in CONFIGS if recipe_of(c)), key=lambda c: (c not in RECIPES, c)):
        if settings_of(config)["data"].get("dataset") not in DOWNLOADED:
            found.setdefault(model_class(config), config)
    return sorted(found.values())


CASES = cases()
