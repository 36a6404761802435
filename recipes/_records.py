"""Recorded numbers: found on disk, written by a command, shown in the listing and in the README."""

import datetime
import importlib
import json
import statistics
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from nnzoo.files import replacing, to_json
from nnzoo.run.configs import RECIPES as FOLDER
from nnzoo.run.configs import packaged_configs, recipe_of, settings_of

BEGIN, END = "<!-- recorded numbers: begin -->", "<!-- recorded numbers: end -->"


@dataclass
class Entry:
    """A recipe, or a variant of one (vae_mnist belongs to vae), with its recorded numbers.

    Attributes:
        name: Stem of its YAML file.
    """

    name: str

    @property
    def recipe(self) -> str:
        """The recipe that runs it."""
        return recipe_of(self.name) or self.name

    @property
    def command(self) -> str:
        """The command that runs it."""
        return f"python -m nnzoo.recipes.{self.recipe}" + ("" if self.name == self.recipe else f" --config {self.name}")

    @property
    def task(self) -> str:
        """What it does: the first comment of its YAML, up to the first colon or full stop."""
        first = (FOLDER / f"{self.name}.yaml").read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
        return first.partition(":")[0].rstrip(".")

    @property
    def data(self) -> str:
        """Name of its data set: of the recorded run, else as set, or that of the recipe's own recorded run."""
        recorded = self.result or {}
        own = recorded.get("dataset") or settings_of(self.name).get("data", {}).get("dataset", "")
        return own or ("" if self.name == self.recipe else Entry(self.recipe).data)

    @cached_property
    def result(self) -> dict[str, Any] | None:
        """The recorded run, if there is one."""
        path = FOLDER / "results" / f"{self.name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @property
    def number(self) -> str:
        """The recorded number as metric, mean, spread and number of seeds."""
        if self.result is None:
            return "not recorded"
        metric = self.result["metric"]
        values = self.result["metrics"][metric]
        spread = f" ± {values['std']:.3g}" if len(values["values"]) > 1 else ""
        return f"{metric.rpartition('/')[2]} {values['mean']:.4g}{spread} (n={len(values['values'])})"

    @property
    def baselines(self) -> str:
        """The baselines' means of the same metric."""
        if self.result is None:
            return ""
        metric = self.result["metric"].rpartition("/")[2]
        found = {name.split("/")[1]: values for name, values in self.result["metrics"].items()
                 if name.startswith("baseline/") and name.endswith(f"/{metric}")}  # fmt: skip
        return ", ".join(f"{name} {values['mean']:.4g}" for name, values in found.items())

    @property
    def time(self) -> str:
        """Minutes per run."""
        return "" if self.result is None else f"{self.result['minutes']:.1f} min"


def entries() -> list[Entry]:
    """All recipes and variants, as found on disk."""
    return [Entry(name) for name in packaged_configs() if recipe_of(name)]


def rows() -> list[list[str]]:
    """The listing as a table, header first."""
    header = ["recipe", "task", "data", "recorded number", "baselines", "time"]
    return [header, *([e.name, e.task, e.data, e.number, e.baselines, e.time] for e in entries())]


def listing() -> str:
    """The table as text, with the commands."""
    widths = [max(map(len, column)) for column in zip(*rows(), strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows()]
    commands = [f"  {entry.command}" for entry in entries()]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", *commands])


def markdown() -> str:
    """The table as Markdown, with the hardware of the recorded runs."""
    header, *body = rows()
    body = [[f"`{name}`", *rest] for name, *rest in body]
    lines = ["| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *body]]
    hardware = sorted({entry.result["hardware"] for entry in entries() if entry.result})
    return "\n".join([*lines, "", f"Mean ± standard deviation over n seeds; measured on {', '.join(hardware)}."])


def update_readme(path: Path) -> None:
    """Replaces what stands between the markers in a file by the table."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    with replacing(path) as temporary:
        temporary.write_text(f"{before}{BEGIN}\n{markdown()}\n{END}{after}", encoding="utf-8")


def record(name: str, metric: str, seeds: list[int], flags: list[str], splits: bool = False) -> Path:
    """Runs a recipe once per seed and writes ``results/NAME.json``.

    Args:
        name: Recipe or variant.
        metric: The number to quote.
        seeds: Seeds of the runs.
        flags: Further flags of the recipe, kept in the record.
        splits: Whether each seed draws a split of its own (``--data.split_seed``); all runs have the recipe's if not.

    Returns:
        Path of the record.
    """
    entry = Entry(name)
    recipe = importlib.import_module(f"nnzoo.recipes.{entry.recipe}")
    runs = []
    for seed in seeds:
        root = Path("runs", "recorded", name, f"seed-{seed}")
        own = ["--seed_everything", str(seed), *(["--data.split_seed", str(seed)] if splits else [])]
        recipe.main(["--config", name, *own, "--trainer.default_root_dir", str(root), *flags])
        newest = max(root.rglob("result.json"), key=lambda path: path.stat().st_mtime)
        runs.append(json.loads(newest.read_text(encoding="utf-8")))
    names = [key for key in runs[0]["metrics"] if key.startswith(("test/", "baseline/"))]
    values = {key: [run["metrics"].get(key) for run in runs] for key in names}
    values = {key: v for key, v in values.items() if None not in v}  # null: it was not a number
    result = {
        "command": entry.command,
        "flags": flags,
        "splits": "one for each seed" if splits else "the same for all seeds",
        "dataset": runs[0]["hyperparameters"]["data"].get("dataset"),
        "metric": metric,
        "seeds": seeds,
        "metrics": {
            key: {"mean": statistics.fmean(v), "std": statistics.stdev(v) if len(v) > 1 else 0.0, "values": v}
            for key, v in values.items()
        },
        "minutes": round(statistics.fmean(run["fit_seconds"] + run["test_seconds"] for run in runs) / 60, 2),
        "peak_memory_mib": max(run["peak_memory_mib"] for run in runs),
        "parameters": runs[0]["parameters"],
        "trained_parameters": runs[0]["trained_parameters"],
        "hardware": runs[0]["devices"],
        "precision": runs[0]["precision"],
        "versions": runs[0]["versions"],
        "commit": runs[0]["commit"],
        "date": f"{datetime.date.today():%Y-%m-%d}",
    }
    path = FOLDER / "results" / f"{name}.json"
    with replacing(path) as temporary:
        temporary.write_text(to_json(result), encoding="utf-8")
    return path
