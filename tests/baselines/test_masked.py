"""Gaps filled by the tokens beside them, against probabilities by hand."""

import itertools
import math

import numpy as np
import pytest
import torch

from nnzoo import MaskedBaselines
from nnzoo.baselines.masked import unmasked
from nnzoo.tokens import IGNORED

SIZE, GAP = 6, 5
TRAIN = [[0, 1, 2, 0, 1, 2, 3], [0, 1, 2, 4, 1, 2], [0, 3, 2, 0, 1]]


def batch_of(texts, places, shown=GAP):
    """Padded texts with gaps at (row, place)."""
    ids = torch.zeros(len(texts), max(map(len, texts)), dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for row, text in enumerate(texts):
        ids[row, : len(text)], mask[row, : len(text)] = torch.tensor(text), 1
    for row, place in places:
        labels[row, place], ids[row, place] = ids[row, place].clone(), shown
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


class Data:
    """What the baselines ask of a datamodule."""

    vocab_size, objective = SIZE, "masked"

    def __init__(self, test):
        self.parts = {"train": [batch_of(TRAIN[:2], [(0, 1), (1, 3)]), batch_of(TRAIN[2:], [(0, 0)])], "test": [test]}

    def batches(self, part):
        return iter(self.parts[part])


class Module:
    _trainer = None


def pairs(texts, before, token):
    """p(token | before) of interpolated Kneser-Ney smoothing, by its definition."""
    found = {(a, b): 0 for text in texts for a, b in itertools.pairwise(text)}
    for text in texts:
        for pair in itertools.pairwise(text):
            found[pair] += 1
    once, twice = (sum(count == number for count in found.values()) for number in (1, 2))
    discount = once / (once + 2 * twice)
    kinds = [b for _, b in found]
    alone = single([kinds], token)
    after = {b: count for (a, b), count in found.items() if a == before}
    if not after:
        return alone
    own = max(after.get(token, 0) - discount, 0) + discount * len(after) * alone
    return own / sum(after.values())


def single(texts, token):
    """p(token) of its count, smoothed alike."""
    every = [one for text in texts for one in text]
    counts = {one: every.count(one) for one in every}
    once, twice = (sum(count == number for count in counts.values()) for number in (1, 2))
    discount = once / (once + 2 * twice) if once else 0
    return (max(counts.get(token, 0) - discount, 0) + discount * len(counts) / SIZE) / len(every)


def chances(left, right):
    """p(w | left, right) by hand; a side that is None is beyond the text."""
    backwards = [text[::-1] for text in TRAIN]

    def side(texts, token, word):
        if token is not None:
            return pairs(texts, token, word)
        kinds = [b for _, b in {(a, b) for text in texts for a, b in itertools.pairwise(text)}]
        return single([kinds], word)

    joint = [side(TRAIN, left, w) * side(backwards, right, w) / single(TRAIN, w) for w in range(SIZE)]
    return [each / sum(joint) for each in joint]


@pytest.mark.parametrize(
    ("place", "left", "right"), [((0, 1), 0, 2), ((0, 0), None, 1), ((0, 3), 2, None), ((1, 2), GAP, 2)]
)
def test_a_gap_is_filled_by_the_tokens_beside_it(place, left, right):
    texts = [[0, 1, 2, 3], [2, GAP, 1, 2]]  # in the second the token before the gap is a gap too
    scores = MaskedBaselines().scores(Module(), Data(batch_of(texts, [place])))["neighbours"]
    by_hand, label = chances(left, right), texts[place[0]][place[1]]
    assert scores["loss"] == pytest.approx(-math.log(by_hand[label]))
    assert scores["perplexity"] == pytest.approx(1 / by_hand[label])
    assert scores["accuracy"] == (int(np.argmax(by_hand)) == label)


def test_scores_are_means_over_all_gaps():
    texts, places = [[0, 1, 2, 3], [2, 4, 1, 2]], [(0, 1), (0, 3), (1, 1)]
    every = [MaskedBaselines().scores(Module(), Data(batch_of(texts, [p])))["neighbours"] for p in places]
    found = MaskedBaselines().scores(Module(), Data(batch_of(texts, places)))["neighbours"]
    for name in ("loss", "accuracy"):
        assert found[name] == pytest.approx(np.mean([scores[name] for scores in every]))


def test_counts_are_of_what_was_masked_not_of_what_stands_there():
    batch = batch_of(TRAIN, [(0, 1), (1, 2), (2, 4)], shown=4)
    assert unmasked(batch)["input_ids"].tolist() == batch_of(TRAIN, [])["input_ids"].tolist()


def test_a_token_that_cannot_be_has_no_chance_and_the_others_keep_theirs():
    """Where no token is seen once, none of the chance is left to those that are never seen."""
    data = Data(batch_of([[0, 1, 0]], [(0, 1)]))
    data.parts["train"] = [batch_of([[0, 1, 0, 1, 0, 1]], [])]
    found = MaskedBaselines().scores(Module(), data)["neighbours"]
    assert found == {"loss": pytest.approx(0), "perplexity": pytest.approx(1), "accuracy": 1}
