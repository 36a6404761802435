"""What a language model has to beat: counted runs of tokens, and its own base before it was adapted."""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nnzoo.baselines.base import Baselines, Scores, fitting
from nnzoo.errors import check_sizes
from nnzoo.modules.sharded import is_sharded
from nnzoo.tokens import IGNORED


class LanguageBaselines(Baselines):
    """Scores on the tokens that the model is tested on, as ``baseline/NAME/METRIC``.

    ``N-gram`` is interpolated Kneser-Ney smoothing of runs of N tokens, counted in the training part
    (:class:`KneserNey`); ``base`` the pretrained model before training, where there is one.

    Args:
        order: Tokens of the longest run that is counted.
    """

    needs = ("batches", "vocab_size", "objective")
    itemised = True

    def __init__(self, order: int = 3) -> None:
        check_sizes(order=order)
        self.order = order

    def scores(self, module: Any, data: Any) -> Scores:
        """Counts, and measures both."""
        found = {}
        name = f"{self.order}-gram"
        with fitting(name):
            train = [row for batch in data.batches("train") for row in rows_of(batch)[0]]
            counted = KneserNey(train, max(data.vocab_size, 1 + max(int(row.max()) for row in train)), self.order)
            total = tokens = 0.0
            for batch in tested(module, data):
                for row, predicted in zip(*rows_of(batch), strict=True):
                    total -= float(counted.log_likelihoods(row)[predicted].sum())
                    tokens += predicted.sum()
        found[name] = {"loss": total / tokens, "perplexity": math.exp(total / tokens)}
        if is_sharded(module._trainer):  # of which this process has a piece
            return found
        with module.before_training() as was:
            if was:
                with fitting("base"), torch.no_grad():
                    measured = [module.losses(on(batch, module.device)) for batch in tested(module, data)]
                losses, counts = map(torch.cat, zip(*measured, strict=True))
                loss = float(losses.double().sum() / counts.sum())
                found["base"] = {"loss": loss, "perplexity": math.exp(loss)}
        return found


def tested(module: Any, data: Any) -> Iterator[Mapping[str, Tensor]]:
    """The batches that the model is tested on: fewer than there are under ``--trainer.limit_test_batches``."""
    trainer = module._trainer
    return islice(data.batches("test"), None if trainer is None else int(trainer.num_test_batches[0]))


def on(batch: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """A batch on a device."""
    return {name: value.to(device) for name, value in batch.items()}


def rows_of(batch: Mapping[str, Tensor]) -> tuple[list[Any], list[Any]]:
    """The texts of a batch without padding, and which of their tokens but the first are to be predicted."""
    lengths = batch["attention_mask"].sum(dim=1).tolist()
    texts = [row[:length].numpy() for row, length in zip(batch["input_ids"], lengths, strict=True)]
    labels = [row[1:length].numpy() != IGNORED for row, length in zip(batch["labels"], lengths, strict=True)]
    return texts, labels


class KneserNey:
    """Interpolated Kneser-Ney smoothing (Chen & Goodman 1999, section 2.7): counts of runs of tokens.

    p(w | h) = max(c(h w) - D, 0) / c(h) + D N(h) / c(h) p(w | h without its first token), where N(h) is the number of
    tokens seen after h. Below the longest runs, c(h w) is the number of tokens seen before h w. The shortest context,
    which is empty, is interpolated with 1 / V. D = n1 / (n1 + 2 n2) for each length, where n1 and n2 are the numbers of
    runs with a count of 1 and 2.

    Args:
        texts: Tokens of each text.
        size: Number of tokens that there are, V.
        order: Tokens of the longest run.
    """

    def __init__(self, texts: Sequence[Any], size: int, order: int = 3) -> None:
        if size**order >= 2**63:
            raise ValueError(f"Runs of {order} out of {size} tokens cannot be numbered.")
        self.size, self.order = size, order
        runs = np.concatenate([self._numbers(np.asarray(text), order) for text in texts])
        self.levels: list[_Level] = []
        for length in range(order, 0, -1):
            kinds, counts = np.unique(runs, return_counts=True)
            self.levels.insert(0, _Level(kinds, counts, size))
            runs = kinds % size ** (length - 1) if length > 1 else kinds  # each kind of a longer run counts once

    def _numbers(self, text: Any, length: int) -> Any:
        """Each run of a text as one number."""
        places = max(0, len(text) - length + 1)
        found = np.zeros(places, dtype=np.int64)
        for offset in range(length):
            found = found * self.size + text[offset : offset + places]
        return found

    def log_likelihoods(self, text: Any) -> Any:
        """Log-probabilities of all tokens of a text but the first, each from those before it, in nats."""
        text = np.asarray(text)
        chances = np.full(len(text) - 1, 1 / self.size)
        for length, level in enumerate(self.levels, start=1):
            first = max(0, length - 2)  # tokens further in front have too little before them
            chances[first:] = level.interpolated(
                self._numbers(text, length)[1 if length == 1 else 0 :], chances[first:]
            )
        return np.log(chances)

    def after(self, context: Sequence[int]) -> Any:
        """Probabilities (V,) of each token that may follow on the last tokens of a text; none are needed."""
        chances = np.full(self.size, 1 / self.size)
        for length, level in enumerate(self.levels[: len(context) + 1], start=1):
            last = context[len(context) - length + 1 :]
            chances = level.after(functools.reduce(lambda number, token: number * self.size + token, last, 0), chances)
        return chances


class _Level:
    """Counts of the runs of one length, sorted by their numbers."""

    def __init__(self, kinds: Any, counts: Any, size: int) -> None:
        self.kinds, self.counts, self.size = kinds, counts, size
        self.contexts, inverse = np.unique(kinds // size, return_inverse=True)
        self.totals = np.bincount(inverse, weights=counts)
        self.followers = np.bincount(inverse)
        once, twice = (int((counts == number).sum()) for number in (1, 2))
        self.discount = once / (once + 2 * twice) if once else 0.0

    def interpolated(self, runs: Any, lower: Any) -> Any:
        """Probabilities of the last tokens of runs, from those given a context that is a token shorter."""
        counts = _looked_up(self.kinds, self.counts, runs)
        totals = _looked_up(self.contexts, self.totals, runs // self.size)
        followers = _looked_up(self.contexts, self.followers, runs // self.size)
        seen = totals > 0
        divisor = np.where(seen, totals, 1)
        own = (np.maximum(counts - self.discount, 0) + self.discount * followers * lower) / divisor
        return np.where(seen, own, lower)

    def after(self, context: int, lower: Any) -> Any:
        """As :meth:`interpolated`, of all tokens after one context, by its number."""
        place = int(np.searchsorted(self.contexts, context))
        if place == len(self.contexts) or self.contexts[place] != context:
            return lower
        first, last = np.searchsorted(self.kinds, [context * self.size, (context + 1) * self.size])
        own = self.discount * self.followers[place] * lower
        own[self.kinds[first:last] % self.size] += np.maximum(self.counts[first:last] - self.discount, 0)
        return own / self.totals[place]


def _looked_up(keys: Any, values: Any, wanted: Any) -> Any:
    """The value of each key that is wanted; 0 where it is not among the sorted keys."""
    if not len(keys):
        return np.zeros(len(wanted))
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)
