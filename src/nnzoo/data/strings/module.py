"""Pairs of strings: reversed numbers, dates in many formats, or a file of the user's own."""

import typing
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info, rank_zero_warn
from torch.utils.data import DataLoader

from nnzoo.data.csv_file import check_file
from nnzoo.data.facts import fact
from nnzoo.data.lengths import move_all_but_lengths
from nnzoo.data.room import RoomDataModule
from nnzoo.data.sources import options_of
from nnzoo.data.splits import PARTS, split_indices
from nnzoo.data.strings.dataset import StringPairs
from nnzoo.data.strings.pairs import Pair, read_sources
from nnzoo.data.strings.sources import SOURCES, PairSource
from nnzoo.errors import InputError
from nnzoo.seeds import mix_seed
from nnzoo.tokens import Characters, build_vocabulary

if TYPE_CHECKING:
    DatasetName = str
else:
    DatasetName = Literal[tuple(SOURCES)]


class StringPairsDataModule(RoomDataModule):
    """Pairs of strings (source, target) for Seq2Seq, character by character.

    A batch is (source (B, S), lengths of the sources (B,), target (B, T)): integers, padded with 0 to the longest of
    the batch; a target runs from <sos> to <eos>. No source of one part is in another. Beside train, val and test, where
    lengths are alike, there are longer sources: they follow the test samples, and ``max_source_length`` tells them
    apart.

    Args:
        dataset: reversal (12345 to 54321) | dates (3 March 1998, Mar 3, 98 and other formats to 1998-03-03; of the
            years 1969 to 2068, so that two digits name one) | csv. Numbers and dates are generated.
        csv: A file of your own with a header, CSV or TSV; it implies ``dataset`` csv.
        test_csv: A file of the same two columns to test on, instead of drawing a test part. Its sources longer than all
            of the training file are the longer ones; ``min_length`` and the like are for the training file.
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
        val_fraction: Share of the pairs for validation.
        test_fraction: Share of the pairs for the test.
        split_seed: Seed of the generated pairs and of the split, apart from ``seed`` so that runs with other seeds
            share their test samples.
        shared: What :class:`nnzoo.data.base.GlobalBatchDataModule` takes.

    Raises:
        InputError: If a value is out of range, a file or column is missing, or a string is empty or too long.
    """

    sources: ClassVar[Mapping[str, type[PairSource]]] = SOURCES
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = options_of(SOURCES)

    def __init__(
        self,
        *,
        dataset: DatasetName = "reversal",
        csv: str | None = None,
        test_csv: str | None = None,
        predict_csv: str | None = None,
        source: str = "source",
        target: str = "target",
        num_samples: int = 10000,
        num_longer: int = 1000,
        min_length: int = 1,
        max_length: int | None = None,
        longer_length: int | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.1,
        split_seed: int = 0,
        **shared: Any,
    ) -> None:
        super().__init__(val_fraction=val_fraction, test_fraction=test_fraction, **shared)
        self.max_length, self.longer_length = self.source.max_length, self.source.longer_length

    def check_settings(self) -> None:
        """Raises InputError if a file is missing."""
        check_file(self.hparams["predict_csv"], "predict_csv")

    @cached_property
    def _drawn(self) -> dict[str, list[Pair]]:
        """The strings of train and val, and of test and longer where these are not in a file of their own."""
        usual, longer = self.source.load()
        tested_elsewhere = self.hparams["test_csv"] is not None
        names = PARTS[:2] if tested_elsewhere else PARTS
        if len(usual) < len(names):
            raise InputError(
                f"There are {len(usual)} pairs with sources of the lengths asked for: at least {len(names)} are "
                f"needed, one for each of {', '.join(names)}."
            )
        sizes = torch.tensor([len(pair.source) for pair in usual])
        fractions = [max(self.hparams[f"{part}_fraction"], 1 / len(usual)) for part in names[1:]]
        parts = split_indices(sizes, fractions, mix_seed(self.hparams["split_seed"]))
        split = {name: [usual[i] for i in part] for name, part in zip(names, parts, strict=True)}
        if not tested_elsewhere:
            return {**split, "longer": longer}
        if longer:
            rank_zero_warn(
                f"{len(longer)} pairs of {self.hparams['csv']} have sources longer than --data.max_length and are left "
                "out: they would be for the test, which --data.test_csv brings."
            )
        return split

    @cached_property
    def _tested(self) -> dict[str, list[Pair]]:
        """The strings of ``test_csv``, if it is given, those with sources longer than all of training apart."""
        path, pairs = self.hparams["test_csv"], self.source.load_test()
        if pairs is None:
            return {}
        beyond = sum(len(pair.target) >= self.max_target_length for pair in pairs)
        if beyond:
            rank_zero_warn(
                f"{beyond} targets of {path} are longer than all of training ({self.max_target_length - 1} "
                "characters), as outputs never are: they cannot match."
            )
        self._warn_of_new_characters([pair.source for pair in pairs], "sources", path, "are read as unknown ones")
        self._warn_of_new_characters(
            [pair.target for pair in pairs], "targets", path, "are in no output, so they cannot match"
        )
        usual, longer = (
            [pair for pair in pairs if (len(pair.source) > self.max_source_length) is apart] for apart in (False, True)
        )
        if not usual:
            raise InputError(
                f"All sources of {path} are longer than those of training ({self.max_source_length} characters), of "
                "which exact match alone is measured: add shorter ones, or use predict."
            )
        return {"test": usual, "longer": longer}

    def _warn_of_new_characters(self, strings: Sequence[str], of: str, path: str, outcome: str) -> None:
        known = set(self.vocabulary)
        new = [string for string in strings if not known.issuperset(string)]
        if new:
            such = "".join(sorted(set(new[0]) - known))
            rank_zero_warn(
                f"{len(new)} {of} of {path} have characters that training does not have, such as {such[:10]!r} in "
                f"{new[0][:40]!r}: these {outcome}."
            )

    @cached_property
    def pairs(self) -> dict[str, list[Pair]]:
        """The strings of train, val, test and longer."""
        known = {pair.source for part in self._drawn.values() for pair in part}
        again = sum(pair.source in known for part in self._tested.values() for pair in part)
        if again:
            rank_zero_warn(
                f"{again} sources of {self.hparams['test_csv']} are in {self.hparams['csv']} too: a test of what was "
                "trained on says little, so leave them out of one of the files."
            )
        return {**self._drawn, **self._tested}

    @fact
    def vocabulary(self) -> list[str]:
        """The special tokens, then the characters of the training part."""
        return build_vocabulary(text for pair in self._drawn["train"] for text in pair)

    @fact
    def max_source_length(self) -> int:
        """Characters of the longest source of train, val and test, a test file's left aside."""
        return max(len(pair.source) for part in PARTS for pair in self._drawn.get(part, []))

    @fact
    def max_target_length(self) -> int:
        """Tokens of the longest target of all parts, its end token included, a test file's left aside."""
        return max(len(pair.target) for part in self._drawn.values() for pair in part) + 1

    def setup(self, stage: str | None = None) -> None:
        """Generates or reads the pairs, and splits them; a second call changes nothing."""
        if self.is_set_up(stage):
            return
        characters = Characters(self.vocabulary)
        if self._new_sources is not None:
            path = self.hparams["predict_csv"]
            self._warn_of_new_characters(self._new_sources, "sources", path, "are read as unknown ones")
            self.parts["predict"] = StringPairs([Pair(source, "") for source in self._new_sources], characters)
        if self.uses_fitted(stage):
            if stage == "test":
                self.parts["test"] = StringPairs(self._tested["test"] + self._tested["longer"], characters)
            return
        parts = {**self.pairs, "test": self.pairs["test"] + self.pairs["longer"]}
        self.parts |= {part: StringPairs(parts[part], characters) for part in PARTS}
        typical = int(typing.cast(StringPairs, self.parts["train"]).lengths.median())
        if self.max_source_length > 10 * typical:
            rank_zero_warn(
                f"The longest source has {self.max_source_length} characters, a typical one {typical}: attention needs "
                "memory and time for the longest of each batch; leave such pairs out, or set --model.attention general."
            )
        counts = ", ".join(f"{len(pairs)} {part}" for part, pairs in self.pairs.items())
        name = self.hparams["csv"] or self.hparams["dataset"]
        rank_zero_info(f"{name}: {counts} pairs of strings, {len(self.vocabulary)} tokens")

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Moves a batch, but for the lengths, which are read on the CPU."""
        return move_all_but_lengths(batch, device)

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
