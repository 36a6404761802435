"""Classes or numbers of the nodes of a graph, of which a few are known.

Paper: Kipf & Welling 2017, arXiv:1609.02907; with ``--model.convolution`` those of the other layers.

Cora's fixed split: 0.8199 of the test papers, the mean of 20 seeds with standard deviation 0.0049, each chosen on
validation; the paper has 0.815. A perceptron of the words alone has 0.553, label spreading 0.713.

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
