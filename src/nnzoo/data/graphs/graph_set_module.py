"""Many graphs that are classified or regressed: digits as pixel graphs, molecules, or your own files."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor
from torch.utils.data import DataLoader
from torch_geometric.data import Batch

from nnzoo.data.csv_file import check_file
from nnzoo.data.facts import held, view
from nnzoo.data.graphs.encodings import add_encodings
from nnzoo.data.graphs.graph_set import GraphSet, GraphSetDataset
from nnzoo.data.graphs.graph_set_source import GraphSetSource
from nnzoo.data.graphs.graph_set_sources import SOURCES
from nnzoo.data.graphs.targets import TargetDataModule
from nnzoo.data.room import SplitDataModule
from nnzoo.data.sources import options_of
from nnzoo.data.splits import PARTS, warn_of_rare_classes
from nnzoo.errors import InputError

if TYPE_CHECKING:
    GraphSetName = str
else:
    GraphSetName = Literal[tuple(SOURCES)]

FILES = ("nodes", "edges", "graphs", "molecules", "saved")
SAME_GRAPHS = "use the data it was trained on, and give other graphs as --data.predict_nodes, predict_edges and so on"


class GraphSetDataModule(SplitDataModule, TargetDataModule):
    """Many graphs, each of which is a sample with one target.

    A batch is a ``torch_geometric.data.Batch`` as PyG's own loader makes it: the nodes of all its graphs one after the
    other with features ``x``, ``edge_index``, ``batch`` (the graph of each node), ``ptr``, targets ``y`` (B,), and
    where there are any ``edge_attr``, ``edge_weight`` and ``pos``. Numbers are standardised by the nodes and edges of
    the training graphs. Graphs without a target are in no part; ``predict`` predicts all.

    Args:
        dataset: digits (scikit-learn's 1,797, a node for each of 8x8 pixels) | triangles (random graphs, whose
            triangles are to be counted) | mutag, ptc, proteins, nci1, imdb_binary (TUDataset) | csv, which giving
            ``nodes`` implies | molecules | saved.
        nodes: Your file of nodes: the column ``graph_id``, then ids, which may stand again in other graphs, and others
            as features. Rows may be in any order.
        edges: Your file of edges: ``graph_id``, two columns of ids, and others as features. ``graph_id`` may be absent
            where no id stands in two graphs.
        graphs: Your file of graphs: ``graph_id`` and the target. Without it the target is a column of ``nodes`` with
            the same value in each row of a graph. Other columns are no features.
        graph_id: The column of these files that says which graph a row belongs to.
        target: The column to predict; where it is empty, nothing is known of the graph.
        ends: The two columns of ids in ``edges``; the first two if not given.
        weight: A column of ``edges`` with weights of 0 or more, which is then no feature.
        directed: Whether an edge passes messages from its first end to its second only.
        positions: Columns of ``nodes`` that are coordinates, such as [x, y, z]: no features, so that it does not
            matter where a graph lies and how it is turned.
        cutoff: In place of ``edges``, link nodes that are not farther from each other by ``positions``; the distance
            is a feature of the edge. Of digits: between pixels, 1.5 if not given.
        molecules: Your file of molecules, a row for each; it needs rdkit.
        smiles: Its column of SMILES.
        saved: Your graphs as a list of ``torch_geometric.data.Data`` by ``torch.save``, or an ``InMemoryDataset``;
            features are taken as they are, and ``y`` is the target.
        predict_nodes: The nodes of other graphs, with the same columns, which ``predict`` predicts.
        predict_edges: Their edges.
        predict_graphs: Their graphs; the target may be absent.
        predict_molecules: Other molecules.
        predict_saved: Other graphs.
        task: auto | classification | regression, see :func:`nnzoo.data.tables.target.task_of`.
        categorical: Columns to treat as categories; texts always are.
        drop: Columns to leave out.
        walk_steps: Add to each node the chances to be back after 1, 2, ... so many steps of a random walk.
        eigenvectors: Add to each node its entries in so many eigenvectors of the graph's Laplacian.
        root: Folder of TUDataset's sets (default: $NNZOO_DATA, else ~/.cache/nnzoo).
        shared: What :class:`nnzoo.data.room.SplitDataModule` takes.

    Raises:
        InputError: If a value is out of range, or the data cannot be found or used.
    """

    sources: ClassVar[Mapping[str, type[GraphSetSource]]] = SOURCES
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = options_of(SOURCES)
    sample = "graph"

    def __init__(
        self,
        *,
        dataset: GraphSetName = "digits",
        nodes: str | None = None,
        edges: str | None = None,
        graphs: str | None = None,
        graph_id: str | None = None,
        target: str | None = None,
        ends: Sequence[str] = (),
        weight: str | None = None,
        directed: bool = False,
        positions: Sequence[str] = (),
        cutoff: float | None = None,
        molecules: str | None = None,
        smiles: str = "smiles",
        saved: str | None = None,
        predict_nodes: str | None = None,
        predict_edges: str | None = None,
        predict_graphs: str | None = None,
        predict_molecules: str | None = None,
        predict_saved: str | None = None,
        task: Literal["auto", "classification", "regression"] = "auto",
        categorical: Sequence[str] = (),
        drop: Sequence[str] = (),
        walk_steps: int = 0,
        eigenvectors: int = 0,
        root: str | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        hparams = self.hparams
        new = [f"predict_{name}" for name in FILES]
        for option in new if self.brings("predict") else FILES:
            check_file(hparams[option], option)  # with a trained model those to train on need not be there
        if hparams["cutoff"] is not None and not 0 < hparams["cutoff"] < np.inf:
            raise InputError(f"The cut-off is a distance above 0, got {hparams['cutoff']}: set --data.cutoff.")
        for option in ("walk_steps", "eigenvectors"):
            if hparams[option] < 0:
                raise InputError(f"{option} is a number of 0 or more, got {hparams[option]}: set --data.{option}.")
        if hparams["predict_nodes"] and bool(hparams["edges"]) != bool(hparams["predict_edges"]):
            raise InputError(
                "Other graphs are given as those to train on are, by --data.predict_nodes and predict_edges."
            )
        for option in ("predict_edges", "predict_graphs"):
            if hparams[option] and not hparams["predict_nodes"]:
                raise InputError(f"--data.{option} needs --data.predict_nodes, the nodes of the same graphs.")

    def split_settings(self) -> dict[str, Any]:
        """What :func:`nnzoo.data.splits.split_parts` takes besides the samples."""
        return SplitDataModule.split_settings(self)

    @cached_property
    def _samples(self) -> Any:
        return self.source.load()

    @property
    def target(self) -> "pd.Series[Any]":
        """What is known of each graph."""
        return self._samples.target

    @property
    def official(self) -> Sequence[str]:
        """Of graphs none comes with a part."""
        return ["train"] * len(self.target)

    @cached_property
    def graph(self) -> GraphSet:
        """All graphs."""
        return self._encoded(self.source.graphs(self._rows["train"]))

    def _encoded(self, graphs: GraphSet) -> GraphSet:
        add_encodings(graphs, self.hparams["walk_steps"], self.hparams["eigenvectors"])
        return graphs

    def fitted_state(self) -> dict[str, Any]:
        """How columns of other graphs are read and become numbers."""
        _ = None if self.fitted is not None else self.graph  # whose statistics are among it
        return {"files": self.source.fitted}

    def brings(self, stage: str) -> bool:
        """Whether the settings name other graphs to predict."""
        return stage == "predict" and any(self.hparams[f"predict_{name}"] for name in FILES)

    def restore(self, state_dict: dict[str, Any]) -> None:
        """Takes facts and formats from a checkpoint, so that no training data need to be read."""
        super().restore(state_dict)
        self.source.fitted = state_dict["fitted"]["files"]

    @cached_property
    def _new(self) -> tuple[GraphSet, pd.DataFrame]:
        """The graphs to predict that are not those of the training files, and how they are written."""
        if not self.uses_fitted("predict"):
            _ = self.graph  # by whose columns others are read
        graphs, written = self.source.load_new()
        features = (graphs.tensors["x"].shape[1], edge_features(graphs))
        if features != (self.num_features, self.num_edge_features):
            raise InputError(
                f"The graphs to predict have {features[0]} features of a node and {features[1]} of an edge, the model "
                f"was trained on {self.num_features} and {self.num_edge_features}: give the same ones."
            )
        return self._encoded(graphs), written

    def setup(self, stage: str | None = None) -> None:
        """Splits the graphs; a second call changes nothing."""
        if self.is_set_up(stage):
            return
        if self.brings("predict") and (stage == "predict" or not self.uses_fitted(stage)):
            graphs = self._new[0]
            unknown = torch.full((len(graphs),), 0 if self.num_classes else 0.0)
            self.parts["predict"] = GraphSetDataset(graphs, torch.arange(len(graphs)), unknown)
        if self.uses_fitted(stage):
            return
        if self.task == "classification":
            known = self._targets[torch.from_numpy(self._known)]
            warn_of_rare_classes(known, self.classes, self.hparams["folds"], self.hparams["fold"])
        for part in PARTS:
            self.parts[part] = GraphSetDataset(self.graph, self._rows[part], self._targets)
        if "predict" not in self.parts:
            self.parts["predict"] = GraphSetDataset(self.graph, torch.arange(len(self.graph)), self._targets)
        counts = ", ".join(f"{len(rows)} {part}" for part, rows in self._rows.items())
        name = next((self.hparams[option] for option in FILES if self.hparams[option]), self.dataset)
        sizes = f"{int(self.graph.sizes.sum()):,} nodes, {self.graph.edge_index.shape[1]:,} directed edges"
        rank_zero_info(
            f"{name} ({self.task}): {counts} of {len(self.graph):,} graphs, {sizes}, {self.num_features} features of a "
            f"node and {self.num_edge_features} of an edge"
        )

    def select(self, batch: Batch, rows: slice | Tensor) -> Batch:
        """Some of the batch's graphs."""
        numbers = torch.arange(batch.num_graphs)[rows]
        return GraphSet.of_batch(batch).batch(numbers, batch.y[numbers])

    def size_of(self, batch: Batch) -> int:
        """Number of graphs."""
        return batch.num_graphs

    def predict_dataloader(self) -> DataLoader[Any]:
        """All graphs, or the other ones to predict."""
        return self._loader("predict")

    def predicted_rows(self) -> pd.DataFrame:
        """The graphs as they stand in their file, and the part of each."""
        if self.brings("predict"):
            return self._new[1]
        parts = np.full(len(self.target), "", dtype=object)
        for part, rows in self._rows.items():
            parts[rows.numpy()] = part
        return self._samples.written.assign(part=parts)

    @held(SAME_GRAPHS)
    def num_features(self) -> int:
        """Features of a node, F."""
        return self.graph.tensors["x"].shape[1]

    @view
    def feature_names(self) -> list[str]:
        """Names of the features of a node, for pictures; none where they have none."""
        return self.source.feature_names() if self.num_features else []

    @held(SAME_GRAPHS)
    def num_edge_features(self) -> int:
        """Features of an edge, D; 0 if there are none."""
        return edge_features(self.graph)

    @held("set --data.walk_steps to match")
    def num_walks(self) -> int:
        """Random-walk encodings of a node."""
        return self.hparams["walk_steps"]

    @held("set --data.eigenvectors to match")
    def num_eigenvectors(self) -> int:
        """Laplacian encodings of a node."""
        return self.hparams["eigenvectors"]


def edge_features(graphs: GraphSet) -> int:
    """Features of an edge; 0 if there are none."""
    return 0 if graphs.edge_attr is None else graphs.edge_attr.shape[1]
