"""Means of loss terms per stage."""

from collections.abc import Mapping, Sequence

import lightning as L
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

STAGES = ("train", "val", "test")


class WeightedMean(MeanMetric):
    """torchmetrics' mean without its search for NaN, which makes a GPU wait at every step.

    ``MeanMetric(nan_strategy="disable")`` does not search either, but takes every weight for 1 (torchmetrics 1.9).
    """

    def update(self, value: Tensor, weight: Tensor | float = 1.0) -> None:  # type: ignore[override]
        """Adds values, each with its weight."""
        weight = weight if isinstance(weight, Tensor) else torch.full_like(value, weight)
        self.mean_value += (value * weight).to(self.dtype).sum()
        self.weight += weight.to(self.dtype).sum()


class Perplexity(WeightedMean):
    """exp of the total negative log-likelihood over the total number of tokens, not a mean of batches' perplexities.

    It is updated with means per sequence, in nats, and their numbers of tokens.
    """

    def compute(self) -> Tensor:
        """Exp of the weighted mean of all updates."""
        return super().compute().exp()


class StageMeans(nn.Module):
    """Means over samples of named loss terms, one torchmetrics object per stage and term.

    Logging once per epoch instead of at every step saves about a millisecond a step.

    Args:
        terms: Names of the terms per stage, for example ``{"train": ["loss"], "val": ["loss", "kl"]}``.
    """

    def __init__(self, terms: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        names = [f"{stage}/{term}" for stage, measured in terms.items() for term in measured]
        self.metrics = nn.ModuleDict({name: WeightedMean() for name in names})

    def update(self, stage: str, terms: Mapping[str, Tensor], weights: Tensor | float = 1.0) -> None:
        """Adds a batch: per-sample values (B,) of the terms; those the stage does not measure are passed over.

        With ``weights`` (B,), such as the steps that a value is a mean over, the means are weighted.
        """
        for term, values in terms.items():
            if f"{stage}/{term}" in self.metrics:
                self.metrics[f"{stage}/{term}"].update(values.detach(), weights)  # type: ignore[operator]

    def log(self, module: L.LightningModule, stage: str) -> None:
        """Logs the means of a stage; call it at the end of an epoch."""
        for name, metric in self.metrics.items():
            if name.startswith(f"{stage}/"):
                module.log(name, metric, prog_bar=name.endswith("/loss"))  # type: ignore[arg-type]
