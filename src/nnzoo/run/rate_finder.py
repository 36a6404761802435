"""Looking for a learning rate before a fit, and leaving everything else as it was."""

import contextlib
import io
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.callbacks import LearningRateFinder
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torchmetrics import Metric

from nnzoo.errors import InputError
from nnzoo.files import replacing
from nnzoo.plots.curves import rate_curve
from nnzoo.run.carried import has_own_optimizer
from nnzoo.run.folder import figure_path
from nnzoo.run.record import SaveRunConfig

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 100
"""Rates of a trial, and the steps from one to the other."""
MOMENTUM = 0.98
"""Of Lightning's running mean of the trial's losses."""

SKIPPED = 10
"""Steps at the start of a trial, before its smoothed loss says much."""


class RateFinder(LearningRateFinder):
    """Lightning's range test (arXiv:1506.01186), whose rate the fit then really has.

    Lightning's own sets the rate of an optimiser whose schedule keeps the base rates that it was built with, and takes
    the steepest fall over the rate itself, which lies at the smallest ones; here it is that over its logarithm. The
    rate becomes the hyperparameter ``lr`` before the optimiser is built anew, so that the fit has the bits of one that
    was started with it. Callbacks see nothing of the trial.

    Raises:
        InputError: When fitting starts, if the module does not make its own optimiser, or no rate stands out.
    """

    def __init__(self) -> None:
        super().__init__(LOWEST, HIGHEST, STEPS, update_attr=False)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Looks for a rate and sets it; draws the curve in any case."""
        if not has_own_optimizer(pl_module) or not pl_module.automatic_optimization:
            raise InputError("--lr_find sets --model.lr of one optimizer, which does not act here: leave it out.")
        seen: Any = trainer  # whose callbacks have no annotation
        callbacks, seen.callbacks = seen.callbacks, []
        epochs, validations = trainer.fit_loop.max_epochs, trainer.check_val_every_n_epoch
        # A trial may need more epochs than the fit has, and no validation.
        trainer.fit_loop.max_epochs, trainer.check_val_every_n_epoch = -1, sys.maxsize
        try:
            with warnings.catch_warnings(), _no_bar():
                warnings.filterwarnings("ignore", ".*few for a network.*")  # so has a trial
                self.lr_find(trainer, pl_module)
        finally:
            seen.callbacks = callbacks
            trainer.fit_loop.max_epochs, trainer.check_val_every_n_epoch = epochs, validations
        if self.optimal_lr is None:  # with fast_dev_run
            return
        for module in pl_module.modules():
            if isinstance(module, Metric):
                module.reset()
        trainer._logger_connector.reset_results()
        trainer._logger_connector.reset_metrics()
        rates = self.optimal_lr.results["lr"]
        losses = corrected(rates, self.optimal_lr.results["loss"], trainer.accumulate_grad_batches)
        found = steepest(rates, losses)
        picture = figure_path(Path(trainer.default_root_dir), "learning_rates")
        if trainer.is_global_zero:
            with replacing(picture) as temporary:
                rate_curve(rates, losses, found).savefig(temporary, format="png")
        if found is None:
            raise InputError(
                f"No learning rate between {min(rates):.1g} and {max(rates):.1g} stands out, see {picture}: set "
                "--model.lr instead of --lr_find."
            )
        pl_module.hparams["lr"] = found
        trainer.strategy.setup_optimizers(trainer)
        for callback in callbacks:
            if isinstance(callback, SaveRunConfig):
                callback.keep_rate(trainer, pl_module, found)
        rank_zero_info(f"--lr_find: training with --model.lr {found}, see {picture}.")


def corrected(rates: Sequence[float], losses: Sequence[float], accumulated: int = 1) -> list[float]:
    """A trial's smoothed losses, with the weights in each running mean adding up to one.

    Lightning (2.6) divides the mean of n losses by 1 - momentum^(steps + 1), which halves the first. Of accumulated
    gradients it takes a batch's share of the loss, and there are more steps than losses: an epoch's last makes one too.

    Args:
        rates: Learning rates of the trial's steps.
        losses: Lightning's means.
        accumulated: Batches of a step.
    """
    steps = np.round(STEPS * np.log(np.asarray(rates) / LOWEST) / np.log(HIGHEST / LOWEST)).clip(1)
    weights = 1 - MOMENTUM ** np.arange(1, len(losses) + 1)
    means: list[float] = (accumulated * np.asarray(losses) * (1 - MOMENTUM ** (steps + 1)) / weights).tolist()
    return means


def steepest(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The rate at which a loss falls fastest, per factor of the rate; None if that is at an edge, or it never falls.

    Args:
        rates: Rising learning rates of a trial's steps.
        losses: The smoothed loss after each.
    """
    rate, loss = (np.asarray(values[SKIPPED:], dtype=float) for values in (rates, losses))
    finite = np.isfinite(loss)
    end = len(loss) if finite.all() else int(np.argmin(finite))
    rate, loss = rate[:end], loss[:end]
    if len(loss) < 3:
        return None
    # The smallest loss ends what is looked at: after it the trial diverges.
    last = int(np.argmin(loss))
    slopes = np.gradient(loss, np.log10(rate))[: last + 1]
    best = int(np.argmin(slopes))
    # A fall of less than a twentieth of the loss is noise: the first is a mean of few batches.
    fell = loss[0] - loss[last] > 0.05 * abs(loss[0])
    return float(f"{rate[best]:.3g}") if fell and 0 < best < len(loss) - 1 else None


@contextlib.contextmanager
def _no_bar() -> Iterator[None]:
    # Lightning's bar of the trial cannot be switched off; in a file it makes a line for each step.
    if sys.stderr.isatty():
        yield
    else:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
