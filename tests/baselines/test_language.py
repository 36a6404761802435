"""Counted runs of tokens, against probabilities by hand."""

import collections
import itertools
import math

import numpy as np
import pytest
import torch

from nnzoo import InputError, LanguageBaselines, LoRACausalLM
from nnzoo.baselines.language import KneserNey
from support import decoders

SIZE = 5


def texts():
    generator = np.random.default_rng(0)
    return [generator.integers(0, SIZE, size=generator.integers(1, 12)) for _ in range(8)]


def by_definition(found, order):
    """p(w | h) from counts in dicts, as Chen & Goodman write it down."""
    counts = {order: collections.Counter(tuple(t[i : i + order]) for t in found for i in range(len(t) - order + 1))}
    for length in range(order - 1, 0, -1):
        counts[length] = collections.Counter(run[1:] for run in counts[length + 1])

    def probability(context, token):
        table = counts[len(context) + 1]
        lower = probability(context[1:], token) if context else 1 / SIZE
        after = {run: count for run, count in table.items() if run[:-1] == context}
        if not after:
            return lower
        once, twice = (sum(count == number for count in table.values()) for number in (1, 2))
        discount = once / (once + 2 * twice) if once else 0
        own = max(table[(*context, token)] - discount, 0) + discount * len(after) * lower
        return own / sum(after.values())

    return probability


@pytest.mark.parametrize("order", [1, 2, 3])
def test_probabilities_are_those_of_the_definition_and_sum_to_one(order):
    counted, probability = KneserNey(texts(), SIZE, order), by_definition(texts(), order)
    for length in range(1, 4):
        for context in itertools.product(range(SIZE), repeat=length):
            read = context[max(0, length - order + 1) :]
            expected = [probability(read, token) for token in range(SIZE)]
            found = [math.exp(counted.log_likelihoods(np.array([*context, token]))[-1]) for token in range(SIZE)]
            assert found == pytest.approx(expected, abs=1e-12)
            assert sum(found) == pytest.approx(1)
            np.testing.assert_allclose(counted.after(context), expected, atol=1e-12)
    np.testing.assert_allclose(counted.after(()), [probability((), token) for token in range(SIZE)], atol=1e-12)


def test_two_runs_by_hand():
    """Of "0 1 0 2" the pairs 01, 10 and 02 occur once each: D = 1, so all of p is left to the shorter context.

    Before 0, 1 and 2 there is one kind of token each: also D = 1, which leaves 1 / V of each of them.
    """
    counted = KneserNey([np.array([0, 1, 0, 2])], SIZE, 2)
    np.testing.assert_allclose(np.exp(counted.log_likelihoods(np.array([0, 1, 0, 4]))), 1 / SIZE)
    # "0 1" three times, "0 2" once and "1 0" twice: n1 = n2 = 1, D = 1 / 3. One token each is before 0, 1 and 2.
    counted = KneserNey([np.array([0, 1, 0, 1, 0, 1]), np.array([0, 2])], SIZE, 2)
    found = math.exp(counted.log_likelihoods(np.array([0, 1]))[0])
    assert found == pytest.approx((3 - 1 / 3) / 4 + (1 / 3) * 2 / 4 * (1 / SIZE))


class Data:
    """What the baselines ask of a datamodule."""

    vocab_size, objective = decoders.SIZES["vocab_size"], "causal"

    def batches(self, part):
        return iter([decoders.batch(rows=6, seed=seed) for seed in ({"train": [1, 2], "test": [3]}[part])])


def test_scores_are_over_the_tokens_that_the_model_is_tested_on(tmp_path):
    module = decoders.perturb(LoRACausalLM(pretrained=str(decoders.save(tmp_path / "base")))).eval()
    scores = LanguageBaselines(order=2).scores(module, Data())
    (batch,) = Data().batches("test")
    trained = [row[mask.bool()].numpy() for b in Data().batches("train")
               for row, mask in zip(b["input_ids"], b["attention_mask"], strict=True)]  # fmt: skip
    counted = KneserNey(trained, Data.vocab_size, 2)
    tested = [row[mask.bool()].numpy() for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)]
    loss = -np.concatenate([counted.log_likelihoods(row) for row in tested]).mean()
    assert scores["2-gram"] == pytest.approx({"loss": loss, "perplexity": math.exp(loss)})
    plain = LoRACausalLM(pretrained=str(tmp_path / "base")).eval()
    with torch.no_grad():
        expected = float(plain.contract_loss(batch))
        assert scores["base"]["loss"] == pytest.approx(expected, rel=1e-5)
        assert abs(float(module.contract_loss(batch)) - expected) > 0.1, "the adapter is on again"


def test_runs_need_a_length():
    with pytest.raises(InputError, match="order must be positive"):
        LanguageBaselines(order=0)
