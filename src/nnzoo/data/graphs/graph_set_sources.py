"""Where many graphs come from: digits as pixel graphs, generated ones, or collections; the user's own stand apart."""

import contextlib
import sys
import typing
from typing import ClassVar

import networkx as nx
import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torch_geometric.datasets import TUDataset

from nnzoo.data.graphs import graph_set_own
from nnzoo.data.graphs.graph_set import GraphSet
from nnzoo.data.graphs.graph_set_features import near
from nnzoo.data.graphs.graph_set_source import GraphSetSource, Samples, with_degrees
from nnzoo.data.graphs.sources import named
from nnzoo.data.sources import sources_in
from nnzoo.errors import InputError


class Digits(GraphSetSource):
    """scikit-learn's 1,797 digits: a node for each of 8x8 pixels, linked with those within ``cutoff`` of it."""

    name = "digits"
    uses = ("cutoff",)
    classes: ClassVar = [str(digit) for digit in range(10)]

    def load(self) -> Samples:
        """The digits."""
        self.images, labels = load_digits(return_X_y=True)
        return Samples(named(labels, self.classes, "digit"), pd.DataFrame({"graph": range(len(labels))}))

    def graphs(self, train: Tensor) -> GraphSet:
        """Grey level, row and column in [0, 1] as features; neighbours at a side or a corner by default."""
        side, count = 8, len(self.images)
        points = np.argwhere(np.ones((side, side))).astype(np.float64)
        edges = near(points, 1.5 if self.settings["cutoff"] is None else self.settings["cutoff"])
        places = torch.tensor(points / (side - 1), dtype=torch.float32).repeat(count, 1)
        grey = torch.tensor(self.images / 16, dtype=torch.float32).reshape(-1, 1)
        starts = (torch.arange(count) * side**2).repeat_interleave(edges.shape[1])
        pos = torch.tensor(points[:, ::-1] * [1, -1], dtype=torch.float32).repeat(count, 1)  # x to the right, y up
        tensors = {"x": torch.cat([grey, places], dim=1), "pos": pos}
        return GraphSet(torch.full((count,), side**2), edges.repeat(1, count) + starts, tensors)

    def feature_names(self) -> list[str]:
        """What is known of a pixel."""
        return ["grey level", "row", "column"]


class Triangles(GraphSetSource):
    """1,000 random graphs of 10 to 20 nodes, of which the number of triangles is to be told.

    Messages between neighbours cannot count them (arXiv:2002.04025); random-walk encodings can.
    """

    name = "triangles"
    count, least, most, density = 1000, 10, 20, 0.25

    def load(self) -> Samples:
        """Generated from ``split_seed``."""
        drawn = np.random.default_rng(self.settings["split_seed"])
        sizes = drawn.integers(self.least, self.most + 1, self.count)
        seeds = drawn.integers(2**31, size=self.count)
        self.drawn = [nx.gnp_random_graph(int(n), self.density, seed=int(s)) for n, s in zip(sizes, seeds, strict=True)]
        counts = [sum(nx.triangles(graph).values()) / 3 for graph in self.drawn]
        return Samples(pd.Series(counts, name="triangles"), pd.DataFrame({"graph": range(self.count)}))

    def graphs(self, train: Tensor) -> GraphSet:
        """Degrees as features."""
        whole = nx.disjoint_union_all(self.drawn)
        edges = torch.tensor(list(whole.to_directed().edges)).T
        sizes = torch.tensor([len(graph) for graph in self.drawn])
        made = with_degrees(sizes, edges, {}, train)
        self.degrees = made.tensors["x"].shape[1]
        return made

    def feature_names(self) -> list[str]:
        """The degrees; more than in training count as the last."""
        return [f"degree {number}" for number in range(self.degrees)]


class Benchmark(GraphSetSource):
    """A set of the TUDataset collection (Morris et al. 2020, arXiv:2007.08663).

    Features are the labels of nodes, one-hot, and of edges where there are any; without labels, the degrees of nodes,
    one-hot, as in GIN's code.
    """

    uses = ("root",)
    folder: ClassVar[str]
    classes: ClassVar = ["0", "1"]

    def fetch(self) -> None:
        """Downloads it if it is missing."""
        self._set()

    def _set(self) -> TUDataset:
        try:
            return TUDataset(str(self.root), self.folder)
        except Exception as error:  # of many kinds: of the network, or of a half-written file
            for folder in (self.root / self.folder / "raw", self.root / self.folder):
                with contextlib.suppress(OSError):  # not empty: files of the user's, which stay
                    folder.rmdir()
            raise InputError(
                f"{self.folder} is neither in {self.root} nor could it be downloaded ({type(error).__name__}): put the "
                f"files {self.folder}_*.txt into {self.root / self.folder / 'raw'}, or set --data.root."
            ) from error

    def load(self) -> Samples:
        """All graphs; classes are numbered."""
        self.set = list(self._set())
        labels = pd.Series([str(int(graph.y)) for graph in self.set], name="class")
        return Samples(labels, pd.DataFrame({"graph": range(1, len(self.set) + 1)}))

    def graphs(self, train: Tensor) -> GraphSet:
        """With the features that the set has."""
        graphs = GraphSet.of_list(self.set)
        if "x" in graphs.tensors:
            return graphs
        return with_degrees(graphs.sizes, graphs.edge_index, graphs.tensors, train)


class MUTAG(Benchmark):
    """188 compounds, and whether they are mutagenic."""

    name, folder = "mutag", "MUTAG"


class PTC(Benchmark):
    """344 compounds, and whether they cause cancer in male rats."""

    name, folder = "ptc", "PTC_MR"


class Proteins(Benchmark):
    """1,113 proteins, and whether they are enzymes."""

    name, folder = "proteins", "PROTEINS"


class NCI1(Benchmark):
    """4,110 compounds, and whether they act against a lung cancer."""

    name, folder = "nci1", "NCI1"


class IMDBBinary(Benchmark):
    """1,000 circles of actors, and the genre of their films; nodes have no labels."""

    name, folder = "imdb_binary", "IMDB-BINARY"


SOURCES = typing.cast("dict[str, type[GraphSetSource]]", sources_in(sys.modules[__name__], graph_set_own))
"""The sets of graphs by their names."""
