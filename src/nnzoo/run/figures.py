"""Pictures of a run: learning curves, and whatever its module shows, in the folder and in every logger."""

import pickle
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from matplotlib.figure import Figure

from nnzoo.data.facts import Facts, datamodule_of
from nnzoo.errors import InputError
from nnzoo.modules.base import ZooModule
from nnzoo.modules.evaluating import evaluating
from nnzoo.modules.sharded import is_sharded
from nnzoo.plots.curves import learning_curves
from nnzoo.plots.images import Picture
from nnzoo.run.best import best_epoch, keeper, rule
from nnzoo.run.folder import figure_path
from nnzoo.run.metrics_log import read_curves
from nnzoo.run.pictures import is_animation, save_picture
from nnzoo.timing import timed

MAX_SAMPLES, MAX_VALUES = 2000, 2**25
"""The most samples, and the most values in them (128 MiB of float32), that pictures are drawn from."""


class Figures(Callback):
    """Draws what the module shows of held-out samples into ``figures/*.png`` of the run folder.

    ``module.figures(batch, facts)`` returns pictures by name, animations for .gif; learning_curves.png comes from
    metrics.csv. Loggers that take pictures (W&B, TensorBoard) get the same ones. They are drawn from the tested
    checkpoint at the end of testing, or where no test follows, at the end of fitting.

    Args:
        every_n_epochs: Draw during training too, at the end of every so many epochs; 0 for never.
        draw: Draw at all; pictures take a few seconds of a run.
    """

    def __init__(self, every_n_epochs: int = 0, draw: bool = True) -> None:
        if every_n_epochs < 0:
            raise InputError(f"every_n_epochs must not be negative, got {every_n_epochs}.")
        self.every_n_epochs, self.draw = every_n_epochs, draw
        self.test_follows = False

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draws every n epochs."""
        due = self.every_n_epochs and (trainer.current_epoch + 1) % self.every_n_epochs == 0
        if due and not trainer.sanity_checking:
            self._draw(trainer, pl_module, "val")

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draws the learning curves, and the rest from the last weights unless a test follows."""
        curves = read_curves(trainer) if trainer.is_global_zero and self.draw else {}
        if curves:
            chosen = None if rule(keeper(trainer)) == "last" else best_epoch(trainer)
            self._save(trainer, "learning_curves", learning_curves(curves, chosen))
        if not self.test_follows:
            self._draw(trainer, pl_module, "val")

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draws from the tested weights and test samples."""
        with timed("pictures:", "leave out with --figures.draw false"):
            self._draw(trainer, pl_module, "test")

    @torch.no_grad()
    def _draw(self, trainer: L.Trainer, module: Any, part: str) -> None:
        wanted = self.draw and trainer.is_global_zero and not getattr(trainer, "fast_dev_run", False)
        if not wanted or not isinstance(module, ZooModule) or is_sharded(trainer):
            return
        try:
            batch = held_out(trainer, part)
            if batch is not None:
                batch = move_data_to_device(batch, module.device)
                with evaluating(module):
                    for name, figure in module.figures(batch, Facts(datamodule_of(trainer))).items():
                        self._save(trainer, name, figure)
        except Exception as error:  # a picture is not worth a finished run
            rank_zero_warn(f"Some pictures could not be drawn ({type(error).__name__}: {error}).")

    def _save(self, trainer: L.Trainer, name: str, figure: Picture) -> None:
        path = figure_path(Path(trainer.default_root_dir), name)
        if is_animation(figure):
            save_picture(path.with_suffix(".gif"), figure)
            return
        save_picture(path, figure)
        for logger in trainer.loggers:
            if hasattr(logger, "log_image"):  # W&B and loggers with its interface
                logger.log_image(f"figures/{name}", [str(path)])
            elif isinstance(logger, TensorBoardLogger) and isinstance(figure, Figure):
                logger.experiment.add_figure(f"figures/{name}", figure, trainer.global_step)


def held_out(trainer: L.Trainer, part: str) -> Any:
    """Samples of the validation or the test part, chosen at random; a loader's first batch without our datamodules."""
    data = datamodule_of(trainer)
    if hasattr(data, "choose"):
        return data.choose(part, max(1, min(MAX_SAMPLES, MAX_VALUES // num_values(data.choose(part, 1)))))
    loader: Any = trainer.val_dataloaders if part == "val" else trainer.test_dataloaders
    return None if loader is None else next(iter(loader))


def num_values(batch: Any) -> int:
    """About the number of values in a batch of any kind, by its size as a file."""
    return max(1, len(pickle.dumps(batch)) // 4)
