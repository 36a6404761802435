"""How well groups found without labels agree with classes."""

from typing import Any

from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score


def cluster_scores(points: NDArray[Any], labels: NDArray[Any]) -> dict[str, float]:
    """Groups of points (M, D) by k-means, as many as there are classes, against their classes (M,).

    Returns:
        ``nmi``, the mutual information over the mean of both entropies, and ``ari``, the adjusted Rand index: 1 where
        groups and classes are the same, about 0 where they have nothing to do with each other.
    """
    groups = KMeans(len(set(labels.tolist())), n_init=10, random_state=0).fit_predict(points)
    return {
        "nmi": float(normalized_mutual_info_score(labels, groups)),
        "ari": float(adjusted_rand_score(labels, groups)),
    }
