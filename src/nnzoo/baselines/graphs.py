"""What can be told of nodes from their features alone, or from the graph alone."""

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.manifold import spectral_embedding
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch_geometric.nn import LabelPropagation
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from nnzoo.baselines.base import Baselines, Scores, fitting
from nnzoo.baselines.tables import scores_of
from nnzoo.errors import check_sizes

Array = NDArray[Any]
EMBEDDED = (8, 16, 32)
"""Eigenvectors of the Laplacian to choose from."""
ALPHAS = (0.5, 0.8, 0.9, 0.99)
"""Of label spreading, to choose from: the share of a node's label that its neighbours have."""
ROUNDS = 100


class NodeBaselines(Baselines):
    """Test scores of classical models of nodes, as ``baseline/NAME/METRIC``.

    - ``mlp``: scikit-learn's perceptron of 64 units on the features alone, if there are any.
    - ``spreading``: label spreading (Zhou et al. 2004) on the graph alone, by the weights of its edges and whatever
      their directions; of numbers, the spread mean.
    - ``spectral``: logistic or ridge regression on eigenvectors of the graph's normalised Laplacian.

    All are fitted on the training nodes; the strength of their penalties, the share of neighbours and the number of
    eigenvectors are those with the best score on the validation nodes.

    Args:
        max_nodes: Leave out eigenvectors of larger graphs, which take minutes.
    """

    needs = ("arrays", "adjacency", "task")
    itemised = True

    def __init__(self, max_nodes: int = 50_000) -> None:
        check_sizes(max_nodes=max_nodes)
        self.max_nodes = max_nodes

    def scores(self, module: Any, data: Any) -> Scores:
        """Fits all and measures them on the test nodes."""
        rows = {part: data.arrays(part)[0] for part in ("train", "val", "test")}
        targets = {part: data.arrays(part)[1] for part in rows}
        candidates = {
            "mlp": lambda: perceptrons(data.features, data.task),
            "spreading": lambda: spreading(data, rows, targets),
        }
        if data.features is None:
            del candidates["mlp"]
        if data.graph.num_nodes <= self.max_nodes:
            candidates["spectral"] = lambda: spectral(data.adjacency, data.task)
        found = {}
        for name, models in candidates.items():
            with fitting(name):
                found[name] = best(list(models()), rows, targets, data.task, getattr(module, "positive", 1))
        return found


def best(
    models: Sequence[tuple[Any, Array]], rows: dict[str, Array], targets: dict[str, Array], task: str, positive: int
) -> dict[str, float]:
    """Test scores of the model, of several with their inputs (N, F), that is best on the validation nodes."""
    metric, sign = ("accuracy", 1) if task == "classification" else ("rmse", -1)

    def score(model: Any, inputs: Array, part: str) -> dict[str, float]:
        return dict(scores_of((inputs[rows[part]], targets[part]), model, task, positive))

    fitted = [(model.fit(inputs[rows["train"]], targets["train"]), inputs) for model, inputs in models]
    chosen = max(fitted, key=lambda pair: sign * score(pair[0], pair[1], "val")[metric])
    return score(chosen[0], chosen[1], "test")


def perceptrons(features: Array, task: str) -> Iterator[tuple[Any, Array]]:
    """Perceptrons of the features, standardised or as they are, with more and less of a penalty."""
    kind = MLPClassifier if task == "classification" else MLPRegressor
    for alpha in (1e-4, 1e-2, 1.0):
        perceptron = kind(hidden_layer_sizes=(64,), alpha=alpha, max_iter=1000, random_state=0)
        yield make_pipeline(StandardScaler(), perceptron), features
        yield make_pipeline(perceptron), features


def spectral(adjacency: Any, task: str) -> Iterator[tuple[Any, Array]]:
    """Linear models of eigenvectors of the Laplacian."""
    most = min(max(EMBEDDED), adjacency.shape[0] - 2)
    vectors = laplacian_vectors(adjacency, most)
    for count in dict.fromkeys(min(size, most) for size in EMBEDDED):
        for strength in (1.0, 100.0):
            linear = LogisticRegression(C=strength, max_iter=5000) if task == "classification" else Ridge(1 / strength)
            yield make_pipeline(StandardScaler(), linear), vectors[:, :count]


def laplacian_vectors(adjacency: Any, count: int) -> Array:
    """Eigenvectors (N, count) of the normalised Laplacian, those of the smallest eigenvalues."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Graph is not fully connected")  # then they tell its parts
        return spectral_embedding(adjacency, n_components=count, drop_first=False, random_state=0)


class Spread:
    """What label spreading says of all nodes, as a model whose inputs are their numbers (N, 1).

    Nodes that no label reaches get the classes' shares in training, or the mean.

    Args:
        adjacency: Weights of the edges as a symmetric SciPy matrix (N, N).
        targets: Classes, or numbers, of all nodes (N,).
        alpha: Share of a node's label that its neighbours have.
        num_classes: Number of classes; 0 for numbers.
    """

    def __init__(self, adjacency: Any, targets: Tensor, alpha: float, num_classes: int) -> None:
        self.adjacency, self.targets, self.alpha, self.num_classes = adjacency, targets, alpha, num_classes
        self.classes_ = np.arange(num_classes)

    def fit(self, inputs: Array, targets: Array) -> "Spread":
        """Spreads the targets of some nodes over the graph."""
        known = torch.zeros(len(self.targets), dtype=torch.bool)
        known[torch.from_numpy(inputs[:, 0])] = True
        matrix = self.adjacency.tocoo()
        ends, weights = torch.from_numpy(np.stack([matrix.col, matrix.row])).long(), torch.from_numpy(matrix.data)
        edges, scaled = gcn_norm(ends, weights.float(), len(known), add_self_loops=False)
        spread = LabelPropagation(ROUNDS, self.alpha)
        if self.num_classes:
            known_shares = F.one_hot(torch.where(known, self.targets, 0), self.num_classes) * known[:, None].float()
            shares = spread(known_shares, edges, edge_weight=scaled)
            sums = shares.sum(dim=1, keepdim=True)
            self.shares = torch.where(sums > 0, shares / sums, known_shares[known].mean(dim=0)).numpy()
            return self
        # The spread sum over the spread number of known nodes; the mean where none is near.
        values = torch.stack([torch.where(known, self.targets, 0.0), known.float()], dim=1)
        total, count = spread(values, edges, edge_weight=scaled, post_step=lambda values: values).T
        self.values = torch.where(count > 1e-9, total / count, self.targets[known].mean()).numpy()
        return self

    def predict_proba(self, inputs: Array) -> Array:
        """Shares (N, K) of the classes."""
        return self.shares[inputs[:, 0]]

    def predict(self, inputs: Array) -> Array:
        """Classes or numbers (N,)."""
        return self.shares[inputs[:, 0]].argmax(axis=1) if self.num_classes else self.values[inputs[:, 0]]


def spreading(data: Any, rows: dict[str, Array], targets: dict[str, Array]) -> Iterator[tuple[Any, Array]]:
    """Label spreading with several shares."""
    every = torch.zeros(data.graph.num_nodes, dtype=torch.int64 if data.num_classes else torch.float32)
    every[torch.from_numpy(rows["train"])] = torch.from_numpy(targets["train"])
    numbers = np.arange(data.graph.num_nodes)[:, None]
    for alpha in ALPHAS:
        yield Spread(data.adjacency, every, alpha, data.num_classes), numbers
