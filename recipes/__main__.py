"""Lists the recipes with their recorded numbers, records new ones and writes the README's table.

python -m nnzoo.recipes
python -m nnzoo.recipes record vae --metric test/bits_per_dim --seeds 0 1 2 3 4
python -m nnzoo.recipes readme README.md
"""

import argparse
from pathlib import Path

from nnzoo.recipes import _records


def main(args: list[str] | None = None) -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="python -m nnzoo.recipes", description="What recipes there are.")
    commands = parser.add_subparsers(dest="command")
    record = commands.add_parser("record", help="run a recipe with several seeds and record its numbers")
    record.add_argument("name", help="stem of a recipe or of a variant, such as vae or vae_mnist")
    record.add_argument("--metric", required=True, help="the number to quote, such as test/bits_per_dim")
    record.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    record.add_argument("--splits", action="store_true", help="another split of the data for each seed")
    record.add_argument("--flags", nargs=argparse.REMAINDER, default=[], help="further flags of the recipe")
    readme = commands.add_parser("readme", help="write the table of recorded numbers into a file")
    readme.add_argument("file", type=Path)
    options = parser.parse_args(args)
    if options.command == "record":
        print(
            f"recorded in {_records.record(options.name, options.metric, options.seeds, options.flags, options.splits)}"
        )
    elif options.command == "readme":
        _records.update_readme(options.file)
    else:
        print(_records.listing())


if __name__ == "__main__":
    main()
