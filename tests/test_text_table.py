"""The README's tables of fine-tuning hold the recorded numbers."""

import importlib
from pathlib import Path

import pytest

from support.tables import cells_below

ROOT = Path(__file__).parent.parent


@pytest.fixture
def benchmark(monkeypatch):
    """The benchmark that prints them."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("text_models")


@pytest.mark.parametrize("title", ["area of a docstring", "SST-2, MiniLM"])
def test_the_readmes_tables_of_fine_tuning_are_those_of_the_records(benchmark, title):
    shown = cells_below((ROOT / "README.md").read_text(encoding="utf-8"), title)
    assert shown == benchmark.rows(benchmark.TABLES[title])


def test_pretraining_and_fine_tuning_beat_what_does_without(benchmark):
    """What README says of the packaged encoder: above random weights and above counted words, in the mean."""
    rows = benchmark.rows(benchmark.TABLES["area of a docstring"])
    accuracy = {name: float(cells[0].split()[0]) for name, cells in rows.items()}
    assert accuracy["All weights"] > max(accuracy["From random weights"], accuracy[benchmark.BASELINE_NAME])
