"""Cross-validation: a recipe once per fold, and one table of means and spreads."""

import math
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from nnzoo.errors import InputError
from nnzoo.files import replacing, to_json
from nnzoo.run.arguments import take
from nnzoo.run.folder import RESULT, new_folder
from nnzoo.run.metrics_log import Curves
from nnzoo.run.one_epoch import OneEpoch, curves_of_run, one_epoch
from nnzoo.run.report import table

Metrics = dict[str, float]
RULES = ("own_epoch", "one_epoch")


def add_fold_arguments(parser: Any) -> None:
    """Adds what :func:`nnzoo.run.recipe.run_recipe` takes off a command line, for its help."""
    parser.add_argument("--folds", type=int | None, default=None, help="Cross-validate with so many folds.")
    parser.add_argument(
        "--folds_rule",
        type=Literal[RULES] | None,
        default=None,
        help="Test each fold at an epoch chosen by validation samples of the others (own_epoch, the default), or all "
        "at the one epoch that is best for the folds themselves (one_epoch), as published tables have it: optimistic.",
    )


def cross_validate(
    run: Callable[[list[str]], Metrics], recipe: str, args: list[str], folds: str, rule: str = "own_epoch"
) -> Metrics:
    """Runs a recipe on each fold, prints a table and writes ``result.json`` beside the runs' folders.

    Each fold is the test part of one run. How its epoch is chosen is worth several points of accuracy:

    - ``own_epoch``: the validation part is drawn from the other folds, and chooses an epoch for each run. An honest
      estimate.
    - ``one_epoch``: the fold is the validation part, too, and all others are trained on. ``one_epoch/METRIC`` is of the
      one epoch that is best in the mean of all folds' curves, as in GIN's paper (arXiv:1810.00826) and many tables
      since; ``test/METRIC`` is of each fold's own best epoch, which is higher still. Both are optimistic, as they are
      chosen on what they are measured on: only for comparisons with numbers that came about in the same way.

    Args:
        run: Runs the recipe with arguments and returns the test metrics.
        recipe: Stem of the recipe.
        args: Its arguments.
        folds: Number of folds, as typed.
        rule: own_epoch | one_epoch.

    Returns:
        Mean of each metric over the folds.

    Raises:
        InputError: If the number of folds is not a number of 2 or more, there is no such rule or no curve for it, or
            several processes run.
    """
    if rule not in RULES:
        raise InputError(f"--folds_rule is {' or '.join(RULES)}, got {rule}.")
    if not folds.isdigit() or int(folds) < 2:
        raise InputError(f"--folds takes a number of 2 or more, got {folds}.")
    if args and not args[0].startswith("-"):
        raise InputError(f"--folds fits and tests: leave out {args[0]}.")
    if any(argument.partition("=")[0] in ("--data.fold", "--data.folds") for argument in args):
        raise InputError("--folds runs every fold: leave out --data.folds and --data.fold.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise InputError("--folds runs on one device: set --trainer.devices 1.")
    roots = take(args, "--trainer.default_root_dir")
    # Made by the first fold, so that flags that are refused leave nothing behind.
    folder = new_folder(Path(roots[-1] if roots else "runs"), recipe, f"-{folds}-folds", make=False)
    runs: list[Metrics] = []
    curves: list[Curves] = []
    chosen: OneEpoch | None = None
    for fold in range(int(folds)):
        print(f"fold {fold + 1} of {folds}")
        flags = ["--data.folds", folds, "--data.fold", str(fold), "--trainer.devices", "1"]
        if rule == "one_epoch":
            flags += ["--data.val_fraction", "0"]
        root = folder / f"fold-{fold}"
        runs.append(run([*args, *flags, "--trainer.default_root_dir", str(root)]))
        if rule == "one_epoch":
            found, by = curves_of_run(root)
            curves.append(found)
            chosen = one_epoch(curves, by)  # after each fold, so that what is missing is missed early
    names = [name for name in runs[0] if name.startswith(("test/", "baseline/"))]
    values = {name: [metrics[name] for metrics in runs] for name in names}
    if chosen is not None:
        values |= {f"one_epoch/{name}": measured for name, measured in chosen.values.items()}
    summary = {name: {"mean": statistics.fmean(v), "std": _spread(v), "values": v} for name, v in values.items()}
    record = {"folds": int(folds), "rule": rule, "metrics": summary}
    if chosen is not None:
        record |= {"epoch": chosen.epoch, "best_by": chosen.by}
    with replacing(folder / RESULT) as temporary:
        temporary.write_text(to_json(record), encoding="utf-8")
    cells = {name: f"{s['mean']:.4f} ± {s['std']:.4f}" for name, s in summary.items()}
    print(table(cells, recipe, notes_of_rule(chosen)))
    print(f"mean ± standard deviation over {folds} folds: {folder}")
    return {name: statistics.fmean(v) for name, v in values.items()}


def notes_of_rule(chosen: OneEpoch | None) -> list[str]:
    """What the numbers of a cross-validation are, in words."""
    if chosen is None:
        return ["each fold is tested at the epoch that validation samples of the other folds chose"]
    return [
        f"one_epoch: all folds after epoch {chosen.epoch} of {chosen.epochs}, of the {chosen.by} in their mean",
        f"all others: each fold after its own epoch of the {chosen.by}",
        "Both are chosen by the samples that they are measured on, baselines too, and so too good: compare them with "
        "numbers of the same rule only. Without --folds_rule one_epoch the numbers are estimates.",
    ]


def _spread(values: list[float]) -> float:
    # statistics.stdev stops at what is not finite, as an R^2 of a constant target may be.
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan
