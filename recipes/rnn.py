"""Recurrent networks from a sequence to a class or a number: digits read row by row, the adding problem, your CSV.

Papers: LSTM, Hochreiter & Schmidhuber 1997; GRU, Cho et al. 2014, arXiv:1406.1078; the adding problem as in Bai et al.
2018, arXiv:1803.01271. Recurrent weights start orthogonal and an LSTM's forget gate at 1.

    python -m nnzoo.recipes.rnn
    python -m nnzoo.recipes.rnn --model.cell gru
    python -m nnzoo.recipes.rnn --config rnn_mnist
    python -m nnzoo.recipes.rnn --config rnn_adding --compare_cells
    python -m nnzoo.recipes.rnn --data.csv steps.csv --data.target label --data.group id --data.time second

``--compare_cells`` runs a plain RNN, an LSTM and a GRU one after the other and prints them side by side: the course's
lesson that a plain RNN does not learn what lies many steps back. ``figures/gradient_norms.png`` of each run shows how
much of the loss's gradient reaches each step.
"""

import sys

from nnzoo.cli import ZooCLI, table
from nnzoo.data.sequence import SequenceDataModule
from nnzoo.errors import InputError, run_main
from nnzoo.modules.sequence_classifier import SequenceClassifier, SequenceRegressor
from nnzoo.nets.sequence import CELLS

MODELS = {"classification": SequenceClassifier, "regression": SequenceRegressor}


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics (see :func:`compare_cells`)."""
    args = sys.argv[1:] if args is None else list(args)
    if "--compare_cells" in args:
        args.remove("--compare_cells")
        return compare_cells(args)
    return ZooCLI(MODELS, SequenceDataModule, recipe="rnn", args=args).metrics


def compare_cells(args: list[str]) -> dict[str, float]:
    """Runs the recipe once for each cell and prints the test metrics side by side.

    Returns:
        The metrics of each, as ``CELL/METRIC``.
    """
    if any(flag.startswith(("--model.cell", "--resume")) for flag in args) or args[:1] == ["predict"]:
        raise InputError("--compare_cells trains every cell anew: leave out --model.cell, --resume and predict.")
    compared: dict[str, float] = {}
    for cell in CELLS:
        print(f"\n{cell}:")
        metrics = main([*args, "--model.cell", cell])
        tested = {name.removeprefix("test/"): value for name, value in metrics.items() if name.startswith("test/")}
        compared |= {f"baseline/{cell}/{name}": value for name, value in tested.items()}
    others = {name: value for name, value in metrics.items() if name.startswith("baseline/")}
    print(table(compared | others, "metric"))
    return {name.removeprefix("baseline/"): value for name, value in compared.items()} | others


if __name__ == "__main__":
    run_main(main)
