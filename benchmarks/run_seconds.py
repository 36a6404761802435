"""Where the seconds of a default run go, by recipe: each runs without flags, in a process of its own.

    python -m benchmarks.run_seconds                 # all recipes; --recipe NAME for one
    python -m benchmarks.run_seconds table           # puts what was measured into benchmarks/README.md

What is measured, and how, is in benchmarks/README.md.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import results
from benchmarks.parts import PARTS, in_own_process

RECIPES = ("mlp", "vae", "autoencoder", "rnn", "forecaster")
FOLDER = results.RESULTS / "run_seconds"
BEGIN = "<!-- table: python -m benchmarks.run_seconds table -->\n"
HEADER = ("recipe", *PARTS, "all")


def measured(recipe: str, rounds: int, flags: Sequence[str] = ()) -> dict[str, Any]:
    """The seconds of each part in each round, rounded."""
    found = [in_own_process(recipe, flags)["seconds"] for _ in range(rounds)]
    seconds = {part: [round(one[part], 3) for one in found] for part in PARTS}
    return {"recipe": recipe, "seconds": seconds, **results.machine(), "threads": 1}


def row(result: Mapping[str, Any]) -> list[str]:
    """A recipe's cells: the median of each part over the rounds, and of their sums."""
    seconds = [result["seconds"][part] for part in PARTS]
    sums = [sum(one) for one in zip(*seconds, strict=True)]
    return [result["recipe"], *(f"{median(one):.1f}" for one in (*seconds, sums))]


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """All recipes in Markdown."""
    return results.markdown(HEADER, map(row, found.values()))


def main(args: list[str] | None = None) -> None:
    """Measures, or puts the table into its place."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run_seconds", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("what", nargs="?", choices=["table"], help="instead of measuring")
    parser.add_argument("--recipe", choices=RECIPES, help="only this one")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each recipe, whose medians are shown")
    parser.add_argument("--results", type=Path, default=FOLDER, help="folder that the JSON files go to")
    parser.add_argument("--flags", default="", help="of the recipe, in quotes; a record has none")
    options = parser.parse_args(args)
    if options.what == "table":
        results.put(table(results.read(RECIPES, options.results)), BEGIN)
        return
    for recipe in [options.recipe] if options.recipe else RECIPES:
        result = measured(recipe, options.rounds, options.flags.split())
        results.write(recipe, result, options.results)
        print(table({recipe: result}), flush=True)


if __name__ == "__main__":
    main()
