"""Graph networks of whole graphs in the tests over all families."""

from dataclasses import replace
from pathlib import Path

from support.case import Case


def write_graphs() -> None:
    """nodes.csv and edges.csv: rings and paths of 4 to 7 nodes; molecules.csv: chains of carbon."""
    nodes, edges = ["g,id,size,y"], ["g,from,to"]
    for number in range(40):
        size, ring = 4 + number % 4, number % 2
        nodes += [f"g{number},{i},{(i * 7 + number) % 5},{'ring' if ring else 'path'}" for i in range(size)]
        edges += [f"g{number},{i},{(i + 1) % size}" for i in range(size if ring else size - 1)]
    Path("nodes.csv").write_text("\n".join(nodes) + "\n")
    Path("edges.csv").write_text("\n".join(edges) + "\n")
    rows = [f"{'C' * (1 + i % 9)}{'O' * (i % 2)},{i % 9 - 2 * (i % 2)}.5" for i in range(36)]
    Path("molecules.csv").write_text("smiles,solubility\n" + "\n".join(rows) + "\n")


gnn_graphs = Case(
    # Batch norm, of which GIN has its own, sees its own device's nodes.
    noiseless=["--model.norm", "none", "--model.convolution", "sage"],
    quicker={"hidden": [8, 8]},
    small={"hidden": (8, 8)},
    other_values={"heads": [2, 4], "dropout": [0.1, 0.9], "head_hidden": [[8]]},
    apart={"class_weights"},  # nearly as many digits of each class
    files=write_graphs,
    trained_on=["--data.nodes", "nodes.csv", "--data.edges", "edges.csv", "--data.graph_id", "g",
                "--data.target", "y"],
)  # fmt: skip
gnn_graphs_triangles = replace(gnn_graphs, apart=())
