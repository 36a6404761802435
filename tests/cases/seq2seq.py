"""Strings to strings in the tests over all families."""

from pathlib import Path

from support.case import Case


def write_pairs() -> None:
    """pairs.csv, and questions.csv without answers."""
    pairs = [f"{i},{str(i)[::-1]}\n" for i in range(100, 400)]
    Path("pairs.csv").write_text("before,after\n" + "".join(pairs))
    Path("questions.csv").write_text("before\n123\n456\n")


SMALL = {"embedding_dim": 8, "hidden_size": 16}

seq2seq = Case(
    shorter={"num_samples": 800, "num_longer": 40},
    quicker=SMALL,
    small=SMALL,
    files=write_pairs,
    trained_on=["--data.csv", "pairs.csv", "--data.source", "before", "--data.target", "after"],
)
