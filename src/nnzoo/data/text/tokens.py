"""Texts as tokens: made once, kept on disk, and fetched by whole batches."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import h5py
import numpy as np
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from nnzoo.data.base import cache_root
from nnzoo.files import replacing

T = TypeVar("T")
VERSION = 1
"""Of what is kept; another one is made anew."""
AT_ONCE = 1000
"""Texts that are tokenised together: enough for all cores, and little memory."""
BAR_AFTER = 2.0
"""Seconds after which a progress bar appears."""
KINDS = {"input_ids": np.int32, "token_type_ids": np.uint8, "word_starts": np.uint8}
"""What there may be of each token."""


class Chunk(NamedTuple):
    """Some texts as tokens.

    Attributes:
        columns: Of all their tokens, one text after the other: ``input_ids`` and what else there is.
        lengths: Tokens of each text.
        counts: What is counted, such as how many texts were cut.
        notes: A number of each text, such as the tokens of its prompt.
    """

    columns: Mapping[str, Sequence[int]]
    lengths: Sequence[int]
    counts: Mapping[str, int] = {}
    notes: Sequence[int] = ()


class TokenTable(NamedTuple):
    """Texts as tokens, one after the other.

    Attributes:
        columns: ``input_ids`` (M,) int32, and what else there is of each token.
        starts: Where each text begins (N,).
        lengths: Tokens of each text (N,).
        counts: What was counted, such as how many texts were cut.
        notes: A number of each text (N,), or empty.
    """

    columns: dict[str, Tensor]
    starts: Tensor
    lengths: Tensor
    counts: dict[str, int]
    notes: Tensor

    def batch(self, starts: Tensor, lengths: Tensor, fills: Mapping[str, int]) -> dict[str, Tensor]:
        """Stretches of tokens (B,) as a batch (B, T), int64, padded on the right to the longest.

        Args:
            starts: Where each begins.
            lengths: Tokens of each.
            fills: What stands for padding in each column; 0 if not given.
        """
        positions = torch.arange(int(lengths.max()))
        inside = positions < lengths[:, None]
        places = (starts[:, None] + positions).where(inside, 0)
        taken = {name: values[places].long().where(inside, fills.get(name, 0)) for name, values in self.columns.items()}
        return {**taken, "attention_mask": inside.long()}


def cached_tokens(
    key: Sequence[Any], samples: Iterable[T], encode: Callable[[list[T]], Chunk], total: int | None
) -> TokenTable:
    """Samples as tokens: from the disk if they are there, otherwise made chunk by chunk and kept there.

    Args:
        key: All that the tokens depend on.
        samples: Texts, or what else is encoded.
        encode: Makes tokens of some samples.
        total: Number of samples, for the progress bar; None if it is not known.
    """
    name = hashlib.sha256(repr((VERSION, *key)).encode("utf-8", "surrogatepass")).hexdigest()[:32]
    path = cache_root() / "tokens" / f"{name}.h5"
    table = read_tokens(path)
    if table is not None:
        return table
    if path.exists():
        rank_zero_warn(f"The cache {path} is damaged: making the tokens again.")
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        _write(file, _chunks(samples, encode, total))
    table = read_tokens(path)
    if table is None:
        raise OSError(5, "cannot be read back", str(path))
    return table


def _chunks(samples: Iterable[T], encode: Callable[[list[T]], Chunk], total: int | None) -> Iterator[Chunk]:
    rest = iter(samples)
    with tqdm(desc="tokenising", total=total, unit=" texts", leave=False, delay=BAR_AFTER) as bar:
        while chunk := list(islice(rest, AT_ONCE)):
            yield encode(chunk)
            bar.update(len(chunk))


def _write(file: h5py.File, chunks: Iterable[Chunk]) -> None:
    counts: dict[str, int] = {}
    for chunk in chunks:
        for name, values in chunk.columns.items():
            _append(file, name, np.asarray(values, KINDS[name]))
        _append(file, "lengths", np.asarray(chunk.lengths, np.int64))
        _append(file, "notes", np.asarray(chunk.notes, np.int64))
        for name, count in chunk.counts.items():
            counts[name] = counts.get(name, 0) + count
    file["counts"] = json.dumps(counts)


def _append(file: h5py.File, name: str, values: NDArray[Any]) -> None:
    """Writes behind what is there, with checksums."""
    if name not in file:
        file.create_dataset(name, (0,), values.dtype, maxshape=(None,), chunks=(2**16,), fletcher32=True)
    data = file[name]
    before = len(data)
    data.resize(before + len(values), axis=0)
    data[before:] = values


def read_tokens(path: Path) -> TokenTable | None:
    """The tokens in a cache, in memory; None if there is none, or it is damaged."""
    if not path.is_file():
        return None
    try:
        with h5py.File(path, "r") as file:
            counts, lengths = json.loads(file["counts"][()]), torch.from_numpy(file["lengths"][:])
            columns = {name: torch.from_numpy(file[name][:]) for name in KINDS if name in file}
            notes = torch.from_numpy(file["notes"][:])
    except (OSError, KeyError, ValueError, TypeError, RuntimeError):  # h5py's words for files that are cut or scrambled
        return None
    if "input_ids" not in columns or any(len(values) != int(lengths.sum()) for values in columns.values()):
        return None
    return TokenTable(columns, lengths.cumsum(0) - lengths, lengths, counts, notes)


def table_of(chunk: Chunk) -> TokenTable:
    """A chunk as a table, without a cache."""
    columns = {name: torch.from_numpy(np.asarray(values, KINDS[name])) for name, values in chunk.columns.items()}
    lengths = torch.tensor(list(chunk.lengths), dtype=torch.int64)
    notes = torch.tensor(list(chunk.notes), dtype=torch.int64)
    return TokenTable(columns, lengths.cumsum(0) - lengths, lengths, dict(chunk.counts), notes)


def digest(texts: Iterable[Sequence[str]]) -> str:
    """Hash of texts, or of pairs of them, in their order."""
    found = hashlib.sha256()
    for parts in texts:
        for part in parts:
            data = part.encode("utf-8", "surrogatepass")
            found.update(len(data).to_bytes(8, "little") + data)
        found.update(b";")
    return found.hexdigest()
