"""Classes or numbers of the nodes of a graph, of which a few are known.

Paper: Kipf & Welling 2017, arXiv:1609.02907; with ``--model.convolution`` those of the other layers.

    python -m nnzoo.recipes.gnn
    python -m nnzoo.recipes.gnn --config gnn_cora
    python -m nnzoo.recipes.gnn --config gnn_cora_gat
    python -m nnzoo.recipes.gnn --data.edges edges.csv --data.nodes nodes.csv --data.target label
"""

from nnzoo.data.graphs.module import GraphDataModule
from nnzoo.errors import run_main
from nnzoo.modules.gnn import NodeClassifier, NodeRegressor
from nnzoo.run.recipe import run_recipe

MODELS = {"classification": NodeClassifier, "regression": NodeRegressor}


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(MODELS, GraphDataModule, recipe="gnn", args=args)


if __name__ == "__main__":
    run_main(main)
