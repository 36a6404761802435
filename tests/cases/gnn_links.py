"""Graph autoencoders in the tests over all families."""

from pathlib import Path

from cases.gnn import write_graph
from support.case import Case


def write_links() -> None:
    """The two rings of nodes, and pairs to score."""
    write_graph()
    Path("pairs.csv").write_text("from,to\nn0,n5\nn3,n17\n")


gnn_links = Case(
    noiseless=["--model.dropout", "0"],
    shorter={"batch_size": 400},
    small={"hidden": (8,), "latent_dim": 4},
    other_values={"heads": [2, 4], "dropout": [0.1, 0.9], "decoder_hidden": [(8,), (4, 4)]},
    files=write_links,
    trained_on=["--data.edges", "edges.csv", "--data.nodes", "nodes.csv", "--data.target", "label"],
    predicted=100,  # links that are missing, of all pairs
)
