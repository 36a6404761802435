"""How long a part of a run takes, said in a line where that is long."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch.utilities.rank_zero import rank_zero_info

LONG = 5.0
"""Seconds from which on a user wants to know how to do without."""


@contextmanager
def timed(what: str, hint: str, least: float = LONG) -> Iterator[None]:
    """Says how long what happens within took: ``baselines: pca 12.3 s (leave out with ...)``.

    Args:
        what: What is timed.
        hint: How to do without, said of what takes :data:`LONG` or longer.
        least: Seconds below which nothing is said.
    """
    started = time.monotonic()
    yield
    seconds = time.monotonic() - started
    if seconds >= least:
        rank_zero_info(f"{what} {seconds:.1f} s{f' ({hint})' if seconds >= LONG else ''}")
