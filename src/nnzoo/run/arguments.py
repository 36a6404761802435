"""A recipe's command line, put into the order that the parser needs: subcommand, configs, then flags.

jsonargparse applies arguments from left to right, so a later ``--config`` would silently undo an earlier flag. Here the
recipe's own YAML comes first, then the variant for the chosen data set, the configs in the order given, and all flags:
a flag always wins.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities.rank_zero import rank_zero_info

from nnzoo.errors import InputError
from nnzoo.run.checkpoint import CLASS_KEY, read_checkpoint
from nnzoo.run.configs import RECIPES, find_config, read_yaml, recipe_config, recipe_of, recipe_stems, variant_for
from nnzoo.run.folder import BEST, CONFIG
from nnzoo.run.resume import last_checkpoint, remove_leftovers

LOGGER_OPTIONS, LOGGERS_WITH_FOLDER = ("--trainer.logger", "--trainer.logger+"), ("TensorBoardLogger", "CSVLogger")
OWN = ("csv", "edges", "saved")
"""Options of the data that each name a file of the user's own, for which the variants of csv have the settings."""
SUBCOMMANDS = ("fit", "validate", "test", "predict")
SHOWS = {"-h", "--help", "--print_config"}


@dataclass
class Arguments:
    """What was asked for.

    Attributes:
        subcommand: fit, validate, test or predict.
        test_after_fit: Whether to test the best checkpoint once fitted (no subcommand was given).
        configs: Config files, or YAML text, in the order in which they apply.
        flags: All other arguments.
        own_settings: What the recipe's own, other packaged configs and a run's config set: no choices of this command.
        run_dir: Folder of the run to resume.
        ckpt_path: Checkpoint to load.
    """

    subcommand: str
    test_after_fit: bool
    configs: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    own_settings: list[dict[str, Any]] = field(default_factory=list)
    run_dir: Path | None = None
    ckpt_path: Path | None = None

    @property
    def only_shows(self) -> bool:
        """Whether help or the settings are asked for, and nothing is to run."""
        return any(flag.partition("=")[0] in SHOWS for flag in self.flags)

    @property
    def default_configs(self) -> list[str]:
        """The first config, if it is a file: as a parser's default rather than a --config, so that help shows it."""
        return [config for config in self.configs[:1] if not config.startswith("{")]

    def command_line(self) -> list[str]:
        """Arguments for LightningCLI, which gets ``default_configs`` by another way."""
        configs = []
        for config in self.configs[len(self.default_configs) :]:
            # Lists are merged by position: another class would take over the settings of the one that was there.
            emptied = lists_of_classes(read_yaml(config))
            configs += ["--config", json.dumps(emptied)] if emptied else []
            configs += ["--config", config]
        ckpt_path = ["--ckpt_path", str(self.ckpt_path)] if self.ckpt_path else []
        return [self.subcommand, *configs, *with_folder_of_logger(self.flags), *ckpt_path]

    def model_is_subclass(self) -> bool:
        """Whether a flag or config names the model's class, as ``--model my_package.MyVAE`` does."""
        if any(flag == "--model" or flag.startswith("--model=") for flag in self.flags):
            return True
        models = [read_yaml(config).get("model") for config in self.configs]
        return any(isinstance(model, dict) and "class_path" in model for model in models)

    def flags_of(self, *groups: str) -> list[str]:
        """The flags of some groups, such as "data": ``--data X``, ``--data.Y X`` and ``--data.Y=X``."""
        chosen: list[str] = []
        wanted = False
        for argument in self.flags:
            if argument.startswith("--"):
                option = argument[2:].partition("=")[0]
                wanted = option.partition(".")[0] in groups and not option.endswith(".help")
            chosen += [argument] * wanted  # what follows a flag is its value
        return chosen


def parse(args: Iterable[str], recipe: str, classes: Collection[str], facts: Collection[str]) -> Arguments:
    """Sorts a recipe's arguments.

    Args:
        args: As typed.
        recipe: Stem or program of the recipe, whose YAML holds the defaults.
        classes: Names of the classes that it trains.
        facts: Names of what its models take from the data.

    Raises:
        InputError: If a config, run folder or checkpoint does not exist.
    """
    args = list(args)
    subcommand = args.pop(0) if args and args[0] in SUBCOMMANDS else None
    parsed = Arguments(subcommand or "fit", test_after_fit=subcommand is None)
    names = take(args, "--config", "-c")
    resume = take(args, "--resume")
    checkpoints = take(args, "--ckpt_path")
    parsed.flags = args
    parsed.configs = [recipe_config(recipe)]
    if resume and parsed.subcommand != "fit":
        raise InputError(
            f"--resume goes on with training; to {parsed.subcommand} a run, give --ckpt_path RUN/{BEST}.ckpt."
        )
    if resume:
        parsed.run_dir = Path(resume[-1])
        remove_leftovers(parsed.run_dir)
        parsed.ckpt_path = last_checkpoint(parsed.run_dir)
        # The run's config is complete: the recipe's own would add keys where it names another class.
        parsed.configs = [str(parsed.run_dir / CONFIG)]
    elif checkpoints and checkpoints[-1] not in ("best", "last", "null"):
        parsed.ckpt_path = Path(checkpoints[-1])
        beside = parsed.ckpt_path.parent / CONFIG
        if parsed.subcommand != "fit" and beside.is_file():
            parsed.configs = [str(beside)]
        else:
            parsed.configs.append(saved_model(parsed.ckpt_path, classes, facts))
    elif checkpoints and checkpoints[-1] != "null":
        resumed = ", or go on with a run with --resume RUN" if parsed.subcommand == "fit" else ""
        raise InputError(
            f"--ckpt_path {checkpoints[-1]} is of no run: give its path, such as RUN/{BEST}.ckpt{resumed}."
        )
    given = [of_recipe(find_config(name), recipe) for name in names]
    variant = variant_of_data([*parsed.configs, *given], parsed.flags, recipe)
    parsed.configs[1:1] = [variant] if variant else []
    parsed.configs += given
    packaged = [config for config in parsed.configs if RECIPES in Path(config).parents]
    # The first is the recipe's own, or that of a run to go on with: what it holds is no choice of this command line.
    parsed.own_settings = [read_yaml(c) for c in dict.fromkeys([recipe_config(recipe), parsed.configs[0], *packaged])]
    if parsed.subcommand != "fit" and not parsed.ckpt_path and not parsed.only_shows:
        raise InputError(f"{parsed.subcommand} needs trained weights: give --ckpt_path, such as RUN/{BEST}.ckpt.")
    return parsed


def lists_of_classes(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of some settings that hold lists of classes, such as baselines and trainer.callbacks, as null."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and "class_path" not in value:
            found |= {key: below} if (below := lists_of_classes(value)) else {}
        elif isinstance(value, list) and not key.endswith("+"):  # which adds to a list
            found |= {key: None} if any(isinstance(one, Mapping) and "class_path" in one for one in value) else {}
    return found


def of_recipe(config: str, recipe: str) -> str:
    """A config, unless it is a packaged one of another recipe than the packaged one that runs.

    Raises:
        InputError: If it is; settings of other models and data do not apply.
    """
    stem = Path(config).stem
    owner = recipe_of(stem) if RECIPES in Path(config).parents else None
    if owner not in (None, recipe) and recipe in recipe_stems():
        variant = f" --config {stem}" if stem != owner else ""
        raise InputError(f"The config {stem} is for another recipe: python -m nnzoo.recipes.{owner}{variant}.")
    return config


def variant_of_data(configs: Sequence[str], flags: Sequence[str], recipe: str) -> str | None:
    """The packaged variant for the data set that flags or configs choose, as the recipe's own settings suit another.

    None if a variant was named, or where a run's config, which is complete, takes the place of the recipe's own.

    Args:
        configs: The recipe's own, then those that were given.
        flags: As typed.
        recipe: Stem or program of the recipe.
    """
    if recipe not in recipe_stems() or configs[0] != recipe_config(recipe):
        return None
    if any(RECIPES in Path(config).parents and recipe_of(Path(config).stem) for config in configs[1:]):
        return None
    dataset = dataset_of(configs, flags)
    stem = variant_for(recipe, dataset) if isinstance(dataset, str) else None
    if stem is None:
        return None
    rank_zero_info(f"{dataset}: with the settings of {stem}, unless you give others")
    return find_config(stem)


def dataset_of(configs: Sequence[str], flags: Sequence[str]) -> Any:
    """The data set that flags or configs choose, ``csv`` for a file of the user's own; None if they choose none."""
    data: dict[str, Any] = {}
    for config in configs:
        data |= read_yaml(config).get("data") or {}
    for option in ("dataset", *OWN):
        for value in take(list(flags), f"--data.{option}"):
            data[option] = None if value == "null" else value
    return "csv" if any(data.get(option) for option in OWN) else data.get("dataset")


def with_folder_of_logger(flags: list[str]) -> list[str]:
    """The flags, with an empty folder (the run's) for a logger that needs one and was given none."""
    if any(flag.startswith("--trainer.logger.save_dir") for flag in flags):
        return flags
    complete: list[str] = []
    for number, flag in enumerate(flags):
        complete.append(flag)
        option, equals, name = flag.partition("=")
        if not equals and number and flags[number - 1] in LOGGER_OPTIONS:
            option, name = flags[number - 1], flag
        if option in LOGGER_OPTIONS and name.endswith(LOGGERS_WITH_FOLDER):
            complete.append("--trainer.logger.save_dir=")
    return complete


def take(args: list[str], *options: str) -> list[str]:
    """Removes ``--option value`` and ``--option=value`` from the arguments and returns the values."""
    values, rest = [], []
    remaining = iter(args)
    for argument in remaining:
        option, equals, value = argument.partition("=")
        if option not in options:
            rest.append(argument)
        elif equals:
            values.append(value)
        else:
            value = next(remaining, "")
            if not value or value.startswith("--"):
                raise InputError(f"{option} needs a value.")
            values.append(value)
    args[:] = rest
    return values


def saved_model(path: Path, classes: Collection[str], facts: Collection[str]) -> str:
    """The model's hyperparameters in a checkpoint, as a config; those that follow from the data are left out.

    Args:
        path: The checkpoint.
        classes: Names of the recipe's own classes; another one is named in the config.
        facts: Names of what follows from the data.
    """
    checkpoint = read_checkpoint(path)
    hparams: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in checkpoint.get("hyper_parameters", {}).items()
        if name not in facts
    }
    saved = checkpoint.get(CLASS_KEY)
    subclass = saved is not None and saved not in classes
    return json.dumps({"model": {"class_path": saved, "init_args": hparams} if subclass else hparams})
