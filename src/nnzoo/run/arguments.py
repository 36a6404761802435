"""A recipe's command line, put into the order that the parser needs: subcommand, configs, then flags.

jsonargparse applies arguments from left to right, so a later ``--config`` would silently undo an earlier flag. Here the
recipe's own YAML comes first, then the configs in the order given, then all flags: a flag always wins.
"""

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from nnzoo.errors import InputError
from nnzoo.run.checkpoint import read_checkpoint
from nnzoo.run.configs import find_config

LINKS = (
    *("in_shape", "levels", "num_classes", "classes", "num_numeric", "cardinalities", "target_mean", "target_std"),
    *("vocabulary", "max_source_length", "max_target_length"),
    *("preprocessing", "num_inputs", "multilabel", "features", "feature_mean", "feature_std"),
    *("history", "horizon", "season", "column_mean", "column_std", "columns", "target_columns"),
)
"""What the data know and the model needs, where it has a parameter of that name."""

SUBCOMMANDS = ("fit", "validate", "test", "predict")


@dataclass
class Arguments:
    """What was asked for.

    Attributes:
        subcommand: fit, validate, test or predict.
        test_after_fit: Whether to test the best checkpoint once fitted (no subcommand was given).
        configs: Config files, or YAML text, in the order in which they apply.
        flags: All other arguments.
        run_dir: Folder of the run to resume.
        ckpt_path: Checkpoint to load.
    """

    subcommand: str
    test_after_fit: bool
    configs: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    run_dir: Path | None = None
    ckpt_path: Path | None = None

    def command_line(self) -> list[str]:
        """Arguments for LightningCLI, which gets the first config as its default config."""
        configs = [part for config in self.configs[1:] for part in ("--config", config)]
        ckpt_path = ["--ckpt_path", str(self.ckpt_path)] if self.ckpt_path else []
        return [self.subcommand, *configs, *self.flags, *ckpt_path]

    def model_is_subclass(self) -> bool:
        """Whether a flag or config names the model's class, as ``--model my_package.MyVAE`` does."""
        if any(flag == "--model" or flag.startswith("--model=") for flag in self.flags):
            return True
        models = [_contents(config).get("model") for config in self.configs]
        return any(isinstance(model, dict) and "class_path" in model for model in models)

    def data_settings(self, datamodule_class: type) -> dict[str, Any]:
        """The settings of the data in configs and flags, read without the parser, which needs the model first."""
        hints = get_type_hints(datamodule_class.__init__)  # type: ignore[misc]
        settings: dict[str, Any] = {}
        for config in self.configs:
            settings |= _contents(config).get("data") or {}
        for flag, value in zip(self.flags, [*self.flags, ""][1:], strict=True):
            name, equals, attached = flag.partition("=")
            if name.startswith("--data."):
                key, text = name.removeprefix("--data.").rstrip("+"), attached if equals else value
                if key not in hints:  # said here, as the parser comes later
                    nearest = difflib.get_close_matches(key, hints, n=1)
                    hint = f", did you mean data.{nearest[0]}?" if nearest else ": see --help."
                    raise InputError(f"There is no option data.{key}{hint}")
                # A column may be called 2020, yes or %.
                settings[key] = text if hints.get(key) in (str, str | None) else _plain(text)
        return {key: value for key, value in settings.items() if key in hints}


def _plain(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _contents(config: str) -> dict[str, Any]:
    try:
        contents = yaml.safe_load(config if config.startswith("{") else Path(config).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"The config {config} is not valid YAML ({' '.join(str(error).split())}).") from error
    if not isinstance(contents, dict):
        raise InputError(f"The config {config} must hold keys such as model:, data: and trainer:.")
    return contents


def parse(args: Iterable[str], recipe: str) -> Arguments:
    """Sorts a recipe's arguments.

    Args:
        args: As typed.
        recipe: Stem of the recipe, whose YAML holds the defaults.

    Raises:
        InputError: If a config, run folder or checkpoint does not exist.
    """
    args = list(args)
    given = args.pop(0) if args and args[0] in SUBCOMMANDS else None
    parsed = Arguments(given or "fit", test_after_fit=given is None)
    names = take(args, "--config", "-c")
    resume = take(args, "--resume")
    checkpoints = take(args, "--ckpt_path")
    parsed.flags = args
    parsed.configs = [find_config(recipe)]
    if resume and parsed.subcommand != "fit":
        raise InputError(
            f"--resume goes on with training; to {parsed.subcommand} a run, give --ckpt_path RUN/best.ckpt."
        )
    if resume:
        parsed.run_dir = Path(resume[-1])
        parsed.ckpt_path = last_checkpoint(parsed.run_dir)
        # The run's config is complete: the recipe's own would add keys where it names another class.
        parsed.configs = [str(parsed.run_dir / "config.yaml")]
    elif checkpoints and checkpoints[-1] not in ("best", "last", "null"):
        parsed.ckpt_path = Path(checkpoints[-1])
        beside = parsed.ckpt_path.parent / "config.yaml"
        if parsed.subcommand != "fit" and beside.is_file():
            parsed.configs = [str(beside)]
        else:
            parsed.configs.append(saved_model(parsed.ckpt_path))
    elif checkpoints:
        parsed.flags += ["--ckpt_path", checkpoints[-1]]
    parsed.configs += [find_config(name) for name in names]
    if parsed.subcommand != "fit" and not checkpoints and not {"-h", "--help", "--print_config"} & set(args):
        raise InputError(f"{parsed.subcommand} needs trained weights: give --ckpt_path, such as RUN/best.ckpt.")
    return parsed


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


def last_checkpoint(run_dir: Path) -> Path:
    """The newest checkpoint of a run folder."""
    if not (run_dir / "config.yaml").is_file():
        raise InputError(f"{run_dir} is not a run folder (it has no config.yaml): check --resume.")
    checkpoints = sorted(run_dir.glob("*.ckpt"))
    if not checkpoints:
        raise InputError(f"{run_dir} has no checkpoint yet, so there is nothing to resume: start the run again.")
    # Times of change do not survive copying. Of best.ckpt and last.ckpt of one step, last.ckpt has seen both written.
    return max(checkpoints, key=lambda path: (read_checkpoint(path)["global_step"], path.stem == "last"))


def saved_model(path: Path) -> str:
    """The model's hyperparameters in a checkpoint, as a config; those that follow from the data are left out."""
    hparams = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in read_checkpoint(path).get("hyper_parameters", {}).items()
        if name not in LINKS
    }
    class_path = hparams.pop("_class_path", None)
    hparams.pop("_instantiator", None)
    return json.dumps({"model": {"class_path": class_path, "init_args": hparams} if class_path else hparams})
