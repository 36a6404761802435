"""What can be told of graphs without a graph network: by the mean of their nodes, or by what subtrees they have."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from scipy.special import expit
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler
from sklearn.svm import SVC, SVR

from nnzoo.baselines.base import Baselines, Scores, fitting
from nnzoo.baselines.graphs import best, perceptrons
from nnzoo.errors import check_sizes

Array = NDArray[Any]
MOST_LABELS = 64
"""Different rows of features that count as labels of nodes; of more, groups of similar ones are."""


class GraphSetBaselines(Baselines):
    """Test scores of classical models of graphs, as ``baseline/NAME/METRIC``.

    - ``linear``, ``mlp``: logistic or ridge regression, and scikit-learn's perceptron of 64 units, on the mean of each
      feature over the nodes, and the numbers of nodes and edges.
    - ``wl``: a support vector machine with the Weisfeiler-Lehman subtree kernel (Shervashidze et al. 2011), normalised.
      A node's label is its row of features, or where there are more than 64 different ones the nearest of 32 k-means
      centres; features of edges do not count.

    All are fitted on the training graphs, centres and labels included; penalties and the number of rounds are those
    with the best score on the validation graphs.

    Args:
        rounds: Most rounds of the kernel.
        max_graphs: Leave out the kernel of more training graphs, which takes minutes.
    """

    needs = ("arrays", "graph", "task")
    itemised = True

    def __init__(self, rounds: int = 4, max_graphs: int = 5000) -> None:
        check_sizes(rounds=rounds, max_graphs=max_graphs)
        self.rounds, self.max_graphs = rounds, max_graphs

    def scores(self, module: Any, data: Any) -> Scores:
        """Fits all and measures them on the test graphs."""
        rows = {part: data.arrays(part)[0] for part in ("train", "val", "test")}
        targets = {part: data.arrays(part)[1] for part in rows}
        inputs = summaries(data.graph)
        candidates = {
            "linear": lambda: linear(inputs, data.task),
            "mlp": lambda: perceptrons(inputs, data.task),
            "wl": lambda: kernels(data.graph, rows["train"], self.rounds, data.task),
        }
        if len(rows["train"]) > self.max_graphs:
            del candidates["wl"]
        found = {}
        for name, models in candidates.items():
            with fitting(name):
                found[name] = best(list(models()), rows, targets, data.task, getattr(module, "positive", 1))
        return found


def summaries(graphs: Any) -> Array:
    """The mean of each feature over the nodes, and the numbers of nodes and edges: (G, F + 2)."""
    sizes = graphs.sizes.numpy()
    means = np.add.reduceat(graphs.tensors["x"].double().numpy(), graphs.starts.numpy()) / sizes[:, None]
    return np.column_stack([means, sizes, graphs.counts.numpy()])


def linear(inputs: Array, task: str) -> Iterator[tuple[Any, Array]]:
    """Linear models with more and less of a penalty."""
    for strength in (0.1, 1.0, 10.0):
        model = LogisticRegression(C=strength, max_iter=5000) if task == "classification" else Ridge(1 / strength)
        yield make_pipeline(StandardScaler(), model), inputs


class Machine(SVC):
    """A support vector machine that ranks two classes by the distance from the plane between them."""

    def predict_proba(self, inputs: Array) -> Array:
        """Shares (N, 2) in the order of the distances: no probabilities, but the same areas under curves."""
        share = expit(self.decision_function(inputs))
        return np.column_stack([1 - share, share])


def kernels(graphs: Any, train: Array, rounds: int, task: str) -> Iterator[tuple[Any, Array]]:
    """Support vector machines on the kernel with the training graphs (G, n), of fewer and more rounds."""
    counts = subtree_counts(graphs, train, rounds)
    for depth in range(1, rounds + 1):
        rows = Normalizer().fit_transform(hstack(counts[: depth + 1]).tocsr())
        kernel = (rows @ rows[train].T).toarray()
        for strength in (1.0, 10.0, 100.0):
            kind = Machine if task == "classification" else SVR
            yield kind(kernel="precomputed", C=strength), kernel


def subtree_counts(graphs: Any, train: Array, rounds: int) -> list[csr_matrix]:
    """How often each label stands in each graph, (G, labels), before any and after each of so many rounds.

    In a round a node's label becomes that of the pair of its label and the multiset of labels whose edges end at it.
    Only labels that some training graph has are counted.

    Args:
        graphs: A :class:`nnzoo.data.graphs.graph_set.GraphSet`.
        train: Numbers of the training graphs.
        rounds: Of relabelling.
    """
    graph_of = np.arange(len(graphs)).repeat(graphs.sizes.numpy())
    known = np.isin(graph_of, train)
    labels = first_labels(graphs.tensors["x"].numpy(), known)
    sources, targets = graphs.edge_index.numpy()  # by target
    ends = np.searchsorted(targets, np.arange(len(labels) + 1))
    counts = [counted(labels, graph_of, known, len(graphs))]
    for _ in range(rounds):
        order = np.lexsort((labels[sources], targets))
        around = labels[sources[order]]
        names = [(own, around[ends[node] : ends[node + 1]].tobytes()) for node, own in enumerate(labels.tolist())]
        codes = {name: code for code, name in enumerate(dict.fromkeys(names))}
        labels = np.fromiter((codes[name] for name in names), np.int64, len(names))
        counts.append(counted(labels, graph_of, known, len(graphs)))
    return counts


def first_labels(features: Array, known: Array) -> Array:
    """A label for each node (N,) out of its features (N, F)."""
    rows, labels = np.unique(features, axis=0, return_inverse=True)
    if len(rows) > MOST_LABELS:
        labels = KMeans(32, n_init=1, random_state=0).fit(features[known]).predict(features)
    return labels.reshape(-1).astype(np.int64)


def counted(labels: Array, graph_of: Array, known: Array, num_graphs: int) -> csr_matrix:
    """Number of nodes of each label in each graph, of the labels of ``known`` nodes."""
    columns = np.full(labels.max() + 1, -1)
    seen = np.unique(labels[known])
    columns[seen] = np.arange(len(seen))
    kept = columns[labels] >= 0
    pairs = (graph_of[kept], columns[labels[kept]])
    return csr_matrix((np.ones(kept.sum()), pairs), shape=(num_graphs, len(seen)))
