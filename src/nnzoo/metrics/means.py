"""Means of loss terms per stage."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar, cast

import lightning as L
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

STAGES = ("train", "val", "test")
M = TypeVar("M", bound=nn.Module)


class PerStage(nn.Module, Generic[M]):
    """A metric, or a collection of them, for each stage: ``metrics["val"]``.

    Args:
        build: From a stage's name to its metric.
    """

    def __init__(self, build: Callable[[str], M]) -> None:
        super().__init__()
        self.stages = nn.ModuleDict({f"{stage}_": build(stage) for stage in STAGES})  # "train" is a method's name

    def __getitem__(self, stage: str) -> M:
        return cast(M, self.stages[f"{stage}_"])


class WeightedMean(MeanMetric):
    """torchmetrics' mean without its search for NaN, which makes a GPU wait at every step.

    ``MeanMetric(nan_strategy="disable")`` does not search either, but takes every weight for 1 (torchmetrics 1.9).
    """

    def update(self, value: Tensor, weight: Tensor | float = 1.0) -> None:  # type: ignore[override]
        """Adds values, each with its weight."""
        if not isinstance(weight, Tensor) and weight == 1:  # the same bits with fewer kernels
            self.mean_value += value.to(self.dtype).sum()
            self.weight += value.numel()
            return
        weight = weight if isinstance(weight, Tensor) else torch.full_like(value, weight)
        self.mean_value += (value * weight).to(self.dtype).sum()
        self.weight += weight.to(self.dtype).sum()

    def so_far(self) -> float:
        """The mean of all updates, for a look in between: 0 before the first."""
        return float(self.mean_value) / (float(self.weight) or 1.0)


class Perplexity(WeightedMean):
    """exp of the total negative log-likelihood over the total number of tokens, not a mean of batches' perplexities.

    It is updated with means per sequence, in nats, and their numbers of tokens.
    """

    def compute(self) -> Tensor:
        """Exp of the weighted mean of all updates."""
        return super().compute().exp()


class StageMeans(nn.Module):
    """Means over samples of named loss terms, one torchmetrics object per stage and term.

    They are logged once per epoch: Lightning's logging at every step costs more than a step of a small network.

    Args:
        terms: Names of the terms per stage, for example ``{"train": ["loss"], "val": ["loss", "kl"]}``.
    """

    def __init__(self, terms: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.terms = {stage: tuple(measured) for stage, measured in terms.items()}
        names = [f"{stage}/{term}" for stage, measured in terms.items() for term in measured]
        self.metrics = nn.ModuleDict({name: WeightedMean() for name in names})

    def of(self, stage: str) -> dict[str, WeightedMean]:
        """The means of a stage by their terms."""
        return {term: cast(WeightedMean, self.metrics[f"{stage}/{term}"]) for term in self.terms.get(stage, ())}

    def update(self, stage: str, terms: Mapping[str, Tensor], weights: Tensor | float = 1.0) -> None:
        """Adds a batch: per-sample values (B,) of the terms; those the stage does not measure are passed over.

        With ``weights`` (B,), such as the steps that a value is a mean over, the means are weighted.
        """
        for term, values in terms.items():
            if f"{stage}/{term}" in self.metrics:
                cast(WeightedMean, self.metrics[f"{stage}/{term}"]).update(values.detach(), weights)

    def lost(self, stage: str, most: float = math.inf) -> dict[str, float]:
        """The terms whose mean over the batches so far is NaN, infinite or farther from 0 than ``most``, with it."""
        means = {term: metric.so_far() for term, metric in self.of(stage).items()}
        return {term: mean for term, mean in means.items() if not abs(mean) <= most or math.isinf(mean)}

    def log(self, module: L.LightningModule, stage: str) -> None:
        """Logs the means of a stage; call it at the end of an epoch."""
        for term, metric in self.of(stage).items():
            module.log(f"{stage}/{term}", metric, prog_bar=term == "loss")
