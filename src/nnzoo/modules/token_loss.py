"""A loss that is a mean over tokens: of all those of an optimiser's step, on all devices and in all its batches."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nnzoo.modules.base import ZooModule


class TokenLossModule(ZooModule):
    """A module whose loss is the total negative log-likelihood of a step over the step's number of tokens.

    A mean of means, which Lightning makes of several batches of a step (``accumulate_grad_batches``) and of several
    devices, would count the tokens of short texts more than those of long ones. Here the gradient is that of one large
    batch: each device divides by the tokens of all, and before a step of several batches its gradient is rescaled.

    Args:
        shared: What :class:`nnzoo.modules.base.ZooModule` takes.
    """

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)
        self._counts: list[Tensor] = []

    def mean_over_tokens(self, sums: Tensor, tokens: Tensor) -> Tensor:
        """The loss of a training batch.

        Args:
            sums: Negative log-likelihood of each sample, summed over its tokens (B,).
            tokens: Numbers of these tokens (B,).
        """
        count, devices = tokens.sum(), 1
        if self._trainer is not None and self.trainer.training:
            devices = self.trainer.world_size
            if devices > 1:
                count = self.trainer.strategy.reduce(count, reduce_op="sum")
            if self.trainer.accumulate_grad_batches > 1:
                self._counts.append(count)
                count = self._counts[0]
        return sums.sum() * devices / count.clamp(min=1)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Divides the gradient of several batches by their tokens, where Lightning has divided by their number."""
        if self._counts:
            first, total = self._counts[0].clamp(min=1), torch.stack(self._counts).sum().clamp(min=1)
            factor = self.trainer.accumulate_grad_batches * first / total
            gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
            if gradients:  # of weights in pieces a device may have none
                torch._foreach_mul_(gradients, factor.to(gradients[0]))
            self._counts.clear()

    def on_train_epoch_start(self) -> None:
        """Begins a step: what a fit that was ended in the middle of one has counted is gone."""
        super().on_train_epoch_start()
        self._counts.clear()

    def loss_weights(self, batch: Any) -> Sequence[float] | Tensor | None:
        """Numbers of the tokens of each sample that count (B,)."""
        return (batch["labels"] != -100).sum(dim=1)
