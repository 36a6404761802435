"""What can be told of links from the nodes' neighbours, or from their features, without training."""

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from nnzoo.baselines.base import Baselines, Scores, fitting
from nnzoo.baselines.graphs import laplacian_vectors
from nnzoo.errors import check_sizes
from nnzoo.metrics.clusters import cluster_scores

Array = NDArray[Any]
Score = Callable[[Array, Array], Array]
"""From the numbers of both nodes of pairs (B,) to scores (B,)."""
SPECTRAL = 16
"""Eigenvectors of the Laplacian."""


class LinkBaselines(Baselines):
    """Test scores of links in the training graph, as ``baseline/NAME/METRIC``; directions and weights do not count.

    - ``common_neighbours``: how many neighbours both nodes have (Liben-Nowell & Kleinberg 2007).
    - ``adamic_adar``: the sum of 1 / log(degree) of these (Adamic & Adar 2003).
    - ``preferential_attachment``: the product of both degrees.
    - ``spectral``: the inner product of 16 eigenvectors of the normalised Laplacian; where classes are known, also what
      k-means on these has to do with them.
    - ``cosine``: of the nodes' features, where the model has them.

    Args:
        max_nodes: Leave out eigenvectors of larger graphs, which take minutes.
    """

    needs = ("links", "training_adjacency")
    itemised = True

    def __init__(self, max_nodes: int = 50_000) -> None:
        check_sizes(max_nodes=max_nodes)
        self.max_nodes = max_nodes

    def scores(self, module: Any, data: Any) -> Scores:
        """Scores all on the test's pairs."""
        adjacency = data.training_adjacency
        linked, unlinked = (pairs["test"].numpy() for pairs in (data.links.links, data.links.unlinked))
        scorers: dict[str, Callable[[], Score]] = {
            "common_neighbours": lambda: common_neighbours(adjacency),
            "adamic_adar": lambda: adamic_adar(adjacency),
            "preferential_attachment": lambda: preferential_attachment(adjacency),
        }
        features = data.own_features
        if features is not None:
            scorers["cosine"] = lambda: inner_product(unit_rows(features))
        found = {name: areas(scorer(), linked, unlinked) for name, scorer in scorers.items()}
        if adjacency.shape[0] <= self.max_nodes:
            with fitting("spectral"):
                found["spectral"] = spectral(adjacency, linked, unlinked, data.node_labels.numpy())
        return found


def areas(score: Score, linked: Array, unlinked: Array) -> dict[str, float]:
    """Area under the ROC curve and average precision of a score on pairs (2, P) that are linked and not."""
    values = np.concatenate([score(*linked), score(*unlinked)])
    truth = np.arange(len(values)) < linked.shape[1]
    return {
        "auroc": float(roc_auc_score(truth, values)),
        "average_precision": float(average_precision_score(truth, values)),
    }


def common_neighbours(adjacency: Any) -> Score:
    """|N(a) & N(b)|, in a symmetric matrix of 0 and 1."""
    return lambda first, second: sums(adjacency[first].multiply(adjacency[second]))


def adamic_adar(adjacency: Any) -> Score:
    """Sum of 1 / log(degree) of the common neighbours, all of which have two neighbours or more."""
    weights = sp.diags(1 / np.log(np.maximum(sums(adjacency), 2)))
    weighted = (adjacency @ weights).tocsr()
    return lambda first, second: sums(weighted[first].multiply(adjacency[second]))


def preferential_attachment(adjacency: Any) -> Score:
    """|N(a)| |N(b)|."""
    degrees = sums(adjacency)
    return lambda first, second: degrees[first] * degrees[second]


def inner_product(vectors: Array) -> Score:
    """The inner product of the nodes' vectors (N, D)."""
    return lambda first, second: (vectors[first] * vectors[second]).sum(axis=1)


def unit_rows(features: Array) -> Array:
    """Features (N, F) divided by their lengths, zeros as they are."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(lengths > 0, lengths, 1)


def sums(matrix: Any) -> Array:
    """Sums of the rows of a sparse matrix (B, N): (B,)."""
    return np.asarray(matrix.sum(axis=1)).ravel()


def spectral(adjacency: Any, linked: Array, unlinked: Array, labels: Array) -> dict[str, float]:
    """Areas of the inner product of eigenvectors, and their groups beside the classes (N,) that are known."""
    vectors = laplacian_vectors(adjacency, min(SPECTRAL, adjacency.shape[0] - 2))
    known = labels >= 0
    groups = cluster_scores(vectors[known], labels[known]) if len(set(labels[known].tolist())) > 1 else {}
    return {**areas(inner_product(vectors), linked, unlinked), **groups}
