"""Where pairs of strings come from: generated numbers and dates, or the user's own file."""

import random
import sys
import typing
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from nnzoo.data.csv_file import check_file
from nnzoo.data.sources import Source, sources_in
from nnzoo.data.strings.pairs import Pair, date, generate, number, read_pairs
from nnzoo.errors import InputError


class PairSource(Source):
    """A data set of pairs of strings.

    Attributes:
        max_length: Longest source of training, validation and test; None for the longest that there is.
        longer_length: Longest source of all; None for the longest that there is.

    Raises:
        InputError: If no length is left between the shortest and the longest.
    """

    usual_lengths: ClassVar[tuple[int | None, int | None]] = (None, None)
    """``max_length`` and ``longer_length`` where the user names none."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        shortest, given, longest = (settings[name] for name in ("min_length", "max_length", "longer_length"))
        usual, usual_longest = self.usual_lengths
        self.max_length: int | None = usual if given is None else given
        self.longer_length: int | None = usual_longest if longest is None else longest
        upper = self.longer_length if self.max_length is None else self.max_length
        if shortest < 1 or (upper is not None and upper < shortest):
            raise InputError(f"Sources need 1 <= min_length <= max_length, got {shortest} and {upper}.")
        if self.max_length is not None and self.longer_length is not None and self.longer_length < self.max_length:
            if longest is not None:
                raise InputError(f"longer_length must not be below max_length, got {longest}.")
            self.longer_length = self.max_length

    @abstractmethod
    def load(self) -> tuple[list[Pair], list[Pair]]:
        """Pairs with sources of ``min_length`` to ``max_length``, and those with longer sources."""

    def load_test(self) -> list[Pair] | None:
        """The pairs of a file to test on; None if there is none."""
        return None


class GeneratedPairs(PairSource):
    """Pairs that are drawn at random, none of them twice."""

    max_length: int
    longer_length: int

    def __init__(self, settings: Mapping[str, Any]) -> None:
        if settings["num_samples"] < 3 or settings["num_longer"] < 0:
            raise InputError("num_samples must be 3 or more and num_longer not negative: set --data.num_samples.")
        super().__init__(settings)

    @abstractmethod
    def draw(self, lengths: range, rng: random.Random) -> Pair:
        """A pair whose source should have one of these lengths; one of another length is drawn again."""

    def load(self) -> tuple[list[Pair], list[Pair]]:
        """``num_samples`` pairs, and ``num_longer`` with longer sources."""
        usual = range(self.settings["min_length"], self.max_length + 1)
        beyond = range(self.max_length + 1, self.longer_length + 1)
        counts = (self.settings["num_samples"], self.settings["num_longer"] if len(beyond) else 0)
        pairs, longer = generate(self.name, self.draw, [usual, beyond], counts, self.settings["split_seed"])
        return pairs, longer


class Reversal(GeneratedPairs):
    """Numbers to read from the end."""

    name = "reversal"
    uses = ("num_samples", "num_longer")
    usual_lengths = (12, 18)
    draw = staticmethod(number)


class Dates(GeneratedPairs):
    """Dates in many formats to ISO 8601."""

    name = "dates"
    uses = ("num_samples", "num_longer")
    usual_lengths = (20, 30)
    draw = staticmethod(date)


class CSV(PairSource):
    """A file of the user's own."""

    name = "csv"
    uses = ("csv", "target", "test_csv")

    def load(self) -> tuple[list[Pair], list[Pair]]:
        """The file's pairs; raises InputError if one is longer than allowed."""
        usual, longer = list[Pair](), list[Pair]()
        path, source, target = (self.settings[name] for name in ("csv", "source", "target"))
        check_file(self.settings["test_csv"], "test_csv")
        for pair in read_pairs(path, source, target):
            length = len(pair.source)
            if self.longer_length is not None and length > self.longer_length:
                raise InputError(
                    f"The source {pair.source[:40]!r} of {path} has {length} characters, more than longer_length "
                    f"{self.longer_length}: raise --data.longer_length or shorten it."
                )
            if length >= self.settings["min_length"]:
                (usual if self.max_length is None or length <= self.max_length else longer).append(pair)
        return usual, longer

    def load_test(self) -> list[Pair] | None:
        """The pairs of ``test_csv``, if it is given."""
        path, source, target = (self.settings[name] for name in ("test_csv", "source", "target"))
        return None if path is None else read_pairs(path, source, target, "test_csv")


SOURCES = typing.cast(dict[str, type[PairSource]], sources_in(sys.modules[__name__]))
