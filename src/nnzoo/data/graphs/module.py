"""One graph whose nodes are classified or regressed: digits and their neighbours, citations, or your own files."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader
from torch_geometric.data import Data
from torch_geometric.utils import to_scipy_sparse_matrix

from nnzoo.data.csv_file import check_file
from nnzoo.data.facts import fact, held, view
from nnzoo.data.graphs.dataset import NodeDataset, as_data, few_labels, with_seeds
from nnzoo.data.graphs.graph import Graph
from nnzoo.data.graphs.sampling import NeighborSampler
from nnzoo.data.graphs.sources import SOURCES, GraphSource
from nnzoo.data.graphs.targets import TargetDataModule
from nnzoo.data.sampler import GlobalBatchSampler
from nnzoo.data.sources import options_of
from nnzoo.data.splits import PARTS
from nnzoo.data.tables.target import Task
from nnzoo.errors import InputError, check_sizes

if TYPE_CHECKING:
    DatasetName = str
else:
    DatasetName = Literal[tuple(SOURCES)]

FILES = ("nodes", "edges", "saved")
SAME_GRAPH = "use the graph it was trained on, and give another as --data.predict_nodes and --data.predict_edges"


class GraphDataModule(TargetDataModule):
    """One graph, whose nodes are the samples.

    A batch is a ``torch_geometric.data.Data`` with the features ``x`` of the nodes, dense or, where most are 0, sparse,
    ``edge_index`` and, if there are any, ``edge_attr`` and ``edge_weight`` of the edges, ``y`` of the nodes, and
    ``seeds``: the numbers of those that are the samples of the batch. It holds the whole graph, or with
    ``num_neighbors`` in training the drawn neighbourhood of the samples. Nodes without a target are in the graph, but
    in no part; ``predict`` predicts all nodes.

    Args:
        dataset: digits (scikit-learn's 1,797, each linked with the ``nearest`` by their pixels) | diabetes (likewise,
            442 patients) | karate | blocks (a stochastic block model) | cora, citeseer, pubmed (Planetoid) | csv, which
            giving ``edges`` implies | saved.
        edges: Your file of edges: a header, two columns of ids, and others as features of the edges.
        nodes: Your file of nodes: ids in the first column, the target, and others as features.
        target: The column of ``nodes`` to predict; where it is empty, nothing is known of the node.
        ends: The two columns of ids in ``edges``; the first two if not given.
        weight: A column of ``edges`` with weights of 0 or more, which is then no feature.
        directed: Whether an edge passes messages from its first end to its second only.
        saved: Your graph as a ``torch_geometric.data.Data``, or a dict of its tensors, by ``torch.save``; what is taken
            of it and how: :class:`nnzoo.data.graphs.saved_nodes.Saved`.
        predict_saved: Another such graph.
        predict_edges: The edges of another graph, with the same columns, whose nodes ``predict`` predicts.
        predict_nodes: Its nodes; the target may be absent.
        task: auto | classification | regression, see :func:`nnzoo.data.tables.target.task_of`.
        categorical: Columns to treat as categories; texts always are.
        drop: Columns to leave out.
        nearest: How many of the nearest digits or patients each is linked with.
        split: Of the citations: fixed | random.
        row_normalize: Divide the words of each paper by their number, so that long ones weigh no more.
        labels_per_class: Of so many nodes of each class the target is known in training; the others that are left
            go to the test. All that are not held out are trained on if not given.
        num_neighbors: In training, draw so many neighbours for each round of messages, such as [10, 10]: for graphs
            whose gradients do not fit into memory. ``batch_size`` then says for how many nodes. Validation, test and
            prediction pass messages over the whole graph at once, which has to fit without gradients. Degrees are those
            of the drawn part: gcn's weights, which divide by them, differ from those of the whole graph even where all
            neighbours are drawn; means (sage) and attention (gat) do not.
        split_seed: Seed of the split and of what is generated, apart from ``seed``.
        root: Folder of the citations (default: $NNZOO_DATA, else ~/.cache/nnzoo).
        shared: What :class:`nnzoo.data.room.RoomDataModule` takes.

    Raises:
        InputError: If a value is out of range, or the data cannot be found or used.
    """

    sources: ClassVar[Mapping[str, type[GraphSource]]] = SOURCES
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = options_of(SOURCES)
    sample = "node"

    def __init__(
        self,
        *,
        dataset: DatasetName = "digits",
        edges: str | None = None,
        nodes: str | None = None,
        target: str | None = None,
        ends: Sequence[str] = (),
        weight: str | None = None,
        directed: bool = False,
        saved: str | None = None,
        predict_saved: str | None = None,
        predict_edges: str | None = None,
        predict_nodes: str | None = None,
        task: Literal["auto", "classification", "regression"] = "auto",
        categorical: Sequence[str] = (),
        drop: Sequence[str] = (),
        nearest: int = 10,
        split: Literal["fixed", "random"] = "fixed",
        row_normalize: bool = True,
        labels_per_class: int | None = None,
        num_neighbors: Sequence[int] = (),
        split_seed: int = 0,
        root: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        hparams = self.hparams
        check_sizes(num_neighbors=hparams["num_neighbors"])
        if hparams["labels_per_class"] is not None:
            check_sizes(labels_per_class=hparams["labels_per_class"])
        new = [f"predict_{name}" for name in FILES]
        for option in new if self.brings("predict") else FILES:
            check_file(hparams[option], option)  # with a trained model those to train on need not be there
        if bool(hparams["predict_nodes"]) != bool(hparams["predict_edges"]):
            raise InputError("Another graph is given by both --data.predict_nodes and --data.predict_edges.")

    @cached_property
    def graph(self) -> Graph:
        """The whole graph."""
        return self.source.load()

    @property
    def target(self) -> "pd.Series[Any]":
        """What is known of each node."""
        return self.graph.target

    @property
    def official(self) -> Sequence[str]:
        """The part that the data set gives each node."""
        return self.graph.official

    @fact
    def task(self) -> Task:
        """Classification or regression; of a saved graph as its numbers are whole or not, if it is not given."""
        told = self.hparams["task"] != "auto" or self.source.classes
        return (None if told else self.graph.task) or TargetDataModule.task.func(self)

    def trained_on(self, parts: dict[str, Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Of each class at most ``labels_per_class`` nodes in training."""
        most = self.hparams["labels_per_class"]
        if most is None:
            return parts
        return few_labels(parts, labels, len(self.classes), most, self.hparams["split_seed"])

    @cached_property
    def _data(self) -> Data:
        """The graph as batches have it."""
        return as_data(self.graph, self._targets)

    def fitted_state(self) -> dict[str, Any]:
        """How columns of another graph are read and become numbers."""
        return {"files": self.source.fitted}

    def brings(self, stage: str) -> bool:
        """Whether the settings name another graph to predict."""
        return stage == "predict" and any(self.hparams[f"predict_{name}"] for name in FILES)

    def restore(self, state_dict: dict[str, Any]) -> None:
        """Takes facts and formats from a checkpoint, so that no training data need to be read."""
        super().restore(state_dict)
        self.source.fitted = state_dict["fitted"]["files"]

    @cached_property
    def _new(self) -> Graph:
        """The graph of ``predict_nodes``."""
        if not self.uses_fitted("predict"):
            _ = self.graph  # by whose columns another one is read
        graph, path = self.source.load_new(), self.hparams["predict_nodes"] or self.hparams["predict_saved"]
        if graph.featureless and graph.order != self.node_order:
            raise InputError(
                f"{path} has other nodes, or in another order, than the model was trained on, and no features that "
                "tell of them: give the same nodes as they stood, or train with features."
            )
        if graph.x.shape[1] != self.num_features:
            raise InputError(
                f"{path} gives {graph.x.shape[1]} features of a node, the model was trained on {self.num_features}: "
                "give it the columns that the training file has."
            )
        return graph

    def setup(self, stage: str | None = None) -> None:
        """Splits the nodes; a second call changes nothing."""
        if self.is_set_up(stage):
            return
        if self.brings("predict") and (stage == "predict" or not self.uses_fitted(stage)):
            unknown = torch.full((self._new.num_nodes,), -1 if self.num_classes else torch.nan)
            self.parts["predict"] = NodeDataset(as_data(self._new, unknown), torch.arange(self._new.num_nodes))
        if self.uses_fitted(stage):
            return
        graph, sizes = self._data, self.hparams["num_neighbors"]
        sampler = NeighborSampler(graph.edge_index, self.graph.num_nodes, sizes) if sizes else None
        for part in PARTS:
            self.parts[part] = NodeDataset(graph, self._rows[part], sampler if part == "train" else None)
        if "predict" not in self.parts:
            self.parts["predict"] = NodeDataset(graph, torch.arange(self.graph.num_nodes))
        counts = ", ".join(f"{len(rows)} {part}" for part, rows in self._rows.items())
        name = self.hparams["nodes"] or self.hparams["saved"] or self.dataset
        rank_zero_info(
            f"{name} ({self.task}): {counts} of {self.graph.num_nodes:,} nodes, "
            f"{graph.edge_index.shape[1]:,} directed edges, {self.num_features} features of a node"
        )

    def build_sampler(self, part: str, num_samples: int, batch_size: int, **settings: Any) -> GlobalBatchSampler:
        """In training batches of the labelled nodes; elsewhere all at once, as each batch sees the whole graph."""
        return super().build_sampler(part, num_samples, batch_size if settings["train"] else num_samples, **settings)

    def fitting_batch_size(self, size: int, world_size: int) -> int:
        """All labelled nodes in a batch, where there are fewer than a batch takes."""
        return size - size % world_size

    def select(self, batch: Data, rows: slice | Tensor) -> Data:
        """The same graph with some of the batch's samples."""
        return with_seeds(batch, batch.seeds[rows])

    def size_of(self, batch: Data) -> int:
        """Number of samples in a batch: of nodes whose target counts."""
        return len(batch.seeds)

    def predict_dataloader(self) -> DataLoader[Any]:
        """All nodes of the graph, or of that of ``predict_nodes``."""
        return self._loader("predict")

    def predicted_rows(self) -> pd.DataFrame:
        """The nodes as they stand in their file, and the part of each."""
        if self.brings("predict"):
            return self._new.written
        parts = np.full(self.graph.num_nodes, "", dtype=object)
        for part, rows in self._rows.items():
            parts[rows.numpy()] = part
        return self.graph.written.assign(part=parts)

    @held(SAME_GRAPH)
    def num_features(self) -> int:
        """Features of a node, F."""
        return self.graph.x.shape[1]

    @property
    def known_by_number(self) -> bool:
        """Whether each node has a column of its own in place of features."""
        return self.graph.featureless

    @held(SAME_GRAPH.partition(",")[0])
    def node_order(self) -> str:
        """What tells nodes apart that are known by their numbers alone, in short; empty where features tell them."""
        return self.graph.order if self.known_by_number else ""

    @view
    def num_neighbors(self) -> list[int]:
        """How many neighbours training draws for each round of messages; none where it sees the whole graph."""
        return list(self.hparams["num_neighbors"])

    @view
    def feature_names(self) -> list[str]:
        """Names of the features of a node, for pictures; none where they have none."""
        return self.source.feature_names() if self.num_features else []

    @held(SAME_GRAPH)
    def num_edge_features(self) -> int:
        """Features of an edge, D; 0 if there are none."""
        return 0 if self.graph.edge_attr is None else self.graph.edge_attr.shape[1]

    @property
    def features(self) -> Any:
        """Features (N, F) of all nodes, as a NumPy array; None where each node has but a column of its own."""
        return None if self.graph.featureless else self.graph.x.numpy()

    @property
    def adjacency(self) -> Any:
        """Which nodes are linked, in whatever direction, as a symmetric SciPy matrix (N, N) of the edges' weights."""
        weight = None if self.graph.edge_weight is None else self.graph.edge_weight.double()
        matrix = to_scipy_sparse_matrix(self.graph.edge_index, weight, self.graph.num_nodes).tocsr()
        return matrix.maximum(matrix.T)
