"""Cross-validation: a recipe once per fold, and one table of means and spreads."""

import math
import os
import statistics
from collections.abc import Callable
from pathlib import Path

from nnzoo.errors import InputError
from nnzoo.files import replacing, to_json
from nnzoo.run.arguments import take
from nnzoo.run.folder import RESULT, new_folder
from nnzoo.run.report import table

Metrics = dict[str, float]


def cross_validate(run: Callable[[list[str]], Metrics], recipe: str, args: list[str], folds: str) -> Metrics:
    """Runs a recipe on each fold, prints a table and writes ``result.json`` beside the runs' folders.

    Each fold is the test part of one run; the validation part is drawn from the others.

    Args:
        run: Runs the recipe with arguments and returns the test metrics.
        recipe: Stem of the recipe.
        args: Its arguments.
        folds: Number of folds, as typed.

    Returns:
        Mean of each metric over the folds.

    Raises:
        InputError: If the number of folds is not a number of 2 or more, or several processes run.
    """
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
    runs = []
    for fold in range(int(folds)):
        print(f"fold {fold + 1} of {folds}")
        flags = ["--data.folds", folds, "--data.fold", str(fold), "--trainer.devices", "1"]
        runs.append(run([*args, *flags, "--trainer.default_root_dir", str(folder / f"fold-{fold}")]))
    names = [name for name in runs[0] if name.startswith(("test/", "baseline/"))]
    values = {name: [metrics[name] for metrics in runs] for name in names}
    summary = {name: {"mean": statistics.fmean(v), "std": _spread(v), "values": v} for name, v in values.items()}
    with replacing(folder / RESULT) as temporary:
        temporary.write_text(to_json({"folds": int(folds), "metrics": summary}), encoding="utf-8")
    print(table({name: f"{s['mean']:.4f} ± {s['std']:.4f}" for name, s in summary.items()}, recipe))
    print(f"mean ± standard deviation over {folds} folds: {folder}")
    return {name: statistics.fmean(v) for name, v in values.items()}


def _spread(values: list[float]) -> float:
    # statistics.stdev stops at what is not finite, as an R^2 of a constant target may be.
    return statistics.stdev(values) if all(map(math.isfinite, values)) else math.nan
