"""A class or a number for each of many graphs: molecules, proteins, images as graphs of pixels.

Paper: Xu et al. 2019, arXiv:1810.00826 (GIN); with ``--model.convolution`` those of other layers, gps among them.
Accuracy on digits as graphs of pixels, means of 3 seeds: GIN 0.9728, GPS (``gnn_graphs_transformer``) 0.9383, the
Weisfeiler-Lehman kernel 0.9333. Linear model and perceptron, 0.11 and 0.09, are at chance: they see the mean of the
features over the nodes, and of those only the mean grey level differs between these graphs. A CNN, which is told what
lies left and right, has 0.993 of the same images.
Triangles of random graphs (``gnn_graphs_triangles``), 3 seeds: rmse 1.461, a linear model of mean features 1.892.

    python -m nnzoo.recipes.gnn_graphs
    python -m nnzoo.recipes.gnn_graphs --config gnn_graphs_transformer
    python -m nnzoo.recipes.gnn_graphs --config gnn_graphs_triangles
    python -m nnzoo.recipes.gnn_graphs --config gnn_graphs_mutag --folds 10 --folds_rule one_epoch
    python -m nnzoo.recipes.gnn_graphs --data.nodes nodes.csv --data.edges edges.csv --data.graph_id g --data.target y
    python -m nnzoo.recipes.gnn_graphs --data.molecules molecules.csv --data.smiles smiles --data.target solubility
"""

from nnzoo.data.graphs.graph_set_module import GraphSetDataModule
from nnzoo.errors import run_main
from nnzoo.modules.gnn_graphs import GraphClassifier, GraphRegressor
from nnzoo.run.recipe import run_recipe

MODELS = {"classification": GraphClassifier, "regression": GraphRegressor}


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(MODELS, GraphSetDataModule, recipe="gnn_graphs", args=args)


if __name__ == "__main__":
    run_main(main)
