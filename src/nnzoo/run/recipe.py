"""A recipe's whole command line: one run, or one for each fold."""

import sys
from pathlib import Path

from nnzoo.errors import InputError
from nnzoo.parameters import parameters_of
from nnzoo.run.arguments import take
from nnzoo.run.cli import DataModules, Models, ZooCLI
from nnzoo.run.folds import cross_validate


def run_recipe(
    model_class: Models, datamodule_class: DataModules, recipe: str, args: list[str] | None = None
) -> dict[str, float]:
    """Runs a recipe's command line, with ``--folds K`` as cross-validation; takes what :class:`ZooCLI` does.

    Returns:
        The test metrics; their means over the folds in a cross-validation.
    """
    args = list(sys.argv[1:] if args is None else args)
    folds, rules = take(args, "--folds"), take(args, "--folds_rule")
    if rules and not folds:
        raise InputError("--folds_rule says which numbers a cross-validation gives: add --folds K.")
    known = [datamodule_class] if isinstance(datamodule_class, type) else datamodule_class
    if folds and not any("folds" in parameters_of(cls) for cls in known):
        raise InputError(
            f"--folds is not for {Path(recipe).stem}, whose data are not cut into folds: leave it out; runs with other "
            "--seed_everything, and --data.split_seed where there is one, show how much a number varies."
        )

    def run(args: list[str]) -> dict[str, float]:
        return ZooCLI(model_class, datamodule_class, recipe, args).metrics

    return cross_validate(run, Path(recipe).stem, args, folds[-1], *rules[-1:]) if folds else run(args)
