"""Fine-tuning: first the head alone, then the backbone too."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import BackboneFinetuning
from lightning.pytorch.callbacks.finetuning import multiplicative
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from nnzoo.errors import InputError
from nnzoo.nets.layers import is_decayed


class Finetuning(BackboneFinetuning):
    """Lightning's ``BackboneFinetuning``, with exact resume.

    The module's ``backbone`` is frozen, joins in after some epochs at a share of the head's learning rate, and its rate
    then doubles every epoch until it is the head's. After a resume Lightning's own callback leaves the backbone frozen,
    and doubles its rate once more in the middle of an epoch.

    Args:
        unfreeze_at_epoch: The first epoch, counted from 0, in which the backbone learns.
        initial_share: The backbone's first learning rate, as a share of the head's.
        train_norms: Whether the backbone's batch norms learn, from the start. If not, they stay as they are for the
            whole run and normalise by their running statistics in training too, as in evaluation.

    Raises:
        InputError: When fitting starts, if the module has no backbone or there are several devices.
    """

    def __init__(self, unfreeze_at_epoch: int = 3, initial_share: float = 0.1, train_norms: bool = True) -> None:
        super().__init__(unfreeze_at_epoch, multiplicative, initial_share, train_bn=train_norms)
        self._last_epoch = -1

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Freezes the backbone before a fit; InputError if there is none, or there are several devices."""
        if stage != "fit":
            return
        if not hasattr(pl_module, "backbone"):
            raise InputError(f"{type(pl_module).__name__} has no backbone to fine-tune: leave out this callback.")
        if trainer.world_size > 1:
            # DDP would not add up the gradients of parameters that were frozen when it started.
            raise InputError("Fine-tuning with a frozen backbone works on one device: set --trainer.devices 1.")
        super().setup(trainer, pl_module, stage)

    def freeze_before_training(self, pl_module: L.LightningModule) -> None:
        """Freezes the backbone."""
        self.freeze(pl_module.backbone, train_bn=self.train_bn)
        self._hold_norms(pl_module)

    def _hold_norms(self, pl_module: L.LightningModule) -> None:
        """Lightning's own gives frozen norms the batch's statistics in training, and lets them go with the backbone."""
        for layer in () if self.train_bn else pl_module.backbone.modules():  # type: ignore[union-attr]
            if isinstance(layer, _BatchNorm):
                self.freeze_module(layer)
                layer.eval()

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """After a resume, makes a backbone learn that had joined in."""
        super().on_fit_start(trainer, pl_module)
        if self.previous_backbone_lr is not None:
            self.make_trainable(pl_module.backbone)
            self._hold_norms(pl_module)

    def finetune_function(self, pl_module: L.LightningModule, epoch: int, optimizer: Optimizer) -> None:
        """Unfreezes the backbone or raises its rate, once at the start of each epoch."""
        if epoch <= self._last_epoch:
            return
        super().finetune_function(pl_module, epoch, optimizer)
        self._last_epoch = epoch
        self._hold_norms(pl_module)
        if epoch == self.unfreeze_backbone_at_epoch:
            _spare_from_decay(optimizer)
        elif epoch > self.unfreeze_backbone_at_epoch:  # Lightning's own sets the rate of the last group only
            optimizer.param_groups[-2]["lr"] = optimizer.param_groups[-1]["lr"]

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {**super().state_dict(), "last_epoch": self._last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores what :meth:`state_dict` returned."""
        super().load_state_dict(state_dict)
        self._last_epoch = state_dict["last_epoch"]


def _spare_from_decay(optimizer: Optimizer) -> None:
    """Divides the last parameter group into one of biases and norms, without weight decay, and one of all others."""
    group = optimizer.param_groups.pop()
    for decayed in (False, True):
        chosen = [parameter for parameter in group["params"] if is_decayed(parameter) == decayed]
        settings = {} if decayed else {"weight_decay": 0.0}
        optimizer.param_groups.append({**group, "params": chosen, **settings})
