"""What there is to test, found on disk: a new family is covered by being there."""

import importlib
import inspect
import pkgutil

import lightning as L
import nnzoo.recipes
import yaml

import nnzoo.modules.base
from nnzoo.arguments import LINKS, packaged_configs

CONFIGS = packaged_configs()
RECIPES = [name for _, name, _ in pkgutil.iter_modules(nnzoo.recipes.__path__) if name in CONFIGS]


def recipe(name):
    """The module of a recipe."""
    return importlib.import_module(f"nnzoo.recipes.{name}")


def class_in(module, base):
    """The one subclass of ``base`` that a recipe imports."""
    (found,) = {v for v in vars(module).values() if inspect.isclass(v) and issubclass(v, base) and v is not base}
    return found


def build(name, model=None, data=None):
    """A recipe's datamodule and model, without its command line; ``model`` and ``data`` override its YAML."""
    config = yaml.safe_load(CONFIGS[name].read_text())
    datamodule = class_in(recipe(name), L.LightningDataModule)(**{**config["data"], **(data or {})})
    model_class = class_in(recipe(name), L.LightningModule)
    linked = {key: getattr(datamodule, key) for key in LINKS if key in inspect.signature(model_class).parameters}
    return model_class(**{**linked, **config["model"], **(model or {})}), datamodule


def all_modules():
    """Every LightningModule of nnzoo."""
    found = set()
    for info in pkgutil.iter_modules(nnzoo.modules.__path__, "nnzoo.modules."):
        classes = [v for v in vars(importlib.import_module(info.name)).values() if inspect.isclass(v)]
        found |= {v for v in classes if issubclass(v, L.LightningModule) and v.__module__ == info.name}
    return found - {nnzoo.modules.base.ZooModule}
