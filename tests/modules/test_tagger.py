import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score, log_loss
from torchmetrics.text import Perplexity

from nnzoo import InputError, SequenceTagger
from support.sequences import LENGTHS, measure, step_batches

pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.mark.parametrize("labels", [False, True])
def test_the_taggers_training_loss_is_the_mean_over_sequences_of_the_mean_over_their_steps(labels):
    module = SequenceTagger(num_inputs=3, num_classes=4, multilabel=labels).eval()
    (batch, _) = step_batches(labels)
    inputs, lengths, target = batch
    probabilities = module(inputs, lengths).detach().double()
    losses = []
    for row, length in enumerate(lengths):
        for_steps = [nll_of_step(probabilities[row, step], target[row, step], labels) for step in range(length)]
        losses.append(np.mean(for_steps))
    assert float(module.training_step(batch, 0)) == pytest.approx(np.mean(losses), rel=1e-5)


def nll_of_step(probabilities, target, labels):
    if not labels:
        return -math.log(probabilities[target])
    return sum(
        log_loss([int(t)], [[1 - float(p), float(p)]], labels=[0, 1])
        for p, t in zip(probabilities, target, strict=True)
    )


def test_the_taggers_metrics_count_every_valid_step_once():
    module = SequenceTagger(num_inputs=3, num_classes=4).eval()
    batches = step_batches()
    metrics = measure(module, batches)
    perplexity, losses, predicted, true = Perplexity(ignore_index=-100), [], [], []
    for inputs, lengths, target in batches:
        probabilities = module(inputs, lengths).detach()
        perplexity.update(probabilities.log(), target)
        valid = target != -100
        losses += [nll_of_step(p, t, False) for p, t in zip(probabilities[valid], target[valid], strict=True)]
        predicted += probabilities[valid].argmax(dim=1).tolist()
        true += target[valid].tolist()
    assert len(true) == 19
    assert metrics["test/nll"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert metrics["test/perplexity"] == pytest.approx(float(perplexity.compute()), rel=1e-5)
    assert metrics["test/accuracy"] == pytest.approx(np.mean(np.equal(predicted, true)))
    assert metrics["test/f1"] == pytest.approx(f1_score(true, predicted, average="macro"), rel=1e-5)
    assert metrics["test/nll"] != pytest.approx(metrics["test/loss"], rel=1e-3)


def test_the_multilabel_metrics_count_every_valid_step_once():
    module = SequenceTagger(num_inputs=3, num_classes=4, multilabel=True).eval()
    batches = step_batches(labels=True)
    metrics = measure(module, batches)
    probabilities, true = [], []
    for inputs, lengths, target in batches:
        valid = target[..., 0] != -100
        probabilities.append(module(inputs, lengths).detach()[valid])
        true.append(target[valid])
    probabilities, true = torch.cat(probabilities), torch.cat(true).int()
    losses = [nll_of_step(p, t, True) for p, t in zip(probabilities.double(), true, strict=True)]
    predicted = (probabilities > 0.5).int()
    assert metrics["test/nll"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert metrics["test/overlap"] == pytest.approx(jaccard_score(true, predicted, average="micro"), rel=1e-5)
    assert metrics["test/accuracy"] == pytest.approx(float((predicted == true).all(dim=1).float().mean()))
    assert "test/perplexity" not in metrics


@pytest.mark.parametrize(
    ("settings", "target", "says"),
    [
        ({}, torch.tensor([[4, 0, 1, 2, 3]] * 3), "must lie in 0 .. 3, got 0 .. 4"),
        ({"multilabel": True}, torch.full((3, 5, 4), 2.0), "must lie in 0 .. 1, got 2 .. 2"),
        ({"multilabel": True}, torch.zeros(3, 5, dtype=torch.long), "do not fit"),
        ({}, torch.zeros(3, 5, 4), "do not fit"),
    ],
)
def test_targets_that_do_not_fit_the_tagger_are_refused(settings, target, says):
    module = SequenceTagger(num_inputs=3, num_classes=4, **settings)
    with pytest.raises(InputError, match=says):
        module.training_step((torch.randn(3, 5, 3), LENGTHS, target), 0)


def test_a_bidirectional_tagger_may_not_see_its_targets_among_its_inputs():
    roll = torch.randint(2, (3, 6, 4)).float()
    batch = (roll[:, :-1], torch.tensor([5, 5, 5]), roll[:, 1:])
    settings = {"num_inputs": 4, "num_classes": 4, "multilabel": True}
    SequenceTagger(**settings).training_step(batch, 0)
    with pytest.raises(InputError, match="next input, which a bidirectional network sees"):
        SequenceTagger(bidirectional=True, **settings).training_step(batch, 0)


def test_a_tagger_needs_classes():
    with pytest.raises(InputError, match="two classes or more"):
        SequenceTagger(num_inputs=3, num_classes=0)
