"""The README's tables of models that draw hold the recorded numbers."""

import importlib
import json
from pathlib import Path

import pytest
from nnzoo.recipes._records import FOLDER

from support.tables import cells_below

ROOT = Path(__file__).parent.parent


@pytest.fixture
def benchmark(monkeypatch):
    """A benchmark by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def test_the_readmes_table_of_models_that_draw_digits_is_that_of_the_records(benchmark):
    shown = cells_below((ROOT / "README.md").read_text(encoding="utf-8"), "model")
    assert {name: cells[:-1] for name, cells in shown.items()} == benchmark("generative_models").recorded()
    drawn = {name: cells[-1] for name, cells in shown.items() if name != "Training images"}
    assert all(float(milliseconds) > 0 for milliseconds in drawn.values())


def test_the_readmes_table_of_mode_collapse_is_that_of_the_records(benchmark):
    shown = cells_below((ROOT / "README.md").read_text(encoding="utf-8"), "25 Gaussians")
    for name, config in benchmark("mode_collapse").CONFIGS.items():
        record = json.loads((FOLDER / "results" / f"{config}.json").read_text(encoding="utf-8"))
        modes, share = (record["metrics"][f"test/{key}"] for key in ("modes_found", "high_quality"))
        assert len(modes["values"]) == 5
        fewest, most = (f"{limit(modes['values']):.0f}" for limit in (min, max))
        assert shown[name] == [fewest if fewest == most else f"{fewest} to {most}", f"{share['mean']:.3f}"]
