"""One graph whose links are the samples: some are hidden, and told from pairs of nodes that are not linked."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import LocalDegreeProfile
from torch_geometric.utils import to_scipy_sparse_matrix

from nnzoo.data.csv_file import check_file, line_of
from nnzoo.data.facts import fact, held, view
from nnzoo.data.graphs.dataset import as_data
from nnzoo.data.graphs.edge_files import edge_columns, edges_between, read_edge_table
from nnzoo.data.graphs.graph import Graph
from nnzoo.data.graphs.links import LinkDataset, LinkSplit, StartDataset, adjacency_ones, among, split_links
from nnzoo.data.graphs.module import SAME_GRAPH, GraphDataModule
from nnzoo.data.graphs.saved_nodes import Saved
from nnzoo.data.graphs.sources import CSV, SOURCES, GraphSource
from nnzoo.data.sources import options_of
from nnzoo.data.splits import PARTS
from nnzoo.data.tables.target import Task, class_numbers
from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.sparse_features import identity


class LinkCSV(CSV):
    """A file of edges, and if there is one of nodes, whose target need not be named."""

    def check_files(self) -> None:
        """Raises InputError if the target stands in no file."""
        if self.settings["target"] and not self.settings["nodes"]:
            raise InputError("--data.target is a column of the nodes: set --data.nodes FILE, or leave it out.")


class LinkSaved(Saved):
    """A saved graph, whose nodes need no target; ``directed`` says what a link is, edges stay as they are."""

    uses = ("saved", "task", "directed", "labels_per_class")
    needs_target = False


LINK_SOURCES: Mapping[str, type[GraphSource]] = {**SOURCES, "csv": LinkCSV, "saved": LinkSaved}


class LinkDataModule(GraphDataModule):
    """One graph, whose linked pairs of nodes are the samples.

    Pairs are split, not edges: whatever edges there are between two nodes, in whatever direction, are in one part, and
    those of validation and test pass no messages. Both parts have as many pairs that no edge of any part links, in
    either direction: one fixed set. So the reverse of a link is never among them: areas under curves of a directed
    graph say how well linked pairs are told from others, not how well directions are.

    A batch is a ``torch_geometric.data.Data`` of the training graph (``x``, ``edge_index``, ``edge_attr``,
    ``edge_weight``) with ``pairs`` (2, B) and ``unlinked`` (2, B), or ``starts`` (B,), see ``negatives``; ``y`` holds
    the class of each node, -1 where none is known, and ``labelled`` which of them the part knows. ``predict``
    knows all edges: it scores the pairs of ``predict_pairs``, or looks for missing links.

    Args:
        node_features: own (a column for each node where the graph has none) | identity (a column for each node: the
            graph alone) | degree (of the node and its neighbours, PyG's LocalDegreeProfile, arXiv:1811.03508, in the
            training graph).
        negatives: What training tells links from: sampled (a pair without a training edge for each, others in every
            step) | all (every other pair: samples are nodes, each with its pairs with all nodes).
        predict_pairs: A file whose first two columns, or those of ``ends``, are ids: ``predict`` scores these pairs.
        num_links: Without it, ``predict`` lists so many pairs that are not linked, those with the highest scores.
        shared: What :class:`nnzoo.data.graphs.module.GraphDataModule` takes; ``nodes`` and ``target`` may be missing.

    Raises:
        InputError: If a value is out of range, or the data cannot be found or used.
    """

    sources: ClassVar[Mapping[str, type[GraphSource]]] = LINK_SOURCES
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[str]]]] = {
        **options_of(LINK_SOURCES),
        "test_fraction": ("dataset", list(LINK_SOURCES)),  # of links, which no data set splits itself
    }
    target_mean = target_std = target_offset = None  # type: ignore[assignment]  # of nodes: links have no numbers

    def __init__(
        self,
        *,
        node_features: Literal["own", "identity", "degree"] = "own",
        negatives: Literal["sampled", "all"] = "sampled",
        predict_pairs: str | None = None,
        num_links: int = 100,
        **shared: Any,
    ) -> None:
        super().__init__(num_neighbors=(), predict_edges=None, predict_nodes=None, predict_saved=None, **shared)

    def check_settings(self) -> None:
        """Raises InputError if a setting cannot be used."""
        super().check_settings()
        check_sizes(num_links=self.hparams["num_links"])
        check_file(self.hparams["predict_pairs"], "predict_pairs")

    @fact
    def task(self) -> Task:
        """What the nodes' target would be; regression where there is none, as there are no classes then."""
        return GraphDataModule.task.func(self) if len(self._known) else "regression"

    @held("use data with the same classes")
    def classes(self) -> list[str]:
        """Names of the nodes' classes; empty where none are known."""
        return GraphDataModule.classes.func(self) if len(self._known) else []

    @held("use a graph of the same kind: see --data.directed")
    def directed(self) -> bool:
        """Whether (a, b) and (b, a) are different links."""
        return self.hparams["directed"]

    @property
    def known_by_number(self) -> bool:
        """Whether each node has a column of its own in place of features."""
        return self._inputs.layout == torch.sparse_csr

    @view
    def node_ids(self) -> list[str]:
        """The id of each node, as its file has it."""
        return self.graph.ids

    @view
    def hidden_links(self) -> Tensor:
        """The links of validation and test (2, P)."""
        return torch.cat([self.links.links[part] for part in ("val", "test")], dim=1)

    @held(SAME_GRAPH.partition(",")[0])
    def num_features(self) -> int:
        """Features of a node, F."""
        return self._inputs.shape[1]

    @cached_property
    def links(self) -> LinkSplit:
        """The links of each part."""
        fractions = {name: self.hparams[name] for name in ("val_fraction", "test_fraction")}
        settings = {"seed": self.hparams["split_seed"], "directed": self.directed, **fractions}
        return split_links(self.graph.edge_index, self.graph.num_nodes, **settings)

    @cached_property
    def _inputs(self) -> Tensor:
        """Features (N, F) of the nodes, a column for each as a sparse tensor."""
        kind, nodes = self.hparams["node_features"], self.graph.num_nodes
        if kind == "own":
            return self.graph.x
        if kind == "identity":
            return identity(nodes)
        edges = self.graph.edge_index[:, self.links.edges]  # those of hidden links would give them away
        profile: Any = LocalDegreeProfile()(Data(edge_index=edges, num_nodes=nodes)).x
        return profile.log1p()

    @cached_property
    def node_labels(self) -> Tensor:
        """Class numbers (N,), -1 where none is known: of nodes that are in no part too."""
        labels = torch.full((self.graph.num_nodes,), -1)
        if self.num_classes:
            known = self.graph.target.notna().to_numpy()
            numbers = class_numbers(self.graph.target[known], self.classes, self.hparams["nodes"])
            labels[torch.tensor(known)] = numbers
        return labels

    def _labelled(self, part: str) -> Tensor:
        """The nodes whose class a part knows, as booleans (N,)."""
        chosen = torch.zeros(self.graph.num_nodes, dtype=torch.bool)
        if self.num_classes:
            chosen[self._rows[part]] = True
        return chosen

    def _data_of(self, edges: Tensor | slice, part: str) -> Data:
        """The graph with some of its edges, as batches have it."""
        whole = self.graph
        attr, weight = (None if values is None else values[edges] for values in (whole.edge_attr, whole.edge_weight))
        seen = Graph(self._inputs, whole.edge_index[:, edges], whole.target, whole.official, attr, weight)
        data = as_data(seen, self.node_labels)
        data.labelled = self._labelled(part)
        return data

    @cached_property
    def _pairs(self) -> tuple[pd.DataFrame, Tensor]:
        """The rows of ``predict_pairs``, and the numbers of their nodes (2, P)."""
        path = self.hparams["predict_pairs"]
        table = read_edge_table(path, "predict_pairs", self.hparams["ends"])
        ends, ids = edge_columns(table, self.hparams["ends"], path), pd.Series(self.node_ids)
        pairs = edges_between(table, ends, ids, path, self.hparams["nodes"] or self.hparams["edges"] or self.dataset)
        alone = pd.Series((pairs[0] == pairs[1]).numpy(), table.index)
        if alone.any():
            raise InputError(
                f"{path}, line {line_of(alone)}: both ids are {table[ends[0]][alone].iloc[0]}, and a node with itself "
                "is no link: remove the row."
            )
        return table.reset_index(drop=True), pairs

    def setup(self, stage: str | None = None) -> None:
        """Splits the links; a second call changes nothing."""
        if self.is_set_up(stage):
            return
        split, nodes = self.links, self.graph.num_nodes
        train = self._data_of(split.edges, "train")
        if self.hparams["negatives"] == "all":
            train.ones = adjacency_ones(train.edge_index, nodes)
            self.parts["train"] = StartDataset(train, nodes)
        else:
            self.parts["train"] = LinkDataset(train, split.links["train"], split.free)
        for part, unlinked in split.unlinked.items():
            seen = train.__copy__()
            seen.labelled = self._labelled(part)
            self.parts[part] = LinkDataset(seen, split.links[part], unlinked)
        whole = self._data_of(slice(None), "test")
        if self.hparams["predict_pairs"]:
            self.parts["predict"] = LinkDataset(whole, self._pairs[1], None)
        else:
            whole.num_links = self.hparams["num_links"]
            self.parts["predict"] = StartDataset(whole, nodes)
        counts = ", ".join(f"{split.links[part].shape[1]:,} {part}" for part in PARTS)
        rank_zero_info(
            f"{self.hparams['edges'] or self.dataset}: {counts} {'directed ' if self.directed else ''}links of "
            f"{nodes:,} nodes, {self.num_features:,} features of a node"
        )

    def select(self, batch: Data, rows: slice | Tensor) -> Data:
        """The same graph with some of the batch's samples."""
        chosen = batch.__copy__()
        for name in ("pairs", "unlinked", "starts"):
            if name in batch:
                chosen[name] = batch[name][..., rows]
        return chosen

    def size_of(self, batch: Data) -> int:
        """Number of linked pairs in a batch, or of nodes."""
        return batch.pairs.shape[1] if "pairs" in batch else len(batch.starts)

    def predicted_rows(self) -> pd.DataFrame:
        """The pairs as they stand in their file with the part that knows each; nothing of links that are looked for."""
        if not self.hparams["predict_pairs"]:
            return pd.DataFrame(index=range(self.hparams["num_links"]))
        table, pairs = self._pairs
        if not self.directed:
            pairs = pairs.sort(dim=0).values
        nodes = self.graph.num_nodes
        parts = np.full(len(table), "", dtype=object)
        for part, links in self.links.links.items():
            known = (links[0] * nodes + links[1]).sort().values
            parts[among(pairs[0] * nodes + pairs[1], known).numpy()] = part
        return table.assign(**{"known link" if "part" in table else "part": parts})

    @property
    def training_adjacency(self) -> Any:
        """Which nodes a training edge links, in whatever direction, as a symmetric SciPy matrix (N, N) of 0 and 1."""
        pairs = self.links.links["train"]
        matrix = to_scipy_sparse_matrix(torch.cat([pairs, pairs.flip(0)], dim=1), None, self.graph.num_nodes).tocsr()
        matrix.data[:] = 1
        return matrix

    @property
    def own_features(self) -> Any:
        """Features (N, F) of the nodes as a NumPy array; None where the graph has none or they are not used."""
        used = self.hparams["node_features"] == "own" and not self.graph.featureless
        return self.graph.x.numpy() if used else None
