"""Where pairs of strings come from: generated numbers and dates, or a file."""

import datetime
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nnzoo.data.csv_file import check_columns, line_of, read_csv
from nnzoo.errors import InputError
from nnzoo.seeds import mix_seed


class Pair(NamedTuple):
    """A source string and the target it is to be turned into."""

    source: str
    target: str


MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
          "December"]  # fmt: skip
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]

# Not strftime: its names follow the machine's language.
DATE_FORMATS: dict[str, Callable[[datetime.date], str]] = {
    "3 March 1998": lambda d: f"{d.day} {MONTHS[d.month - 1]} {d.year}",
    "3 Mar 1998": lambda d: f"{d.day} {MONTHS[d.month - 1][:3]} {d.year}",
    "3-Mar-98": lambda d: f"{d.day}-{MONTHS[d.month - 1][:3]}-{d.year % 100:02d}",
    "March 3, 1998": lambda d: f"{MONTHS[d.month - 1]} {d.day}, {d.year}",
    "Mar 3, 1998": lambda d: f"{MONTHS[d.month - 1][:3]} {d.day}, {d.year}",
    "Mar 3, 98": lambda d: f"{MONTHS[d.month - 1][:3]} {d.day}, {d.year % 100:02d}",
    "3.3.1998": lambda d: f"{d.day}.{d.month}.{d.year}",
    "03.03.98": lambda d: f"{d.day:02d}.{d.month:02d}.{d.year % 100:02d}",
    "1998/03/03": lambda d: f"{d.year}/{d.month:02d}/{d.day:02d}",
    "19980303": lambda d: f"{d.year}{d.month:02d}{d.day:02d}",
    "Tue 3 Mar 1998": lambda d: f"{DAYS[d.weekday()][:3]} {d.day} {MONTHS[d.month - 1][:3]} {d.year}",
    "Tuesday, 3 March 1998": lambda d: f"{DAYS[d.weekday()]}, {d.day} {MONTHS[d.month - 1]} {d.year}",
}
"""How a date may be written, by an example."""

FIRST_DATE, NUM_DATES = datetime.date(1969, 1, 1), 36525
"""All dates of 1969 to 2068: the years that POSIX reads two digits as."""


Draw = Callable[[range, random.Random], Pair]
"""Draws a pair whose source should have one of the given lengths."""


def number(lengths: range, rng: random.Random) -> Pair:
    """A string of digits and its reversal."""
    digits = "".join(rng.choices("0123456789", k=rng.choice(lengths)))
    return Pair(digits, digits[::-1])


def date(lengths: range, rng: random.Random) -> Pair:
    """A date in a random format, whatever its length, and in that of ISO 8601."""
    day = FIRST_DATE + datetime.timedelta(days=rng.randrange(NUM_DATES))
    return Pair(rng.choice(list(DATE_FORMATS.values()))(day), day.isoformat())


def generate(name: str, draw: Draw, lengths: Sequence[range], counts: Sequence[int], seed: int) -> list[list[Pair]]:
    """Lists of pairs whose sources have the given lengths; no target comes twice, in one list or in two.

    So a number or a date of the test is in no training pair, in whatever format. Numbers have any length with equal
    chance, as far as there are enough short ones.

    Args:
        name: What is drawn, for errors.
        draw: Draws a pair; those of other lengths are drawn again.
        lengths: Lengths of the sources of each list.
        counts: Pairs in each list.
        seed: Seed of the draws.

    Raises:
        InputError: If there are not so many different ones.
    """
    seen: set[str] = set()
    lists = []
    for index, (allowed, count) in enumerate(zip(lengths, counts, strict=True)):
        rng = random.Random(mix_seed(seed, index))
        pairs: list[Pair] = []
        tries = 0
        while len(pairs) < count:
            pair = draw(allowed, rng)
            tries += 1
            if len(pair.source) in allowed and pair.target not in seen:
                seen.add(pair.target)
                pairs.append(pair)
            elif tries > 100 * count + 10_000:
                raise InputError(
                    f"There are not {count} different {name} with sources of {allowed.start} to {allowed.stop - 1} "
                    "characters: lower --data.num_samples or --data.num_longer, or allow more lengths."
                )
        lists.append(pairs)
    return lists


def read_pairs(path: str, source: str, target: str, option: str = "csv") -> list[Pair]:
    """The pairs of a CSV or TSV file with a header; a source that comes again is left out.

    Args:
        path: The file.
        source: Its column of sources.
        target: Its column of targets.
        option: The flag ``--data.OPTION`` that names it, for errors.

    Raises:
        InputError: If a column is missing, a string is empty, a source has two targets, or the file is not text.
    """
    table = read_csv(path, option, strip=False)
    check_columns(table, [source], "--data.source", path)
    check_columns(table, [target], "--data.target", path)
    pairs: dict[str, Pair] = {}
    for row, pair in zip(table.index, map(Pair, table[source], table[target]), strict=True):
        if not all(pair):
            raise InputError(
                f"{path}, line {row + 2}: the source or the target is empty: fill it in or remove the row."
            )
        if pairs.setdefault(pair.source, pair) != pair:
            raise InputError(f"{path} has two targets for the source {pair.source[:40]!r}: keep one.")
    return list(pairs.values())


def read_sources(path: str, source: str) -> list[str]:
    """The sources of a CSV or TSV file with a header.

    Raises:
        InputError: If the column is missing, a string is empty, or the file is not text.
    """
    table = read_csv(path, "predict_csv", strip=False)
    check_columns(table, [source], "--data.source", path)
    empty = table[source] == ""
    if empty.any():
        raise InputError(f"{path}, line {line_of(empty)}: the source is empty: fill it in or remove the row.")
    return table[source].to_list()
