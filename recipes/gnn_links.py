"""Links of a graph: which of its nodes are linked, though the graph does not say so.

Paper: Kipf & Welling 2016, arXiv:1611.07308 (GAE and VGAE).

    python -m nnzoo.recipes.gnn_links
    python -m nnzoo.recipes.gnn_links --model.variational true
    python -m nnzoo.recipes.gnn_links --model.label_weight 0.5 --data.labels_per_class 5
    python -m nnzoo.recipes.gnn_links --config gnn_links_cora
    python -m nnzoo.recipes.gnn_links --config gnn_links_cora_vgae
    python -m nnzoo.recipes.gnn_links --data.edges edges.csv --data.nodes nodes.csv
    python -m nnzoo.recipes.gnn_links predict --ckpt_path runs/gnn_links/RUN/best.ckpt --data.predict_pairs pairs.csv

On the digits, three seeds: average precision 0.9625 (common neighbours 0.7693, eigenvectors of the Laplacian 0.9378),
area under the ROC curve 0.9661 (0.7729, 0.9547).

On Cora, ten seeds with a split of the links each: GAE has area 0.9113 and average precision 0.9171, the paper's of one
split is 0.910 and 0.920; VGAE (``gnn_links_cora_vgae``) 0.9189 and 0.9272, the paper's 0.914 and 0.926. From split to
split areas go from 0.896 to 0.926 and from 0.906 to 0.932. Here layers have biases, and validation chooses the epoch.
"""

from nnzoo.data.graphs.link_module import LinkDataModule
from nnzoo.errors import run_main
from nnzoo.modules.gnn_links import LinkPredictor
from nnzoo.run.recipe import run_recipe


def main(args: list[str] | None = None) -> dict[str, float]:
    """Runs the recipe with command-line arguments and returns the test metrics."""
    return run_recipe(LinkPredictor, LinkDataModule, recipe="gnn_links", args=args)


if __name__ == "__main__":
    run_main(main)
