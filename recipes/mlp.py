"""Multilayer perceptron on a table; without hidden layers, linear or logistic regression.

    python -m nnzoo.recipes.mlp
    python -m nnzoo.recipes.mlp --config mlp_diabetes
    python -m nnzoo.recipes.mlp --config mlp_mnist
    python -m nnzoo.recipes.mlp --data.csv my.csv --data.target price
    python -m nnzoo.recipes.mlp --data.dataset iris --model.hidden [] --folds 5

The table stands beside scikit-learn's linear model, multilayer perceptron and gradient boosting on the same split.
The README has the recorded numbers, the times and the hardware.
"""

from nnzoo.cli import run_recipe
from nnzoo.data.tabular import TabularDataModule
from nnzoo.errors import run_main
from nnzoo.modules.mlp import MLPClassifier, MLPRegressor

MODELS = {"classification": MLPClassifier, "regression": MLPRegressor}


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(MODELS, TabularDataModule, recipe="mlp", args=args)


if __name__ == "__main__":
    run_main(main)
