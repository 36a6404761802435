"""The datamodule that configs and flags describe, built before the model where its task decides which model that is."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from jsonargparse import ActionConfigFile

from nnzoo.data.sources import chosen_dataset
from nnzoo.parameters import parameters_of, switched_off
from nnzoo.run.arguments import Arguments
from nnzoo.run.checkpoint import read_checkpoint
from nnzoo.run.configs import read_yaml
from nnzoo.run.limits import check_limits
from nnzoo.run.parser import ZooParser


class DataFirst:
    """Builds a datamodule from a command line's data settings alone, with the grammar of the whole command line.

    It then serves as an instantiator of jsonargparse, which gives that very datamodule where the whole command line
    comes to the same settings, so that files are read once.

    Args:
        datamodule_class: Its class.
        arguments: The command line.
        models: Classes of the recipe, whose options may have been meant.
        prog: The program's name, for errors.
    """

    def __init__(
        self, datamodule_class: type[L.LightningDataModule], arguments: Arguments, models: Iterable[type], prog: str
    ) -> None:
        self._build = builder(arguments)
        parser = ZooParser(prog=prog, default_config_files=[arguments.configs[0]])
        parser.known_keys = frozenset(f"model.{name}" for cls in models for name in parameters_of(cls))
        parser.add_argument("--config", action=ActionConfigFile)
        parser.add_argument("--seed_everything", type=int, default=0)
        parser.add_lightning_class_args(datamodule_class, "data")
        if "seed" in parameters_of(datamodule_class):
            parser.link_arguments("seed_everything", "data.seed")
        keys = {key.rstrip("+").partition(".")[0] for config in arguments.configs for key in read_yaml(config)}
        for key in sorted(keys - {"config", "seed_everything", "data"}):
            parser.add_argument(f"--{key}", type=Any)  # read, so that the whole file is valid, and left alone
        configs = [part for config in arguments.configs[1:] for part in ("--config", config)]
        config = parser.parse_args([*configs, *arguments.flags_of("data", "seed_everything")])
        check_limits(config)
        drop_idle(datamodule_class, config.data, [own.get("data") for own in arguments.own_settings])
        self._settings: dict[str, Any] | None = None
        parser.add_instantiator(self, datamodule_class, subclasses=False)
        # instantiate_classes, which LightningCLI still calls, is deprecated where there is instantiate.
        instantiate = getattr(parser, "instantiate", None) or parser.instantiate_classes
        self.datamodule: Any = instantiate(config).data

    def __call__(self, datamodule_class: type[L.LightningDataModule], *args: Any, **settings: Any) -> Any:
        """The datamodule that was built first, or another one if the settings differ."""
        if settings == self._settings:
            return self.datamodule
        self._settings = settings if self._settings is None else self._settings
        return self._build(datamodule_class, *args, **settings)


def builder(arguments: Arguments, draws: bool = False) -> Callable[..., Any]:
    """Builds a datamodule; for a stage with data of its own it takes what training fixed from the checkpoint.

    Args:
        arguments: The command line.
        draws: Whether ``predict`` makes its samples up, so that it needs the facts of the data alone.
    """

    def build(datamodule_class: type[L.LightningDataModule], *args: Any, **settings: Any) -> Any:
        datamodule: Any = datamodule_class(*args, **settings)
        path, stage = arguments.ckpt_path, arguments.subcommand
        alone = draws and stage == "predict"
        if path is not None and hasattr(datamodule, "brings") and (alone or datamodule.brings(stage)):
            restore(datamodule, path)
        return datamodule

    return build


def restore(datamodule: Any, path: Path) -> None:
    """Hands a datamodule what a checkpoint of its class keeps of the data, if it does."""
    state = read_checkpoint(path).get(type(datamodule).__qualname__)
    if state is not None:
        datamodule.restore(state)


def drop_idle(cls: Any, settings: Any, own: Iterable[Any]) -> None:
    """Gives options that a user's choices switch off their defaults, where a recipe has set them.

    Args:
        cls: The class of the model or of the data.
        settings: Its settings, a Namespace that is changed.
        own: What packaged configs set themselves.
    """
    values = dict(settings)
    if "dataset" in values:
        values["dataset"] = chosen_dataset(values)
    for name, default in switched_off(cls, values, [known for known in own if isinstance(known, dict)]).items():
        settings[name] = default


def room_of(dataset: Any, datamodules: Sequence[type[L.LightningDataModule]]) -> type[L.LightningDataModule]:
    """The datamodule that has a data set among its sources; the first if none has."""
    having = [cls for cls in datamodules if dataset in getattr(cls, "sources", ())]
    return (having or list(datamodules))[0]
