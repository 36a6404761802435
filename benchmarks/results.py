"""Measured results: a JSON file for each family or run, and the tables that are generated from these."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import shown

FOLDER = Path(__file__).parent
RESULTS, TABLE = FOLDER / "results", FOLDER / "README.md"
BARE, OWN = "bare loop", "nnzoo"
PACKAGES = ("nnzoo", "torch", "lightning", "torchmetrics", "skorch", "fastai", "pythae", "darts", "transformers")
BEGIN, END = "<!-- table: python -m benchmarks table -->\n", "<!-- end of table -->\n"
HEADER = ("family (batch)", "bare loop, us", "nnzoo, us", "adds, us", "ratio", "peers")


def versions() -> dict[str, str]:
    """Of Python and of those packages that are here."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What the times were taken on."""
    names = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {"processor": names[0] if names else platform.processor(), "cores": os.cpu_count(),
            "threads": torch.get_num_threads(), "versions": versions()}  # fmt: skip


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def write(name: str, result: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Writes a result as a whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path, partial = folder / f"{name}.json", folder / f".{name}.json.part"
    partial.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
    return path


def read(names: Iterable[str], folder: Path = RESULTS) -> dict[str, dict[str, Any]]:
    """The results that are there, by name, in the order of the names."""
    paths = {name: folder / f"{name}.json" for name in names}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.is_file()}


def row(result: Mapping[str, Any]) -> list[str]:
    """A family's cells."""
    contenders = result["contenders"]
    own, bare = contenders[OWN], contenders[BARE]
    peers = {name: found["ratio"]["median"] for name, found in contenders.items() if name not in (BARE, OWN)}
    listed = [f"{name} {ratio:.2f}" for name, ratio in sorted(peers.items(), key=lambda one: -one[1])]
    return [
        f"{result['title']} ({result['batch_size']})",
        *(f"{found['microseconds']['median']:,.0f}" for found in (bare, own)),
        f"{own['overhead']['median']:,.0f}",
        shown(own["ratio"]),
        ", ".join(listed) or "-",
    ]


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (header, ["---"] * len(header), *rows))


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """All families in Markdown."""
    return markdown(HEADER, map(row, results.values()))


def with_table(text: str, shown: str, begin: str = BEGIN) -> str:
    """A document with a table between its two marks, of which the second is the same for all."""
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(END)
    return f"{before}{begin}\n{shown}\n{END}{after}"


def put(shown: str, begin: str = BEGIN) -> None:
    """Puts a table into the file that has them all."""
    TABLE.write_text(with_table(TABLE.read_text(encoding="utf-8"), shown, begin), encoding="utf-8")
