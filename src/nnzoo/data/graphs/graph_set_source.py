"""What a source of many graphs gives."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
import torch
from torch import Tensor

from nnzoo.data.graphs.graph_set import GraphSet
from nnzoo.data.graphs.graph_set_features import degrees
from nnzoo.data.sources import Source
from nnzoo.errors import InputError


@dataclass
class Samples:
    """What is known of graphs.

    Attributes:
        target: Classes by their names, or numbers; missing where nothing is known (G,).
        written: The graphs as they stand in their file, or their numbers.
    """

    target: "pd.Series[Any]"
    written: pd.DataFrame


class GraphSetSource(Source):
    """Graphs with something known of them."""

    classes: ClassVar[list[str]] = []
    """Names of the classes; empty if they have to be looked for."""
    fitted: dict[str, Any] | None = None
    """What the training files fix for other graphs; None where there are no files."""

    @abstractmethod
    def load(self) -> Samples:
        """The graphs without what depends on which of them are trained on."""

    @abstractmethod
    def graphs(self, train: Tensor) -> GraphSet:
        """The graphs with features by statistics of those to train on."""

    def feature_names(self) -> list[str]:
        """Names of the features of a node, once the graphs are made; none where they have none."""
        return []

    def load_new(self) -> tuple[GraphSet, pd.DataFrame]:
        """Graphs to predict, and how they are written."""
        raise InputError(f"{self.name} has no other graphs to predict.")


def with_degrees(
    sizes: Tensor, edge_index: Tensor, tensors: Mapping[str, Tensor], train: Tensor, most: int | None = None
) -> GraphSet:
    """Graphs whose nodes are told by their degrees, one-hot up to the most in those to train on."""
    chosen = torch.zeros(len(sizes), dtype=torch.bool)
    chosen[train] = True
    x, _ = degrees(edge_index, chosen.repeat_interleave(sizes), most)
    return GraphSet(sizes, edge_index, {**tensors, "x": x})
