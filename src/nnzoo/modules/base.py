"""What all modules share: hyperparameters, the optimiser, means per stage, and the seams that runs and tests use."""

import inspect
import math
from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import lightning as L
import torch
from lightning.pytorch.utilities.parsing import save_hyperparameters
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from lightning.pytorch.utilities.types import OptimizerConfig, OptimizerLRScheduler, OptimizerLRSchedulerConfig
from torch import Tensor, nn

from nnzoo.data.sampler import BatchIndex, GlobalBatchSampler
from nnzoo.errors import check_choices
from nnzoo.metrics.means import StageMeans
from nnzoo.modules.optimizers import Optimizer, Schedule, build_optimizer, check_optimizer
from nnzoo.modules.sharded import check_shardable, is_sharded, keep_shapes
from nnzoo.parameters import check_options, constructor_arguments, is_resolved, parameters_of
from nnzoo.plots.images import Picture
from nnzoo.seeds import mix_seed

FEW_STEPS, ENOUGH_STEPS = 200, 1000
PRETRAINED_SHARE = 0.2
"""Of these, for a network that knows something already: more epochs would make it learn little data by heart."""


class ZooModule(L.LightningModule):
    """A LightningModule that measures loss terms in ``self.means`` and reads its optimiser from its hyperparameters.

    A subclass's constructor lists its own hyperparameters, plain values all, and hands the others on as ``**shared``;
    they are saved as they are when the base's constructor is called, so change none before.
    It sets ``self.means`` and updates it in its steps.

    Args:
        lr: Learning rate.
        weight_decay: Weight decay of weight matrices and kernels, not of biases and norms; decoupled in adamw, where it
            is not an L2 penalty.
        optimizer: adamw | rmsprop | sgd.
        momentum: Momentum of sgd.
        lr_schedule: constant | cosine or linear (down to 0 at the last step) | multistep (to a tenth after half and a
            hundredth after three quarters of all steps).
        lr_warmup: Share of all steps during which the learning rate rises linearly from 0.

    Raises:
        InputError: If a hyperparameter is out of range, or set where it cannot act.
    """

    metric_note: str = ""
    """What a table of the metrics should say of them: their units, or that a part of the samples was measured."""
    draws: ClassVar[bool] = False
    """Whether ``predict`` makes samples up: it then reads no data, but batches of a ``drawing_loader()``."""
    best_by: ClassVar[tuple[str, str]] = ("val/loss", "min")
    """The metric that chooses the best checkpoint, and which of its values does, min or max: what a command line takes
    unless told otherwise. ("step", "max") is for the last one, where no metric tells how good a model is."""
    means: StageMeans
    most_loss: ClassVar[float] = math.inf
    """A training loss, or a term of it, that is farther from 0 will not come back: it stops the run, as NaN does."""
    shardable: ClassVar[bool] = False
    """Whether its weights may be divided over devices, as FSDP does: it then reads them in ``forward`` alone."""
    found_out: ClassVar[Sequence[str]] = ()
    """Hyperparameters that the constructor finds out where they are not given. The command line takes them from a
    checkpoint, so that what they were found in need not be there any more."""
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = {"momentum": ("optimizer", ["sgd"])}
    """Hyperparameters that act under some choices only: the name of the choice, and under which of its values."""

    def __init__(
        self,
        *,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        optimizer: Optimizer = "adamw",
        momentum: float = 0.9,
        lr_schedule: Schedule = "constant",
        lr_warmup: float = 0.0,
    ) -> None:
        super().__init__()
        self._sampled: tuple[Any, list[BatchIndex]] = (None, [])
        # From the constructors themselves: a command line's parser does not know what they fix.
        arguments = constructor_arguments(self)
        save_hyperparameters(self, frame=inspect.currentframe(), given_hparams=dict(ChainMap(*reversed(arguments))))
        self._own_arguments = arguments[-1]
        self.check_hyperparameters()

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used; it is called before any network is built."""
        check_choices(type(self), self.hparams)
        check_optimizer(self.hparams)
        check_options(type(self), self.hparams, "model")

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the hyperparameters that the constructor takes: not those that a subclass fixes.

        What is not known to be taken, as ``**kwargs`` lead where the source does not tell, is kept as it was given.
        """
        cls: type = type(self)
        taken = parameters_of(cls) if is_resolved(cls) else self._own_arguments
        key = self.CHECKPOINT_HYPER_PARAMS_KEY
        checkpoint[key] = {name: value for name, value in checkpoint[key].items() if name in taken}

    def configure_model(self) -> None:
        """Prepares weights that are about to be divided over devices; raises InputError if they cannot be."""
        if is_sharded(self._trainer):
            check_shardable(self)
            keep_shapes(self.parameters())

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """The configured optimiser with its schedule."""
        return self.build_optimizer(self.parameters())

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clips gradients as the Trainer is told to; the norm of those in pieces is that of all pieces together."""
        if gradient_clip_val and gradient_clip_algorithm in (None, "norm") and is_sharded(self._trainer):
            root: Any = self.trainer.strategy.model  # the one that Lightning has wrapped, which knows all pieces
            root.clip_grad_norm_(gradient_clip_val)
            return
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def build_optimizer(
        self,
        parameters: Iterable[nn.Parameter],
        steps: float | None = None,
        shares: Mapping[nn.Parameter, float] | None = None,
        **changed: Any,
    ) -> OptimizerConfig | OptimizerLRSchedulerConfig:
        """One optimiser with its schedule; a module with two calls it twice.

        Args:
            parameters: What it trains.
            steps: Its steps in the whole fit; the Trainer's estimate if None.
            shares: Share of the learning rate that a parameter has, where that is not 1.
            changed: Hyperparameters in which it differs from the module's, such as ``lr``.
        """
        return build_optimizer(parameters, {**self.hparams, **changed}, self.trainer, steps, shares)

    @property
    def batches_seen(self) -> int:
        """Training batches so far in all epochs: how far the fit is, whatever the number of optimisers' steps."""
        return self.trainer.fit_loop.epoch_loop.batch_progress.total.completed

    @property
    def losses_wait(self) -> bool:
        """Whether ``means`` get training losses later than at their step: what it returns then tells if one is lost."""
        return False

    def contract_loss(self, batch: Any) -> Tensor:
        """A loss from which every parameter has a gradient, for tests; several optimisers' losses are added up."""
        loss = self.training_step(batch, 0)
        if not isinstance(loss, Tensor):
            raise TypeError(f"{type(self).__name__} has no loss of its own to return: override contract_loss.")
        return loss

    def loss_weights(self, batch: Any) -> Sequence[float] | Tensor | None:
        """How much each sample of a batch counts in its loss, such as its number of tokens; None if all do alike."""
        return None

    def costs(self) -> dict[str, float]:
        """What training took besides time and memory, such as tokens per second, for the run's record."""
        return {}

    def loss_context(self) -> str:
        """Where in the last batch a loss stopped being a number, in a few words; empty if nothing is known of that."""
        return ""

    def figures(self, batch: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Pictures by their names, drawn from held-out samples; none by default.

        Args:
            batch: Samples as a loader of the datamodule gives them, chosen at random.
            facts: What the datamodule knows, such as the names of the ``classes``.
        """
        return {}

    def prediction_columns(self, predictions: Sequence[Any], facts: Mapping[str, Any]) -> dict[str, Any]:
        """What ``predict_step`` returned for all batches as columns of a table; empty if a table cannot hold it.

        Args:
            predictions: Batch by batch.
            facts: What the datamodule knows, such as the names of the ``classes``.
        """
        return {}

    def drawn_files(self, predictions: Sequence[Any]) -> dict[str, Picture]:
        """Pictures to write beside a table of predictions, by their names such as images/0000.png; none by default.

        Args:
            predictions: As for :meth:`prediction_columns`.
        """
        return {}

    def log_stage(self, stage: str) -> None:
        """Logs what was measured in a stage; a subclass with further metrics adds them here."""
        self.means.log(self, stage)

    def on_train_start(self) -> None:
        """Warns if the fit has too few steps for a network to learn much, as on a small file of the user's."""
        trainer, hparams = self.trainer, self.hparams
        steps, epochs = trainer.estimated_stepping_batches, trainer.max_epochs
        if trainer.limit_train_batches != 1.0 or getattr(trainer, "fast_dev_run", False) or not epochs or epochs < 0:
            return  # as asked for
        share = PRETRAINED_SHARE if hparams.get("pretrained") and not hparams.get("from_scratch") else 1
        if steps < FEW_STEPS * share:
            rank_zero_warn(
                f"This fit takes {steps:.0f} steps of the optimiser only, few for a network: set --trainer.max_epochs "
                f"{math.ceil(epochs * ENOUGH_STEPS * share / steps)}, say, or a smaller --data.batch_size."
            )

    def on_train_epoch_end(self) -> None:
        """Logs the means of the epoch."""
        self.log_stage("train")

    def on_validation_epoch_end(self) -> None:
        """Logs the means over the validation samples."""
        self.log_stage("val")

    def on_test_epoch_end(self) -> None:
        """Logs the means over the test samples."""
        self.log_stage("test")

    def evaluation_noise(self, batch_idx: int, size: int) -> list[torch.Generator]:
        """Noise for each sample of an evaluation batch: the same however batches are cut and devices are used.

        It leaves the global generator, and so the training's noise, alone.

        Args:
            batch_idx: Number of the batch.
            size: Samples in it.
        """
        batches = self._evaluated()
        samples = torch.tensor([]) if batches is None else batches[batch_idx].samples
        if len(samples) != size:  # other loaders than ours do not say
            samples = torch.arange(batch_idx * size, (batch_idx + 1) * size)
        return [torch.Generator().manual_seed(mix_seed(sample)) for sample in samples.tolist()]

    def num_tested(self) -> int | None:
        """Samples that a test measures on all devices; None of other loaders than ours."""
        batches = self._evaluated()
        return (
            None if batches is None else sum(index.size for index in batches[: int(self.trainer.num_test_batches[0])])
        )

    def tested_rows(self, batch_idx: int, size: int, most: float) -> Tensor:
        """Rows of a test's batch that are among ``most`` samples chosen at random: the same ones on any devices.

        Args:
            batch_idx: Number of the batch.
            size: Samples in it.
            most: Number of samples of the whole test; all rows are given where it has no more, or does not say.
        """
        batches, tested = self._evaluated(), self.num_tested()
        if batches is None or tested is None or tested <= most:
            return torch.arange(size)
        chosen = torch.randperm(tested, generator=torch.Generator().manual_seed(0))[: int(most)]
        return torch.isin(batches[batch_idx].samples, chosen).nonzero()[:, 0]

    def _evaluated(self) -> list[BatchIndex] | None:
        """The batches of the part that is evaluated, on this device; None where they are not known."""
        if self._trainer is None:
            return None
        loader = self.trainer.test_dataloaders if self.trainer.testing else self.trainer.val_dataloaders
        sampler = getattr(loader, "batch_sampler", None)
        if not isinstance(sampler, GlobalBatchSampler):
            return None
        if self._sampled[0] is not sampler:
            self._sampled = (sampler, list(sampler))
        return self._sampled[1]
