"""What a source of one graph is."""

from abc import abstractmethod
from typing import Any, ClassVar

from nnzoo.data.graphs.graph import Graph
from nnzoo.data.sources import Source
from nnzoo.errors import InputError


class GraphSource(Source):
    """A graph with something known of its nodes."""

    classes: ClassVar[list[str]] = []
    """Names of the classes; empty if they have to be looked for."""
    fitted: dict[str, Any] | None = None
    """What the training files fix for another graph; None where there are no files."""

    @abstractmethod
    def load(self) -> Graph:
        """The whole graph."""

    def feature_names(self) -> list[str]:
        """Names of the features of a node, once it is loaded; none where they have none."""
        return []

    def load_new(self) -> Graph:
        """Another graph, whose nodes are to be predicted."""
        raise InputError(f"{self.name} has no other graph to predict.")
