"""What a masked language model has to beat: the tokens on both sides of a gap, counted."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnzoo.baselines.base import Baselines, Scores, fitting
from nnzoo.baselines.language import KneserNey, rows_of, tested
from nnzoo.tokens import IGNORED

KEPT = 2**24
"""Chances that are kept on each side, for neighbours that come again: 128 MiB."""


class MaskedBaselines(Baselines):
    """Scores on the masked tokens that the model is tested on, as ``baseline/neighbours/METRIC``.

    ``neighbours`` knows the token on each side of a gap, l and r, and takes them for independent given what is between:
    p(w | l, r) is proportional to p(w | l) p(w | r) / p(w), each from pairs counted in the training part
    (:class:`nnzoo.baselines.language.KneserNey`, of p(w | r) read backwards).
    """

    needs = ("batches", "vocab_size", "objective")
    itemised = True

    def scores(self, module: Any, data: Any) -> Scores:
        """Counts and measures."""
        with fitting("neighbours"), np.errstate(divide="ignore"):
            train = [text for batch in data.batches("train") for text in rows_of(unmasked(batch))[0]]
            size = max(data.vocab_size, 1 + max(int(text.max()) for text in train))
            forwards, backwards = KneserNey(train, size, 2), KneserNey([text[::-1] for text in train], size, 2)
            left, right = (
                functools.lru_cache(KEPT // size)(lambda context, counted=counted: np.log(counted.after(context)))
                for counted in (forwards, backwards)
            )
            alone = np.log(KneserNey(train, size, 1).after(()))
            alone[alone == -np.inf] = np.inf  # never seen, and none of all are seen once: it cannot be
            total, right_ones, count = 0.0, 0, 0
            for batch in tested(module, data):
                for text, labels in zip(batch["input_ids"].tolist(), batch["labels"].tolist(), strict=True):
                    for place, label in enumerate(labels):
                        if label == IGNORED:
                            continue
                        log = left(tuple(text[:place][-1:])) + right(tuple(text[place + 1 : place + 2])) - alone
                        total += float(np.logaddexp.reduce(log) - log[label])
                        right_ones += int(log.argmax()) == label
                        count += 1
        loss = total / count
        return {"neighbours": {"loss": loss, "perplexity": math.exp(loss), "accuracy": right_ones / count}}


def unmasked(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A batch with the tokens that were masked in their places."""
    labels = batch["labels"]
    return {**batch, "input_ids": torch.where(labels == IGNORED, batch["input_ids"], labels)}
