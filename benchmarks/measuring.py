"""Times of training steps: taken in turns, and what is made of them."""

import contextlib
import gc
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

Contender = Callable[[], float]
"""Trains afresh, and says how many seconds a training step took."""
QUARTILES = (0.25, 0.5, 0.75)


class Stopwatch:
    """Mean time of a training step, of all epochs but the first, which warms up.

    Args:
        steps: Training steps of an epoch.
        clock: Tells the time in seconds; that of the processor unless given, so that other programs do not count.
    """

    def __init__(self, steps: int, clock: Callable[[], float] = time.process_time) -> None:
        self.steps, self.clock = steps, clock
        self.epochs: list[float] = []
        self.began: float | None = None

    def start(self) -> None:
        """An epoch begins."""
        self.began = self.clock()

    def stop(self) -> None:
        """Its training is over; whoever says so first is right."""
        if self.began is not None:
            self.epochs.append(self.clock() - self.began)
            self.began = None

    @property
    def seconds(self) -> float:
        """Of a step."""
        return sum(self.epochs[1:]) / (len(self.epochs[1:]) * self.steps)


def interleaved(contenders: Mapping[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Seconds of a step of each contender in each round.

    All take turns, so that a change in the machine's load meets all, forwards and backwards, so that none always comes
    after the same one.
    """
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            gc.collect()  # what one leaves behind is not for the next to clear away
            found[name].append(contenders[name]())
    return found


def spread(values: Sequence[float], digits: int) -> dict[str, float]:
    """Median and quartiles."""
    lower, median, upper = np.quantile(values, QUARTILES)
    return {name: round(float(value), digits) for name, value in
            (("median", median), ("lower_quartile", lower), ("upper_quartile", upper))}  # fmt: skip


def shown(found: dict[str, float], digits: int = 2) -> str:
    """A spread in a table."""
    lower, upper = found["lower_quartile"], found["upper_quartile"]
    return f"{found['median']:.{digits}f} [{lower:.{digits}f}, {upper:.{digits}f}]"


def compared(seconds: Mapping[str, Sequence[float]], bare: str) -> dict[str, dict[str, object]]:
    """What the times of all rounds say of each contender.

    Args:
        seconds: Of a step in each round, by contender.
        bare: Name of the loop that all are compared with.

    Returns:
        For each contender spreads over the rounds of its time, of the bare loop's over it in the same round (1: as fast
        as that), and of what it adds to the bare loop; and the times themselves, in microseconds.
    """
    found: dict[str, dict[str, object]] = {}
    for name, own in seconds.items():
        pairs = list(zip(seconds[bare], own, strict=True))
        found[name] = {
            "microseconds": spread([1e6 * one for one in own], 1),
            "ratio": spread([base / one for base, one in pairs], 4),
            "overhead": spread([1e6 * (one - base) for base, one in pairs], 1),
            "rounds": [round(1e6 * one, 1) for one in own],
        }
    return found


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Sends what the contenders print, log and warn of to the null device."""
    logging.disable(logging.INFO)
    with (
        open(os.devnull, "w") as null, contextlib.redirect_stdout(null), contextlib.redirect_stderr(null),
        warnings.catch_warnings(),
    ):  # fmt: skip
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)
