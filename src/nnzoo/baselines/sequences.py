"""What can be predicted of a sequence without reading it, or by reading one step."""

import math
import typing
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nnzoo.baselines.base import Baselines, Scores
from nnzoo.data.sequences.dataset import SequenceDataset


class SequenceBaselines(Baselines):
    """Test scores of predictions that ignore the sequence, fitted on the training part, as ``baseline/NAME/METRIC``.

    - classification: ``majority`` says the most frequent class.
    - regression: ``mean`` says the mean, which is the "always 1" of the adding problem with its MSE of 1/6.
    - tagging: ``frequency`` says how often each class occurs; where all sequences are equally long, ``position`` says
      how often it occurs at that step, the memoryless solution of copy memory.
    - multilabel: ``frequency`` says how often each label is on, independently; ``markov`` how often it is on after an
      input in which it was on or off, where the inputs are the labels of the step before, as with chorales.
    """

    needs = ("parts", "task", "num_classes")

    def scores(self, module: Any, data: Any) -> Scores:
        """Fits the predictions that suit the task."""
        parts = data.parts if "train" in data.parts else data.source.load()  # a test of a file alone has read no more
        train, test = (typing.cast(SequenceDataset, parts[part]) for part in ("train", "test"))
        return {
            "classification": lambda: majority(train.targets, test.targets),
            "regression": lambda: mean(train.targets, test.targets),
            "tagging": lambda: class_frequencies(train, test, data.num_classes),
            "multilabel": lambda: label_frequencies(train, test),
        }[data.task]()


def majority(train: Tensor, test: Tensor) -> Scores:
    """Accuracy of the most frequent training class (N,)."""
    return {"majority": {"accuracy": float((test == train.mode().values).double().mean())}}


def mean(train: Tensor, test: Tensor) -> Scores:
    """Errors of the training mean (N,), in the target's units."""
    errors = test.double() - train.double().mean()
    mse = float(errors.square().mean())
    return {"mean": {"mse": mse, "rmse": math.sqrt(mse), "mae": float(errors.abs().mean())}}


def class_frequencies(train: SequenceDataset, test: SequenceDataset, num_classes: int) -> Scores:
    """Scores per step of the training frequencies of the classes, overall and at each position.

    One is added to every count, so that a class unseen in training does not cost infinitely much.
    """
    counts = {"frequency": F.one_hot(train.targets, num_classes).sum(dim=0, keepdim=True)}
    if len(torch.cat([train.lengths, test.lengths]).unique()) == 1:
        steps = int(train.lengths[0])
        counts["position"] = F.one_hot(train.targets, num_classes).view(-1, steps, num_classes).sum(dim=0)
    scores: dict[str, dict[str, float]] = {}
    for name, table in counts.items():
        shares = (table + 1).double() / (table + 1).sum(dim=1, keepdim=True)
        guesses = shares.repeat(len(test.targets) // len(shares), 1)  # the steps of a sequence follow each other
        nll = float(F.nll_loss(guesses.log(), test.targets))
        accuracy = float((guesses.argmax(dim=1) == test.targets).double().mean())
        scores[name] = {"nll": nll, "perplexity": math.exp(nll), "accuracy": accuracy}
    return scores


def label_frequencies(train: SequenceDataset, test: SequenceDataset) -> Scores:
    """Negative log-likelihood per step of the labels, given nothing, and given themselves at the step before."""
    scores = {"frequency": {"nll": _bernoulli_nll(_on_share(train.targets), test.targets)}}
    if train.values.shape == train.targets.shape:
        on, off = (_on_share(train.targets, train.values == state) for state in (1, 0))
        scores["markov"] = {"nll": _bernoulli_nll(torch.where(test.values == 1, on, off), test.targets)}
    return scores


def _on_share(labels: Tensor, where: Tensor | None = None) -> Tensor:
    # One on and one off are added to the counts, so that no label is impossible.
    where = torch.ones_like(labels, dtype=torch.bool) if where is None else where
    return ((labels * where).double().sum(dim=0) + 1) / (where.double().sum(dim=0) + 2)


def _bernoulli_nll(shares: Tensor, labels: Tensor) -> float:
    losses = F.binary_cross_entropy(shares.expand(labels.shape), labels.double(), reduction="none")
    return float(losses.sum(dim=1).mean())
