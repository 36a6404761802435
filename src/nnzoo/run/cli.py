"""ZooCLI: the command line of every recipe, on LightningCLI."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from nnzoo.baselines.base import Baselines
from nnzoo.data.facts import facts_of
from nnzoo.errors import InputError
from nnzoo.parameters import parameters_of
from nnzoo.run.allocator import keep_freed_memory
from nnzoo.run.arguments import Arguments, dataset_of, parse
from nnzoo.run.best import defaults_of, tested_note
from nnzoo.run.checkpoint import public_name, read_checkpoint
from nnzoo.run.compatibility import check_checkpoint, check_fits, check_same_run, import_class
from nnzoo.run.data import DataFirst, builder, drop_idle, room_of
from nnzoo.run.figures import Figures
from nnzoo.run.folder import BEST, CONFIG, LAST, new_folder
from nnzoo.run.folds import add_fold_arguments
from nnzoo.run.following import for_task, take_found, with_following
from nnzoo.run.help import tidy
from nnzoo.run.last_checkpoint import LastCheckpoint
from nnzoo.run.launcher import check_launched, is_global_zero, warn_of_batch_norms
from nnzoo.run.limits import check_limits, on_cpu
from nnzoo.run.memory import HELD, TRAINED, within_memory
from nnzoo.run.metrics_log import read_curves
from nnzoo.run.parser import ZooParser, failed_class, keep_whole_numbers
from nnzoo.run.progress import PROGRESS_KEY
from nnzoo.run.quiet import quiet
from nnzoo.run.record import SaveRunConfig
from nnzoo.run.report import diagnosis, ended_by_patience, notes_of, table
from nnzoo.run.trainer import run_callbacks, run_loggers, run_plugins

Models = type[L.LightningModule] | Mapping[str, type[L.LightningModule]]
DataModules = type[L.LightningDataModule] | Sequence[type[L.LightningDataModule]]


class ZooCLI(LightningCLI):
    """A recipe's command line: fits, then tests the best checkpoint, unless a subcommand says otherwise.

    Args:
        model_class: The recipe's LightningModule; or one for each task of the datamodule, such as
            ``{"classification": MLPClassifier, "regression": MLPRegressor}``, chosen by the data's ``task``.
        datamodule_class: Its LightningDataModule; or several, of which the data set that is chosen is a source of one.
        recipe: Stem of a packaged recipe: its defaults are ``nnzoo.recipes/RECIPE.yaml``, its runs go to
            ``runs/RECIPE/``. Or ``__file__`` of a program of your own, whose YAML of the same stem lies beside it.
        args: Arguments as typed; ``sys.argv[1:]`` if None.

    Attributes:
        metrics: Test metrics (validation metrics after ``fit`` and ``validate``) by name.
        run_dir: The run's folder.

    Raises:
        InputError: If an argument names something that does not exist or cannot be used.
    """

    def __init__(
        self, model_class: Models, datamodule_class: DataModules, recipe: str, args: list[str] | None = None
    ) -> None:
        with quiet():
            self._run(model_class, datamodule_class, recipe, args)

    def _run(self, model_class: Models, datamodules: DataModules, recipe: str, args: list[str] | None) -> None:
        self.recipe = Path(recipe).stem
        self.prog = f"python -m nnzoo.recipes.{recipe}" if self.recipe == recipe else f"python {recipe}"
        known = [datamodules] if isinstance(datamodules, type) else list(datamodules)
        facts = {name for cls in known for name in facts_of(cls)}
        self.metrics: dict[str, float] = {}
        classes = list(model_class.values()) if isinstance(model_class, Mapping) else [model_class]
        parsed = parse(sys.argv[1:] if args is None else args, recipe, [public_name(cls) for cls in classes], facts)
        self.arguments: Arguments = with_following(parsed, recipe, known)
        datamodule_class = room_of(dataset_of(self.arguments.configs, self.arguments.flags), known)
        self.facts = facts_of(datamodule_class)
        self._data_first: DataFirst | None = None
        if self.arguments.ckpt_path is not None:
            check_checkpoint(self.arguments.ckpt_path, classes)
        if isinstance(model_class, Mapping):
            try:
                self._data_first = DataFirst(datamodule_class, self.arguments, classes, self.prog)
                model_class = self._model_for(self._data_first.datamodule, model_class)
            except InputError:
                if not self.arguments.only_shows:
                    raise
                model_class = classes[0]  # settings are shown before there is a file
            self.arguments = for_task(self.arguments, model_class, classes)
        super().__init__(
            model_class,
            datamodule_class,
            save_config_callback=SaveRunConfig,
            save_config_kwargs={"save_to_log_dir": False},
            trainer_defaults={"default_root_dir": "runs", "use_distributed_sampler": False},
            parser_kwargs={
                "prog": self.prog,
                self.arguments.subcommand: {"default_config_files": self.arguments.default_configs},
            },
            parser_class=ZooParser,
            subclass_mode_model=self.arguments.model_is_subclass(),
            load_from_checkpoint_support=False,  # modules keep plain hyperparameters, from their constructors
            args=self.arguments.command_line(),
        )
        self._finish()

    def _model_for(self, data: Any, models: Mapping[str, type[L.LightningModule]]) -> type[L.LightningModule]:
        """The class for the data's task."""
        task, why = data.task, getattr(data, "why", "")
        if task not in models:
            raise InputError(
                f"The recipe {self.recipe} is for {' and '.join(models)}, these data are for {task}"
                f"{f' ({why})' if why else ''}: choose other data, or another recipe."
            )
        return models[task]

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        """The one that was asked for, as building a parser for each takes time; the rest is told by the usage line."""
        return {self.arguments.subcommand: LightningCLI.subcommands()[self.arguments.subcommand]}

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds the seed: a number, so that every run can be repeated."""
        parser.add_argument("--seed_everything", type=int, default=0, help="Seed of everything that is drawn.")

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds data and model, which differ from recipe to recipe, before Lightning's Trainer."""
        parser.add_lightning_class_args(self._datamodule_class, "data")
        parser.add_lightning_class_args(self._model_class, "model", subclass_mode=self.subclass_mode_model)
        parser.add_argument(
            "--baselines",
            type=list[Baselines] | Baselines | None,
            default=None,
            help="Classical models beside the network in the table of metrics; null for none.",
        )
        parser.add_lightning_class_args(self.trainer_class, "trainer")
        keep_whole_numbers(parser)
        parser.set_defaults({f"trainer.{name}": value for name, value in self.trainer_defaults.items()})

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds checkpoints, figures, compilation, and the links from data to model."""
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(LastCheckpoint, "last_checkpoint")
        parser.add_lightning_class_args(Figures, "figures")
        parser.set_defaults(
            {
                **defaults_of(self._model_class),
                "checkpoint.filename": BEST,
                "checkpoint.enable_version_counter": False,
                "last_checkpoint.filename": LAST,
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
        if "folds" in parameters_of(self._datamodule_class):
            add_fold_arguments(parser)
        parser.add_argument("--resume", type=str | None, default=None, help="Folder of a run to go on with.")
        taken = parameters_of(self._model_class)
        model = "model.init_args." if self.subclass_mode_model else "model."
        for name in filter(taken.__contains__, self.facts):
            parser.link_arguments(f"data.{name}", model + name, apply_on="instantiate")
        if "seed" in parameters_of(self._datamodule_class):
            parser.link_arguments("seed_everything", "data.seed")
        if isinstance(parser, ZooParser):
            parser.known_keys = frozenset(f"model.{name}" for name in taken)

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        tidy(parser, self.prog)
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses the command line and looks at what its types do not say."""
        super().parse_arguments(parser, args)
        check_limits(self.config[self.arguments.subcommand])

    def before_instantiate_classes(self) -> None:
        """Drops the recipe's own values of options that the user's choices switch off; gives the data built first."""
        if self.arguments.run_dir is not None:
            check_same_run(self.arguments.run_dir / CONFIG, self.config[self.subcommand])
        model, model_class = self._get(self.config, "model"), self._model_class
        if self.subclass_mode_model:
            model, model_class = model.init_args, import_class(model.class_path)
        own = self.arguments.own_settings
        drop_idle(model_class, model, [settings.get("model") for settings in own])
        drop_idle(self._datamodule_class, self._get(self.config, "data"), [settings.get("data") for settings in own])
        take_found(self.arguments, model_class, model)
        build = self._data_first or builder(self.arguments, getattr(model_class, "draws", False))
        self.parser.add_instantiator(build, self._datamodule_class, subclasses=False)

    def instantiate_classes(self) -> None:
        """Builds data, model and Trainer; says in a sentence why a class of the user's cannot be built."""
        if cpu := on_cpu(self.config[self.subcommand].get):
            keep_freed_memory()
        try:
            with within_memory(TRAINED if cpu and self.subcommand == "fit" else HELD):
                super().instantiate_classes()
        except (TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            if failed := failed_class(error):  # a logger, a callback
                raise InputError(failed) from error
            if not self.subclass_mode_model:
                raise
            path = self._get(self.config, "model").class_path
            reason = " ".join(str(error.__cause__ or error).split())
            raise InputError(f"{path} cannot be built ({reason[:300]}): set what it needs as --model.NAME.") from error

    def _parse_ckpt_path(self) -> None:
        """Nothing to add: a checkpoint's hyperparameters are among the configs, where flags override them."""

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """Builds the Trainer with the run's folder, logger, callbacks and atomic checkpoints."""
        settings = {key: self._get(self.config_init, key) for key in ("trainer", "baselines", "checkpoint", "patience")}
        config = settings["trainer"]
        check_launched(config)
        self.run_dir = self.arguments.run_dir or self._new_run_dir(Path(config["default_root_dir"] or "runs"))
        self._get(self.config_init, "figures").test_follows = self.arguments.test_after_fit
        callbacks = run_callbacks(settings, self._get(self.config_init, "lr_find") and not self.arguments.ckpt_path)
        checkpoints = [self._get(self.config_init, key) for key in ("checkpoint", "last_checkpoint")]
        for callback in (one for one in [*callbacks, *checkpoints] if isinstance(one, ModelCheckpoint)):
            callback.dirpath = callback.dirpath or str(self.run_dir.resolve())
        loggers = run_loggers(config["logger"], self.run_dir, self._progress())
        kwargs |= {"callbacks": callbacks, "plugins": run_plugins(config["plugins"]), "logger": loggers}
        try:
            return super().instantiate_trainer(default_root_dir=str(self.run_dir), **kwargs)
        except (ValueError, ImportError, MisconfigurationException) as error:  # such as an accelerator that is absent
            raise InputError(f"The Trainer cannot be set up: {error}") from error

    def _progress(self) -> dict[str, Any] | None:
        resumed = self.arguments.run_dir and self.arguments.ckpt_path
        return read_checkpoint(resumed).get(PROGRESS_KEY) if resumed else None

    def _new_run_dir(self, root: Path) -> Path:
        # Only process 0 writes into it; the others need not know its name.
        make = is_global_zero() and not self._get(self.config_init, "trainer")["fast_dev_run"]
        run_dir = new_folder(root, self.recipe, "" if self.subcommand == "fit" else f"-{self.subcommand}", make)
        if make and self.subcommand == "fit":
            print(f"run folder: {run_dir} (if the run is stopped, go on with --resume {run_dir})")
        return run_dir

    def _prepare_subcommand_kwargs(self, subcommand: str) -> dict[str, Any]:
        """Silences the Trainer's own table, since ours has the baselines too; what makes samples up needs no data."""
        kwargs = super()._prepare_subcommand_kwargs(subcommand)
        if subcommand == "predict" and getattr(self.model, "draws", False):
            kwargs |= {"datamodule": None, "dataloaders": self.model.drawing_loader()}
        return kwargs | {"verbose": False} if "verbose" in kwargs else kwargs

    def after_instantiate_classes(self) -> None:
        """Checks what would otherwise fail late: a checkpoint of other shapes, predictions scattered over devices."""
        if self.arguments.ckpt_path is not None:
            check_fits(self.arguments.ckpt_path, self.model, self.datamodule)
        if self.subcommand == "predict" and self.trainer.world_size > 1:
            raise InputError("predict keeps the order of the samples on one device only: set --trainer.devices 1.")

    def _run_subcommand(self, subcommand: str) -> None:
        try:
            super()._run_subcommand(subcommand)
        except (KeyboardInterrupt, SystemExit):
            if subcommand == "fit" and self.trainer.is_global_zero:
                saved = any(self.run_dir.glob("*.ckpt"))
                print(f"stopped: {f'go on with --resume {self.run_dir}' if saved else 'nothing was saved yet'}")
            raise

    def before_fit(self) -> None:
        """Compiles the networks in place, which keeps the names in the checkpoint."""
        warn_of_batch_norms(self.model, self.trainer, self._get(self.config_init, "trainer")["sync_batchnorm"])
        if self._get(self.config_init, "compile"):
            for network in (one for one in self.model.children() if any(True for _ in one.parameters())):
                network.compile()

    def _finish(self) -> None:
        trainer = self.trainer
        self._collect()
        if self.arguments.test_after_fit:
            best = self._get(self.config_init, "checkpoint").best_model_path
            if not best and not getattr(trainer, "fast_dev_run", False):
                rank_zero_warn("No epoch was saved as the best: the last weights are tested.")
            trainer.test(self.model, self.datamodule, ckpt_path=best or None, verbose=False)
            self._collect()
        if trainer.is_global_zero:
            notes = notes_of(trainer, self.model) + tested_note(trainer) * self.arguments.test_after_fit
            if self.metrics:
                print(table(self.metrics, type(self.model).__name__, notes))
            if self.arguments.test_after_fit and (shown := diagnosis(read_curves(trainer), ended_by_patience(trainer))):
                print(shown)
            if not getattr(trainer, "fast_dev_run", False):
                print(f"run folder: {self.run_dir}")

    def _collect(self) -> None:
        self.metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
