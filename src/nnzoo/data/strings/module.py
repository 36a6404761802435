"""Pairs of strings: reversed numbers, dates in many formats, or a file of the user's own."""

from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nnzoo.data.base import GlobalBatchDataModule
from nnzoo.data.facts import fact
from nnzoo.data.sampler import BatchIndex
from nnzoo.data.splits import check_fractions, split_indices
from nnzoo.data.strings.pairs import Pair, generate, read_pairs, read_sources
from nnzoo.errors import InputError, check_choices
from nnzoo.seeds import mix_seed
from nnzoo.tokens import PAD, Characters, build_vocabulary

Task = Literal["reversal", "dates"]
LENGTHS = {"reversal": (12, 18), "dates": (20, 30)}
"""Longest source of training and of the part ``longer``, where the user names none."""


class StringPairs(Dataset[tuple[Tensor, ...]]):
    """Pairs as tokens, fetched by whole batches.

    Args:
        pairs: The strings.
        characters: Their encoding.
    """

    def __init__(self, pairs: list[Pair], characters: Characters) -> None:
        self.pairs = pairs
        self.source, self.lengths = characters.sources([pair.source for pair in pairs])
        self.target = characters.targets([pair.target for pair in pairs])
        self._target_lengths = (self.target != PAD).sum(dim=1)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitems__(self, batch: BatchIndex) -> tuple[Tensor, ...]:
        rows = batch.samples
        lengths, longest = self.lengths[rows], int(self._target_lengths[rows].max())
        source, target = (tensor.index_select(0, rows) for tensor in (self.source, self.target))
        return source[:, : int(lengths.max())], lengths, target[:, :longest]


class StringPairsDataModule(GlobalBatchDataModule):
    """Pairs of strings (source, target) for Seq2Seq, character by character.

    A batch is (source (B, S), lengths of the sources (B,), target (B, T)): integers, padded with 0 to the longest of
    the batch; a target runs from <sos> to <eos>. No source of one part is in another. Beside train, val and test, where
    lengths are alike, there are longer sources: they follow the test samples, and ``max_source_length`` tells them
    apart.

    Args:
        dataset: reversal (12345 to 54321) | dates (3 March 1998, Mar 3, 98 and other formats to 1998-03-03; of the
            years 1969 to 2068, so that two digits name one): both generated.
        csv: A file of your own with a header, read in place of ``dataset``: CSV, or TSV if so named.
        predict_csv: A file with the column of sources, with or without targets, that ``predict`` translates in place of
            the test sources.
        source: Its column of sources.
        target: Its column of targets.
        num_samples: Pairs to generate for training, validation and test together.
        num_longer: Longer pairs to generate, for the test only.
        min_length: Shortest source.
        max_length: Longest source of training, validation and test: by default 12 for reversal, 20 for dates, and the
            longest of a file.
        longer_length: Longest source of all: by default 18 for reversal, 30 for dates, and the longest of a file.
        batch_size: Pairs per step over ALL devices.
        val_fraction: Share of the pairs for validation.
        test_fraction: Share of the pairs for the test.
        split_seed: Seed of the generated pairs and of the split, apart from ``seed`` so that runs with other seeds
            share their test samples.
        seed: Seed of the order (the command line sets it to ``seed_everything``).
        num_workers: Loader processes; 0 is fastest for data in memory.

    Raises:
        InputError: If a value is out of range, a file or column is missing, or a string is empty or too long.
    """

    def __init__(
        self,
        *,
        dataset: Task = "reversal",
        csv: str | None = None,
        predict_csv: str | None = None,
        source: str = "source",
        target: str = "target",
        num_samples: int = 10000,
        num_longer: int = 1000,
        min_length: int = 1,
        max_length: int | None = None,
        longer_length: int | None = None,
        batch_size: int = 128,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        split_seed: int = 0,
        seed: int = 0,
        num_workers: int = 0,
    ) -> None:
        super().__init__(batch_size, seed, num_workers)
        self.save_hyperparameters(logger=False)
        check_choices(type(self), self.hparams)
        check_fractions(val_fraction, test_fraction)
        self.hparams["dataset"] = "csv" if csv else dataset
        if num_samples < 3 or num_longer < 0:
            raise InputError("num_samples must be 3 or more and num_longer not negative: set --data.num_samples.")
        for option, path in (("csv", csv), ("predict_csv", predict_csv)):
            if path is not None and not Path(path).is_file():
                raise InputError(f"There is no file {path}: check --data.{option}.")
        usual, longest = (None, None) if csv else LENGTHS[dataset]
        self.max_length = max_length if max_length is not None else usual
        self.longer_length = longer_length if longer_length is not None else longest
        if longer_length is None and None not in (self.max_length, self.longer_length):
            self.longer_length = max(self.longer_length, self.max_length)  # type: ignore[type-var]
        shortest, upper = min_length, self.max_length if self.max_length is not None else self.longer_length
        if shortest < 1 or (upper is not None and upper < shortest):
            raise InputError(f"Sources need 1 <= min_length <= max_length, got {min_length} and {upper}.")
        if None not in (self.max_length, self.longer_length) and self.longer_length < self.max_length:  # type: ignore[operator]
            raise InputError(f"longer_length must not be below max_length, got {self.longer_length}.")

    @cached_property
    def pairs(self) -> dict[str, list[Pair]]:
        """The strings of train, val, test and longer."""
        hparams = self.hparams
        if hparams["csv"] is not None:
            found = read_pairs(hparams["csv"], hparams["source"], hparams["target"])
            usual, longer = self._by_length(found)
        else:
            lengths = range(hparams["min_length"], self.max_length + 1)  # type: ignore[operator]
            beyond = range(self.max_length + 1, self.longer_length + 1)  # type: ignore[operator]
            counts = (hparams["num_samples"], hparams["num_longer"] if len(beyond) else 0)
            usual, longer = generate(hparams["dataset"], [lengths, beyond], counts, hparams["split_seed"])
        if len(usual) < 3:
            raise InputError(
                f"There are {len(usual)} pairs with sources of the lengths asked for: at least 3 are needed, for "
                "training, validation and test."
            )
        sizes = torch.tensor([len(pair.source) for pair in usual])
        fractions = [max(hparams[f"{part}_fraction"], 1 / len(usual)) for part in ("val", "test")]
        parts = split_indices(sizes, fractions, mix_seed(hparams["split_seed"]))
        split = {name: [usual[i] for i in part] for name, part in zip(("train", "val", "test"), parts, strict=True)}
        return {**split, "longer": longer}

    def _by_length(self, pairs: list[Pair]) -> tuple[list[Pair], list[Pair]]:
        usual, longer = list[Pair](), list[Pair]()
        for number, pair in enumerate(pairs, start=1):
            length = len(pair.source)
            if self.longer_length is not None and length > self.longer_length:
                raise InputError(
                    f"Pair {number} of {self.hparams['csv']} has a source of {length} characters, more than "
                    f"longer_length {self.longer_length}: raise --data.longer_length or shorten it."
                )
            if length >= self.hparams["min_length"]:
                (usual if self.max_length is None or length <= self.max_length else longer).append(pair)
        return usual, longer

    @fact
    def vocabulary(self) -> list[str]:
        """The special tokens, then the characters of the training part."""
        return build_vocabulary(text for pair in self.pairs["train"] for text in pair)

    @fact
    def max_source_length(self) -> int:
        """Characters of the longest source of train, val and test."""
        return max(len(pair.source) for part in ("train", "val", "test") for pair in self.pairs[part])

    @fact
    def max_target_length(self) -> int:
        """Tokens of the longest target of all parts, its end token included."""
        return max(len(pair.target) for part in self.pairs.values() for pair in part) + 1

    def setup(self, stage: str | None = None) -> None:
        """Generates or reads the pairs, and splits them; a second call changes nothing."""
        if self.parts:
            return
        characters = Characters(self.vocabulary)
        parts = {**self.pairs, "test": self.pairs["test"] + self.pairs["longer"]}
        self.parts = {part: StringPairs(parts[part], characters) for part in ("train", "val", "test")}
        if self._new_sources is not None:
            self.parts["predict"] = StringPairs([Pair(source, "") for source in self._new_sources], characters)
        typical = int(self.parts["train"].lengths.median())  # type: ignore[attr-defined]
        if self.max_source_length > 10 * typical:
            rank_zero_warn(
                f"The longest source has {self.max_source_length} characters, a typical one {typical}: attention needs "
                "memory and time for the longest of each batch; leave such pairs out, or set --model.attention general."
            )
        counts = ", ".join(f"{len(pairs)} {part}" for part, pairs in self.pairs.items())
        name = self.hparams["csv"] or self.hparams["dataset"]
        rank_zero_info(f"{name}: {counts} pairs of strings, {len(self.vocabulary)} tokens")

    @cached_property
    def _new_sources(self) -> list[str] | None:
        path = self.hparams["predict_csv"]
        return None if path is None else read_sources(path, self.hparams["source"])

    def predict_dataloader(self) -> DataLoader[Any]:
        """The sources of ``predict_csv``, or the test pairs."""
        return self._loader("test" if self._new_sources is None else "predict")

    def predicted_rows(self) -> pd.DataFrame:
        """The sources, and their targets where these are known."""
        if self._new_sources is not None:
            return pd.DataFrame({self.hparams["source"]: self._new_sources})
        pairs = self.pairs["test"] + self.pairs["longer"]
        columns = {self.hparams[name]: [getattr(pair, name) for pair in pairs] for name in ("source", "target")}
        return pd.DataFrame(columns)
