"""Predictions that ignore the sequence, counted by hand."""

import math
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error

from nnzoo.baselines.sequences import SequenceBaselines
from nnzoo.data.sequences.dataset import SequenceDataset


def scores(task, train, test, num_classes=0, steps=2):
    """Baselines of sequences of some steps, with targets of a training and of a test part."""

    def dataset(targets, values=None):
        count = len(targets) // (steps if task in ("tagging", "multilabel") else 1)
        values = torch.zeros(count * steps, 1) if values is None else values
        return SequenceDataset(values, torch.full((count,), steps), targets, per_step=task in ("tagging", "multilabel"))

    parts = {"train": dataset(*train), "test": dataset(*test), "val": dataset(*test)}
    return SequenceBaselines().scores(None, SimpleNamespace(parts=parts, task=task, num_classes=num_classes))


def test_the_majority_is_that_of_the_training_part():
    train, test = torch.tensor([0, 1, 1, 2]), torch.tensor([0, 0, 0, 1])
    assert scores("classification", [train], [test]) == {"majority": {"accuracy": 0.25}}


def test_the_mean_is_that_of_the_training_part():
    train, test = torch.tensor([1.0, 3.0, 8.0]), torch.tensor([0.0, 2.0])
    found = scores("regression", [train], [test])["mean"]
    guesses = [4.0, 4.0]
    mse = mean_squared_error(test, guesses)
    assert found == pytest.approx({"mse": mse, "rmse": math.sqrt(mse), "mae": mean_absolute_error(test, guesses)})


def test_frequencies_of_classes_are_those_of_the_training_steps_over_all_and_at_each_position():
    train, test = torch.tensor([0, 1, 0, 1, 0, 2, 1, 1]), torch.tensor([0, 1, 1, 1])
    found = scores("tagging", [train], [test], num_classes=3)
    counts = Counter(train.tolist())
    shares = [(counts[k] + 1) / (8 + 3) for k in range(3)]
    nll = log_loss(test, [shares] * 4, labels=[0, 1, 2])
    assert found["frequency"] == pytest.approx({"nll": nll, "perplexity": math.exp(nll), "accuracy": 0.75})
    at = [Counter(train[position::2].tolist()) for position in range(2)]
    tables = [[(at[position][k] + 1) / (4 + 3) for k in range(3)] for position in range(2)]
    nll = log_loss(test, tables * 2, labels=[0, 1, 2])
    assert found["position"] == pytest.approx({"nll": nll, "perplexity": math.exp(nll), "accuracy": 0.75})


def test_labels_are_told_by_how_often_they_are_on_after_an_input_in_which_they_were():
    rng = np.random.default_rng(0)
    values, test_values, test = (torch.from_numpy(rng.integers(0, 2, (40, 3))).float() for _ in range(3))
    train = (values + torch.from_numpy(rng.random((40, 3)) < 0.2)) % 2
    found = scores("multilabel", [train, values], [test, test_values])
    shares = (train.numpy().sum(axis=0) + 1) / 42
    assert found["frequency"]["nll"] == pytest.approx(nll_of(test, np.tile(shares, (40, 1))))
    guesses = np.empty((40, 3))
    for state in (0, 1):
        for label in range(3):
            rows = train[values[:, label] == state, label].numpy()
            guesses[(test_values[:, label] == state).numpy(), label] = (rows.sum() + 1) / (len(rows) + 2)
    assert found["markov"]["nll"] == pytest.approx(nll_of(test, guesses))


def nll_of(labels, shares):
    """Nats per step, summed over its labels."""
    return -np.where(labels.numpy() == 1, np.log(shares), np.log(1 - shares)).sum(axis=1).mean()
