"""Many graphs of the user's own: tables, molecules, or what PyG has saved."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch_geometric.utils.smiles import x_map

from nnzoo.data.graphs.files import column_names
from nnzoo.data.graphs.graph_set import GraphSet
from nnzoo.data.graphs.graph_set_features import graphs_of
from nnzoo.data.graphs.graph_set_files import GraphTables, read_tables
from nnzoo.data.graphs.graph_set_source import GraphSetSource, Samples, with_degrees
from nnzoo.data.graphs.molecules import check_rdkit, molecule_table, molecules
from nnzoo.data.graphs.saved import load_saved, saved_targets
from nnzoo.errors import InputError


class CSV(GraphSetSource):
    """Files of the user's own, see :func:`nnzoo.data.graphs.graph_set_files.read_tables`."""

    name = "csv"
    uses = (
        "nodes", "edges", "graphs", "graph_id", "target", "ends", "weight", "directed", "task", "drop", "categorical",
        "positions", "cutoff", "predict_nodes", "predict_edges", "predict_graphs",
    )  # fmt: skip

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        near_ones = bool(settings["positions"]) and settings["cutoff"] is not None
        if not (settings["nodes"] and settings["graph_id"] and settings["target"]):
            raise InputError(
                "Graphs of your own need --data.nodes FILE, --data.graph_id COLUMN, which says to which graph a row "
                "belongs, and --data.target COLUMN."
            )
        if bool(settings["edges"]) == near_ones or (settings["cutoff"] is not None and not near_ones):
            raise InputError(
                "Edges of your own graphs are those of --data.edges FILE, or else lie between nodes within "
                "--data.cutoff DISTANCE of each other by --data.positions [X, Y]: give one of both."
            )

    def load(self) -> Samples:
        """The graphs of the files."""
        self.tables, self.fitted = self._tables("", None)
        return Samples(self.tables.target, self.tables.written)

    def _tables(self, prefix: str, fitted: dict[str, Any] | None) -> tuple[GraphTables, dict[str, Any]]:
        paths = {name: self.settings[f"{prefix}{name}"] for name in ("nodes", "edges", "graphs")}
        return read_tables(self.settings, paths, fitted)

    def graphs(self, train: Tensor) -> GraphSet:
        """Standardised numbers, and a column for each category."""
        assert self.fitted is not None
        return graphs_of(self.tables, self.fitted, self.settings, train, "")

    def feature_names(self) -> list[str]:
        """The columns of the nodes' file, and their categories."""
        if self.fitted is None:
            return []
        return column_names(self.fitted["nodes"]) or [f"degree {n}" for n in range(self.fitted.get("degrees", -1) + 1)]

    def load_new(self) -> tuple[GraphSet, pd.DataFrame]:
        """The graphs of ``predict_nodes``, read as the training files were."""
        tables, fitted = self._tables("predict_", self.fitted)
        none = torch.empty(0, dtype=torch.long)
        return graphs_of(tables, fitted, self.settings, none, "predict_"), tables.written


class Molecules(GraphSetSource):
    """Molecules in a CSV file of the user's own, as SMILES: atoms are nodes and bonds are edges."""

    name = "molecules"
    uses = ("molecules", "smiles", "target", "task", "predict_molecules")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if not (settings["molecules"] and settings["target"]):
            raise InputError("Molecules of your own need --data.molecules FILE and --data.target COLUMN.")
        check_rdkit()

    def load(self) -> Samples:
        """The rows of the file."""
        self.table, target, self.fitted = molecule_table(self.settings, "molecules", None)
        return Samples(target, self.table)

    def graphs(self, train: Tensor) -> GraphSet:
        """PyG's features of atoms and bonds, one-hot."""
        return molecules(self.table[self.settings["smiles"]], self.settings["molecules"])

    def feature_names(self) -> list[str]:
        """PyG's properties of atoms with their values."""
        return [f"{name}: {value}" for name, values in x_map.items() for value in values]

    def load_new(self) -> tuple[GraphSet, pd.DataFrame]:
        """The molecules of ``predict_molecules``."""
        table, *_ = molecule_table(self.settings, "predict_molecules", self.fitted)
        return molecules(table[self.settings["smiles"]], self.settings["predict_molecules"]), table


class Saved(GraphSetSource):
    """Graphs that the user has saved with PyG: a list of ``Data``, or an ``InMemoryDataset``."""

    name = "saved"
    uses = ("saved", "task", "predict_saved")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if not settings["saved"]:
            raise InputError("--data.dataset saved needs --data.saved FILE.")

    def load(self) -> Samples:
        """The graphs of the file, by their numbers."""
        self.list = load_saved(self.settings["saved"], "saved")
        self.fitted = {}
        return Samples(saved_targets(self.list, self.settings["saved"]), pd.DataFrame({"graph": range(len(self.list))}))

    def _graphs(self, graphs: list[Any], train: Tensor) -> GraphSet:
        found = GraphSet.of_list(graphs)
        if "x" in found.tensors:
            return found
        fitted = self.fitted if self.fitted is not None else {}
        made = with_degrees(found.sizes, found.edge_index, found.tensors, train, fitted.get("degrees"))
        fitted.setdefault("degrees", made.tensors["x"].shape[1] - 1)
        return made

    def graphs(self, train: Tensor) -> GraphSet:
        """Features as they were saved."""
        return self._graphs(self.list, train)

    def load_new(self) -> tuple[GraphSet, pd.DataFrame]:
        """The graphs of ``predict_saved``."""
        graphs = load_saved(self.settings["predict_saved"], "predict_saved")
        return self._graphs(graphs, torch.empty(0, dtype=torch.long)), pd.DataFrame({"graph": range(len(graphs))})
