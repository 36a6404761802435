"""Time until the first training step, and memory, of data of the user's own that are 1, 10 and 100 times as large.

    python -m benchmarks.data_sizes                  # all kinds of data; --kind NAME for one
    python -m benchmarks.data_sizes table            # puts what was measured into benchmarks/README.md

The files are made in a temporary folder. What is measured, and how, is in benchmarks/README.md.
"""

import argparse
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks import results
from benchmarks.fits import SHORT
from benchmarks.parts import in_own_process

FOLDER = results.RESULTS / "data_sizes"
BEGIN = "<!-- table: python -m benchmarks.data_sizes table -->\n"
HEADER = ("data", "size", "files, MiB", "until the first step, s", "data, s", "adds, MiB")
FIT = f"fit {SHORT} --trainer.max_epochs 1 --trainer.limit_train_batches 1"
COLUMNS, CHANNELS, STEPS, FEATURES, PIXELS, CLASSES = 30, 7, 30, 4, 28, 10


@dataclass(frozen=True)
class Kind:
    """Data of one kind.

    Args:
        recipe: That trains on them.
        base: How many there are at the size 1.
        unit: Of what.
        write: Writes so many into a folder and returns the flags that name them.
    """

    recipe: str
    base: int
    unit: str
    write: Callable[[Path, int], list[str]]


def numbers(rows: int, columns: int) -> pd.DataFrame:
    """Random columns x0, x1 ..., written with 4 decimals."""
    values = np.random.default_rng(0).normal(size=(rows, columns)).round(4)
    return pd.DataFrame(values, columns=[f"x{column}" for column in range(columns)])


def table_rows(folder: Path, count: int) -> list[str]:
    """Rows of numbers with a number to predict."""
    rows = numbers(count, COLUMNS)
    rows.assign(target=rows.sum(axis=1).round(4)).to_csv(folder / "rows.csv", index=False)
    return ["--data.csv", str(folder / "rows.csv"), "--data.target", "target"]


def series(folder: Path, count: int) -> list[str]:
    """One hourly series of several channels."""
    steps = numbers(count, CHANNELS)
    steps.insert(0, "date", pd.date_range("2000", periods=count, freq="h"))
    steps.to_csv(folder / "steps.csv", index=False)
    return ["--data.csv", str(folder / "steps.csv"), "--data.time", "date", "--data.target", "x0"]


def sequences(folder: Path, count: int) -> list[str]:
    """Sequences of two classes, a row for each step."""
    steps, number = numbers(count * STEPS, FEATURES), np.arange(count).repeat(STEPS)
    steps.insert(0, "id", number)
    steps.insert(1, "second", np.tile(np.arange(STEPS), count))
    steps.assign(label=np.where(number % 2, "odd", "even")).to_csv(folder / "steps.csv", index=False)
    own = ["--data.group", "id", "--data.time", "second", "--data.target", "label"]
    return ["--data.csv", str(folder / "steps.csv"), *own]


def images(folder: Path, count: int) -> list[str]:
    """Grey PNG files of noise in a folder for each class."""
    pixels = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class{number % CLASSES}" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels.integers(256, size=(PIXELS, PIXELS), dtype=np.uint8)).save(path)
    return ["--data.dataset", "folder", "--data.root", str(folder), "--data.image_size", str(PIXELS)]


KINDS = {
    "table": Kind("mlp", 2000, f"rows of {COLUMNS} columns", table_rows),
    "series": Kind("forecaster", 2000, f"steps of {CHANNELS} channels", series),
    "sequences": Kind("rnn", 100, f"sequences of {STEPS} steps", sequences),
    "images": Kind("cnn", 100, f"images of {PIXELS}x{PIXELS} pixels", images),
}


def measured(name: str, factors: Sequence[int], rounds: int, base: int | None = None) -> dict[str, Any]:
    """What the clock sees of data of a kind in all sizes, each time in a process of its own."""
    kind, sizes = KINDS[name], []
    for factor in factors:
        count = factor * (base or kind.base)
        with tempfile.TemporaryDirectory() as folder:
            flags = [*FIT.split(), *kind.write(Path(folder), count)]
            mib = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 2**20
            found = [in_own_process(kind.recipe, flags) for _ in range(rounds)]
        sizes.append(
            {
                "count": count,
                "files_mib": round(mib, 2),
                "until_first_step": [round(one["until_first_step"], 3) for one in found],
                "data": [round(one["seconds"]["data"], 3) for one in found],
                "peak_mib": [round(one["peak_mib"], 1) for one in found],
            }
        )
    return {"data": name, "recipe": kind.recipe, "unit": kind.unit, "sizes": sizes, **results.machine(), "threads": 1}


def rows(result: Mapping[str, Any]) -> list[list[str]]:
    """A kind's rows, one for each size: medians over the rounds."""
    smallest = median(result["sizes"][0]["peak_mib"])
    return [
        [
            result["data"],
            f"{size['count']:,} {result['unit']}",
            f"{size['files_mib']:,.1f}",
            f"{median(size['until_first_step']):.1f}",
            f"{median(size['data']):.2f}",
            f"{median(size['peak_mib']) - smallest:,.0f}",
        ]
        for size in result["sizes"]
    ]


def table(found: Mapping[str, Mapping[str, Any]]) -> str:
    """All kinds in Markdown."""
    return results.markdown(HEADER, [cells for result in found.values() for cells in rows(result)])


def main(args: list[str] | None = None) -> None:
    """Measures, or puts the table into its place."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data_sizes", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("what", nargs="?", choices=["table"], help="instead of measuring")
    parser.add_argument("--kind", choices=KINDS, help="only this one")
    parser.add_argument("--factors", type=int, nargs="+", default=[1, 10, 100], help="times as large, smallest first")
    parser.add_argument("--base", type=int, help="of what the smallest file holds so many")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each size, whose medians are shown")
    parser.add_argument("--results", type=Path, default=FOLDER, help="folder that the JSON files go to")
    options = parser.parse_args(args)
    if options.what == "table":
        results.put(table(results.read(KINDS, options.results)), BEGIN)
        return
    for name in [options.kind] if options.kind else KINDS:
        result = measured(name, options.factors, options.rounds, options.base)
        results.write(name, result, options.results)
        print(table({name: result}), flush=True)


if __name__ == "__main__":
    main()
