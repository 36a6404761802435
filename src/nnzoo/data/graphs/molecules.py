"""Molecules out of SMILES, where rdkit is installed."""

import importlib.util
from collections.abc import Mapping
from typing import Any

import pandas as pd
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor
from torch.nn.functional import one_hot
from torch_geometric.data import Data
from torch_geometric.utils import from_rdmol
from torch_geometric.utils.smiles import e_map, x_map

from nnzoo.data.columns import read_columns
from nnzoo.data.csv_file import check_columns, line_of, read_csv
from nnzoo.data.graphs.files import Fitted, fit_formats, formats_in
from nnzoo.data.graphs.graph_set import GraphSet
from nnzoo.errors import InputError


def check_rdkit() -> None:
    """Raises InputError if rdkit is not installed."""
    if importlib.util.find_spec("rdkit") is None:
        raise InputError('SMILES are read by rdkit, which is not installed: pip install "nnzoo[molecules]".')


def molecule_table(
    settings: Mapping[str, Any], option: str, fitted: Fitted | None
) -> tuple[pd.DataFrame, "pd.Series[Any]", Fitted]:
    """The rows of a file of molecules as they are written, their target, and how it is read.

    Args:
        settings: Of the datamodule.
        option: Which names the file.
        fitted: What the training file fixed; None for this itself.
    """
    path, name, smiles = settings[option], settings["target"], settings["smiles"]
    table = read_csv(path, option)
    check_columns(table, [smiles], "--data.smiles", path)
    if fitted is None:
        check_columns(table, [name], "--data.target", path)
        fitted = {"target": fit_formats(table[[name]], path, {**settings, "categorical": []})}
    if name in table:
        target = read_columns(table[[name]], formats_in(fitted["target"]), path)[name]
    else:
        target = pd.Series(float("nan"), table.index, name=name)
    return table, target, fitted


def molecules(smiles: "pd.Series[str]", path: str) -> GraphSet:
    """A graph for each SMILES, without hydrogens, with PyG's features of atoms and bonds one-hot.

    Raises:
        InputError: If one is no molecule, naming its line: PyG would make an empty graph of it.
    """
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")  # type: ignore[attr-defined]
    found = [Chem.MolFromSmiles(text) for text in smiles]
    wrong = pd.Series([one is None or not one.GetNumAtoms() for one in found], smiles.index)
    if wrong.any():
        raise InputError(
            f"{path}, line {line_of(wrong)}: {smiles[wrong].iloc[0]!r} is no molecule in SMILES ({int(wrong.sum())} "
            "such rows): repair or remove it."
        )
    again = pd.Series([Chem.MolToSmiles(one) for one in found]).duplicated()
    if again.any():
        rank_zero_warn(
            f"{path}: {int(again.sum())} rows are molecules of other rows, and may be tested on after training on "
            "those: remove what stands there twice."
        )
    return GraphSet.of_list([featured(from_rdmol(one)) for one in found])


def featured(molecule: Data) -> Data:
    """PyG's numbers of atoms and bonds as columns of zeros and ones."""
    x, edge_attr = coded(molecule.x, x_map), coded(molecule.edge_attr, e_map)
    return Data(x=x, edge_index=molecule.edge_index, edge_attr=edge_attr)


def coded(numbers: Tensor, known: Mapping[str, list[Any]]) -> Tensor:
    """Each column (N, F) one-hot over the values that it may have."""
    columns = [one_hot(column, len(values)) for column, values in zip(numbers.T, known.values(), strict=True)]
    return torch.cat(columns, dim=1).float()
