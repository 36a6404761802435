"""Where graphs come from: digits, small classics, Planetoid's citations, or the user's own files."""

import sys
import typing
from collections.abc import Mapping
from typing import Any, ClassVar

import networkx as nx
import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_diabetes, load_digits
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch_geometric.datasets import Planetoid
from torch_geometric.utils import from_scipy_sparse_matrix

from nnzoo.data.graphs import saved_nodes
from nnzoo.data.graphs.files import column_names, read_graph
from nnzoo.data.graphs.graph import Graph, both_ways, without_repeats
from nnzoo.data.graphs.graph_source import GraphSource
from nnzoo.data.sources import sources_in
from nnzoo.errors import InputError


class Digits(GraphSource):
    """scikit-learn's 1,797 digits, each linked with the ``nearest`` ones by their pixels."""

    name = "digits"
    uses = ("nearest", "test_fraction", "labels_per_class")
    classes: ClassVar = [str(digit) for digit in range(10)]

    def load(self) -> Graph:
        """Pixels in [0, 1] as features."""
        images, labels = load_digits(return_X_y=True)
        target = named(labels, self.classes, "digit")
        return neighbour_graph(images / 16, target, self.settings["nearest"])

    def feature_names(self) -> list[str]:
        """Where each pixel is."""
        return [f"pixel {row}, {column}" for row in range(8) for column in range(8)]


class Diabetes(GraphSource):
    """scikit-learn's 442 patients with 10 measurements, each linked with the ``nearest`` by these; a regression."""

    name = "diabetes"
    uses = ("nearest", "test_fraction")

    def load(self) -> Graph:
        """Measurements of mean 0 and standard deviation 1, and how far the disease progressed in a year."""
        patients = load_diabetes()
        x = StandardScaler().fit_transform(patients.data)
        return neighbour_graph(x, pd.Series(patients.target, name="progression"), self.settings["nearest"])

    def feature_names(self) -> list[str]:
        """The measurements."""
        return [str(name) for name in load_diabetes().feature_names]


class Karate(GraphSource):
    """Zachary's karate club: 34 members, their friendships, and which of two clubs they joined after the split."""

    name = "karate"
    uses = ("test_fraction", "labels_per_class")
    classes: ClassVar = ["Mr. Hi", "Officer"]

    def load(self) -> Graph:
        """A column for each member as features: there are no others."""
        club = nx.karate_club_graph()
        edges = both_ways(torch.tensor(list(club.edges)).T)[0]
        members = pd.Series([club.nodes[member]["club"] for member in club], name="club")
        return Graph(torch.eye(len(club)), edges, members, ["train"] * len(club))

    def feature_names(self) -> list[str]:
        """The members."""
        return [f"member {number}" for number in range(34)]


class Blocks(GraphSource):
    """A stochastic block model: four groups of 150 nodes, pairs linked with 0.06 inside a group and 0.01 across.

    A node's features are one number for each group, of mean 1 for its own and 0 for others, with standard deviation 2:
    of these alone the best classifier is right in less than half of the cases.
    """

    name = "blocks"
    uses = ("test_fraction", "labels_per_class")
    classes: ClassVar = ["first", "second", "third", "fourth"]
    size, within, across, noise = 150, 0.06, 0.01, 2.0

    def load(self) -> Graph:
        """Generated from ``split_seed``."""
        seed, groups = self.settings["split_seed"], len(self.classes)
        chances = np.full((groups, groups), self.across) + (self.within - self.across) * np.eye(groups)
        graph = nx.stochastic_block_model([self.size] * groups, chances.tolist(), seed=seed)
        edges = both_ways(torch.tensor(list(graph.edges)).T)[0]
        labels = np.arange(groups).repeat(self.size)
        x = np.eye(groups)[labels] + np.random.default_rng(seed).normal(scale=self.noise, size=(len(labels), groups))
        return Graph(
            torch.tensor(x, dtype=torch.float32), edges, named(labels, self.classes, "group"), ["train"] * len(x)
        )

    def feature_names(self) -> list[str]:
        """The groups that they are signs of."""
        return [f"sign of {name}" for name in self.classes]


class Citations(GraphSource):
    """Papers, their words, who cites whom, and their fields (Yang et al. 2016, arXiv:1603.08861).

    ``split`` fixed is the public one: 20 papers of each field to train on, 500 for validation, 1,000 to test on. Random
    draws as many of each, with ``split_seed``: another task with other numbers, which should be named as such. Rows of
    words are divided by their sums with ``row_normalize``, as GCN's and GAT's authors have them.
    """

    uses = ("root", "split", "row_normalize")
    folder: ClassVar[str]
    num_train, num_val, num_test = 20, 500, 1000

    def fetch(self) -> None:
        """Downloads it if it is missing."""
        self._planetoid()

    def _planetoid(self) -> Planetoid:
        try:
            return Planetoid(str(self.root), self.folder)
        except Exception as error:  # of many kinds: of the network, or of a half-written file
            raise InputError(
                f"{self.folder} is neither in {self.root} nor could it be downloaded ({type(error).__name__}): put "
                f"Planetoid's files ind.{self.name}.* into {self.root / self.folder / 'raw'}, or set --data.root."
            ) from error

    def load(self) -> Graph:
        """Both directions of every citation, as the papers about graphs have it."""
        data: Any = self._planetoid()[0]
        x = data.x / data.x.sum(1, keepdim=True).clamp(min=1) if self.settings["row_normalize"] else data.x
        official = np.full(data.num_nodes, "", dtype=object)
        if self.settings["split"] == "fixed":
            for part in ("train", "val", "test"):
                official[data[f"{part}_mask"].numpy()] = part
        else:
            self._draw(official, data.y)
        target = named(data.y.numpy(), self.classes, "field")
        return Graph(x, data.edge_index, target, official.tolist())

    def _draw(self, official: "np.ndarray[Any, Any]", labels: Tensor) -> None:
        order = np.random.default_rng(self.settings["split_seed"]).permutation(len(labels))
        drawn = labels.numpy()[order]
        chosen = [order[drawn == number][: self.num_train] for number in range(len(self.classes))]
        train = np.concatenate(chosen)
        rest = order[~np.isin(order, train)]
        official[train], official[rest[: self.num_val]] = "train", "val"
        official[rest[self.num_val : self.num_val + self.num_test]] = "test"


class Cora(Citations):
    """2,708 papers on machine learning."""

    name, folder = "cora", "Cora"
    classes: ClassVar = [
        "theory", "reinforcement learning", "genetic algorithms", "neural networks", "probabilistic methods",
        "case based", "rule learning",
    ]  # fmt: skip


class CiteSeer(Citations):
    """3,327 papers on computer science; some of them nobody cites."""

    name, folder = "citeseer", "CiteSeer"
    classes: ClassVar = [str(field) for field in range(6)]


class PubMed(Citations):
    """19,717 papers on diabetes."""

    name, folder = "pubmed", "PubMed"
    classes: ClassVar = [str(field) for field in range(3)]


class CSV(GraphSource):
    """Files of the user's own: the edges, and the nodes with their features and the target."""

    name = "csv"
    uses = (
        "edges", "nodes", "target", "ends", "weight", "directed", "task", "drop", "categorical", "test_fraction",
        "labels_per_class",
        "predict_edges", "predict_nodes",
    )  # fmt: skip

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.check_files()

    def check_files(self) -> None:
        """Raises InputError if a file or the target is not named."""
        if not (self.settings["edges"] and self.settings["nodes"] and self.settings["target"]):
            raise InputError(
                "A graph of your own needs --data.edges FILE, --data.nodes FILE and --data.target COLUMN of the nodes."
            )

    def load(self) -> Graph:
        """The graph of the two files."""
        graph, self.fitted = read_graph(self.settings, self.settings["nodes"], self.settings["edges"], None)
        return graph

    def feature_names(self) -> list[str]:
        """The columns of the nodes' file, and their categories."""
        return column_names(self.fitted["nodes"]) if self.fitted is not None else []

    def load_new(self) -> Graph:
        """The graph of ``predict_nodes`` and ``predict_edges``, read as the training files were."""
        paths = self.settings["predict_nodes"], self.settings["predict_edges"]
        return read_graph(self.settings, *paths, self.fitted)[0]


def neighbour_graph(x: "np.ndarray[Any, Any]", target: "pd.Series[Any]", nearest: int) -> Graph:
    """Rows (N, F) as nodes, each linked in both directions with those nearest to it."""
    if not 1 <= nearest < len(x):
        raise InputError(f"Each of {len(x)} nodes has from 1 to {len(x) - 1} nearest others, got {nearest}.")
    edges, _ = both_ways(from_scipy_sparse_matrix(kneighbors_graph(x, nearest))[0])
    nodes = torch.tensor(x, dtype=torch.float32)
    return Graph(nodes, without_repeats(edges, len(x)), target, ["train"] * len(x))


def named(labels: Any, classes: list[str], name: str) -> "pd.Series[Any]":
    """Class numbers as names."""
    return pd.Series(np.asarray(classes)[np.asarray(labels)], name=name)


SOURCES = typing.cast("dict[str, type[GraphSource]]", sources_in(sys.modules[__name__], saved_nodes))
"""The graphs by their names."""
