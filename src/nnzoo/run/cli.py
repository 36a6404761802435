"""ZooCLI: the command line of every recipe, on LightningCLI."""

import datetime
import inspect
import logging
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.io import CheckpointIO
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateFinder,
    ModelCheckpoint,
    ProgressBar,
    TQDMProgressBar,
)
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from nnzoo.errors import InputError
from nnzoo.run.arguments import LINKS, Arguments, parse, take
from nnzoo.run.checkpoint import AtomicCheckpointIO, ExactResume, read_checkpoint
from nnzoo.run.compatibility import check_checkpoint, check_data
from nnzoo.run.config import SaveRunConfig
from nnzoo.run.figures import Figures, read_curves
from nnzoo.run.folds import cross_validate
from nnzoo.run.metrics_log import metrics_logger
from nnzoo.run.nan_guard import NaNGuard
from nnzoo.run.parser import ZooParser
from nnzoo.run.predictions import PredictionWriter
from nnzoo.run.record import RunRecord
from nnzoo.run.report import diagnosis, table

EXPECTED_WARNINGS = (
    ".*does not have many workers.*",  # data in memory are fetched fastest without
    ".*args parameter is intended to run from within Python.*",  # the arguments have been put in order
    ".*exists and is not empty.*",  # config.yaml is in the run folder before the first checkpoint
    ".*configure_optimizers. will be overridden.*",  # that is what --optimizer asks for
    ".*smaller than the logging interval.*",  # means are logged once per epoch
    ".*dataloader is not resumable.*",  # ours starts at the step where the run stopped
    ".*LeafSpec.*is deprecated.*",
    ".*dirpath has changed from.*",  # a test writes into a folder of its own
    ".*custom batch sampler `GlobalBatchSampler` for prediction.*",  # ours returns every sample
)


class ZooCLI(LightningCLI):
    """A recipe's command line: fits, then tests the best checkpoint, unless a subcommand says otherwise.

    Args:
        model_class: The recipe's LightningModule; or one for each task of the datamodule, such as
            ``{"classification": MLPClassifier, "regression": MLPRegressor}``, chosen by the data's ``task``.
        datamodule_class: Its LightningDataModule.
        recipe: Stem of the recipe: its defaults are ``nnzoo.recipes/RECIPE.yaml``, its runs go to ``runs/RECIPE/``.
        args: Arguments as typed; ``sys.argv[1:]`` if None.

    Attributes:
        metrics: Test metrics (validation metrics after ``fit`` and ``validate``) by name.
        run_dir: The run's folder.

    Raises:
        InputError: If an argument names something that does not exist or cannot be used.
    """

    def __init__(
        self,
        model_class: type[L.LightningModule] | Mapping[str, type[L.LightningModule]],
        datamodule_class: type[L.LightningDataModule],
        recipe: str,
        args: list[str] | None = None,
    ) -> None:
        for message in EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message)
        logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_advertisement)
        self.recipe = recipe
        self.arguments: Arguments = parse(sys.argv[1:] if args is None else args, recipe)
        self.metrics: dict[str, float] = {}
        if isinstance(model_class, Mapping):
            data: Any = datamodule_class(**self.arguments.data_settings(datamodule_class))
            task, why = data.task, getattr(data, "why", "")
            if task not in model_class:
                raise InputError(
                    f"The recipe {recipe} is for {' and '.join(model_class)}, these data are for {task}"
                    f"{f' ({why})' if why else ''}: choose other "
                    "data, or another recipe."
                )
            model_class = model_class[task]
        if self.arguments.ckpt_path is not None and not self.arguments.model_is_subclass():
            check_checkpoint(self.arguments.ckpt_path, model_class)
        ZooParser.known_keys = frozenset(f"model.{name}" for name in inspect.signature(model_class).parameters)
        super().__init__(
            model_class,
            datamodule_class,
            save_config_callback=SaveRunConfig,
            save_config_kwargs={"save_to_log_dir": False},
            trainer_defaults={"default_root_dir": "runs", "use_distributed_sampler": False},
            seed_everything_default=0,
            parser_kwargs={
                "prog": f"python -m nnzoo.recipes.{recipe}",
                # As a default config rather than a first --config, so that --help shows the recipe's own values.
                self.arguments.subcommand: {"default_config_files": [self.arguments.configs[0]]},
            },
            parser_class=ZooParser,
            subclass_mode_model=self.arguments.model_is_subclass(),
            args=self.arguments.command_line(),
        )
        self._finish()

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds checkpoints, figures, compilation, and the links from data to model."""
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(ModelCheckpoint, "last_checkpoint")
        parser.add_lightning_class_args(Figures, "figures")
        parser.set_defaults(
            {
                "checkpoint.filename": "best",
                "checkpoint.monitor": "val/loss",
                "checkpoint.save_on_train_epoch_end": True,
                "checkpoint.enable_version_counter": False,
                "last_checkpoint.filename": "last",
                "last_checkpoint.save_on_train_epoch_end": True,
                "last_checkpoint.enable_version_counter": False,
            }
        )
        parser.add_argument("--compile", type=bool, default=False, help="Compile the networks with torch.compile.")
        parser.add_argument(
            "--patience", type=int, default=0, help="Stop after so many epochs without a better checkpoint; 0: never."
        )
        parser.add_argument(
            "--lr_find", type=bool, default=False, help="Look for a good learning rate first (arXiv:1506.01186)."
        )
        if "folds" in inspect.signature(self._datamodule_class).parameters:
            parser.add_argument("--folds", type=int | None, default=None, help="Cross-validate with so many folds.")
        parser.add_argument("--resume", type=str | None, default=None, help="Folder of a run to go on with.")
        model = "model.init_args." if self.subclass_mode_model else "model."
        for name in LINKS:
            if name in inspect.signature(self._model_class).parameters:
                parser.link_arguments(f"data.{name}", model + name, apply_on="instantiate")
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    def _parse_ckpt_path(self) -> None:
        """Nothing to add: the checkpoint's hyperparameters are among the configs already, where flags override them."""

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Builds the Trainer with the run's folder, logger, callbacks and atomic checkpoints."""
        config = self._get(self.config_init, "trainer")
        self.run_dir = self.arguments.run_dir or self._new_run_dir(Path(config["default_root_dir"] or "runs"))
        callbacks = [*_as_list(config["callbacks"]), ExactResume(), NaNGuard(), RunRecord(), PredictionWriter()]
        for callback in [*callbacks, *(self._get(self.config_init, key) for key in ("checkpoint", "last_checkpoint"))]:
            if isinstance(callback, ModelCheckpoint):
                callback.dirpath = callback.dirpath or str(self.run_dir.resolve())
        callbacks += self._search_callbacks()
        if config["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in callbacks):
            callbacks.append(TQDMProgressBar(refresh_rate=20))  # a bar redrawn at every step costs milliseconds
        plugins = _as_list(config["plugins"])
        if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
            plugins.append(AtomicCheckpointIO())
        logger = config["logger"]
        if logger is not False:
            extra = [] if logger in (None, True) else _as_list(logger)
            logger = [metrics_logger(self.run_dir, self._first_step()), *extra]
        kwargs |= {"callbacks": callbacks, "plugins": plugins, "logger": logger}
        if not torch.cuda.is_available():
            # Lightning's setting, under which PyTorch would look for a GPU again at every step of an optimiser.
            os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
        try:
            return super().instantiate_trainer(default_root_dir=str(self.run_dir), **kwargs)
        except (
            ValueError,
            MisconfigurationException,
        ) as error:  # an unknown strategy, an accelerator that is not there
            raise InputError(f"The Trainer cannot be set up: {error}") from error

    def _search_callbacks(self) -> list[Callback]:
        callbacks: list[Callback] = []
        checkpoint = self._get(self.config_init, "checkpoint")
        if patience := self._get(self.config_init, "patience"):
            callbacks.append(EarlyStopping(checkpoint.monitor, patience=patience, mode=checkpoint.mode))
        if self._get(self.config_init, "lr_find") and not self.arguments.ckpt_path:
            callbacks.append(LearningRateFinder())
        return callbacks

    def _first_step(self) -> int:
        resumed = self.arguments.run_dir and self.arguments.ckpt_path
        return read_checkpoint(resumed)["global_step"] if resumed else 0

    def _new_run_dir(self, root: Path) -> Path:
        suffix = "" if self.subcommand == "fit" else f"-{self.subcommand}"
        name = f"{datetime.datetime.now():%Y-%m-%d_%H-%M-%S}{suffix}"
        run_dir = root / self.recipe / name
        # Only process 0 writes into it; the others need not know its name.
        if _is_global_zero() and not self._get(self.config_init, "trainer")["fast_dev_run"]:
            number = 2
            while True:
                try:
                    run_dir.mkdir(parents=True)
                    break
                except FileExistsError:
                    run_dir = root / self.recipe / f"{name}-{number}"
                    number += 1
            if self.subcommand == "fit":
                print(f"run folder: {run_dir} (if the run is stopped, go on with --resume {run_dir})")
        return run_dir

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Silences the Trainer's own table of metrics, since ours has the baselines too."""
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        return kwargs | {"verbose": False} if "verbose" in kwargs else kwargs

    def after_instantiate_classes(self) -> None:
        """Checks what would otherwise fail late: a checkpoint of other shapes, predictions scattered over devices."""
        if self.arguments.ckpt_path is not None:
            check_data(self.arguments.ckpt_path, self.model.hparams)
        if self.subcommand == "predict" and self.trainer.world_size > 1:
            raise InputError("predict keeps the order of the samples on one device only: set --trainer.devices 1.")

    def before_fit(self) -> None:
        """Compiles the networks in place, which keeps the names in the checkpoint."""
        if self._get(self.config_init, "compile"):
            for network in self.model.children():
                if any(True for _ in network.parameters()):
                    network.compile()

    def _finish(self) -> None:
        trainer = self.trainer
        self._collect()
        if self.arguments.test_after_fit:
            best = self._get(self.config_init, "checkpoint").best_model_path
            trainer.test(self.model, self.datamodule, ckpt_path=best or None, verbose=False)
            self._collect()
        if trainer.is_global_zero:
            if self.metrics:
                print(table(self.metrics, type(self.model).__name__))
            shown = diagnosis(read_curves(trainer)) if self.arguments.test_after_fit else None
            if shown:
                print(shown)
            if not getattr(trainer, "fast_dev_run", False):
                print(f"run folder: {self.run_dir}")

    def _collect(self) -> None:
        self.metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}


def run_recipe(
    model_class: type[L.LightningModule] | Mapping[str, type[L.LightningModule]],
    datamodule_class: type[L.LightningDataModule],
    recipe: str,
    args: list[str] | None = None,
) -> dict[str, float]:
    """Runs a recipe's command line, with ``--folds K`` as cross-validation; takes what :class:`ZooCLI` does.

    Returns:
        The test metrics; their means over the folds in a cross-validation.
    """
    args = list(sys.argv[1:] if args is None else args)
    folds = take(args, "--folds")
    if folds and "folds" not in inspect.signature(datamodule_class).parameters:
        raise InputError(f"--folds is not for {recipe}: its data bring a split that means something.")

    def run(args: list[str]) -> dict[str, float]:
        return ZooCLI(model_class, datamodule_class, recipe, args).metrics

    return cross_validate(run, recipe, args, folds[-1]) if folds else run(args)


def _is_global_zero() -> bool:
    return getattr(rank_zero_only, "rank", 0) == 0


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return "Tip: For seamless" not in record.getMessage()
