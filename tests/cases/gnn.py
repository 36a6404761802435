"""Graph networks of nodes in the tests over all families."""

from dataclasses import replace
from pathlib import Path

from support.case import Case


def write_graph() -> None:
    """edges.csv and nodes.csv: two rings, each of a label, with an edge between them."""
    ring = [(10 * side + i, 10 * side + (i + step) % 10) for side in (0, 1) for i in range(10) for step in (1, 2)]
    Path("edges.csv").write_text("from,to\n" + "".join(f"n{a},n{b}\n" for a, b in [*ring, (0, 10)]))
    lines = [f"n{i},{(i * 7) % 5},{'left' if i < 10 else 'right'}\n" for i in range(20)]
    Path("nodes.csv").write_text("id,size,label\n" + "".join(lines))


gnn = Case(
    noiseless=["--model.dropout", "0"],
    small={"hidden": (8, 8)},  # of one width, so that what skips a layer acts
    # Of few steps less is no warming up.
    other_values={"heads": [2, 4], "dropout": [0.1, 0.9], "lr_warmup": [0.9]},
    apart={"class_weights"},  # as many labels of each class
    tied={"spectral", "spreading"},  # over the splits of the record by less than a tenth of their spread
    files=write_graph,
    trained_on=["--data.edges", "edges.csv", "--data.nodes", "nodes.csv", "--data.target", "label"],
)
gnn_diabetes = replace(gnn, apart={"out_heads", "propagation", "steps", "teleport"})  # of linear heads, and of classes
