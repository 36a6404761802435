"""Recorded numbers are those of the runs."""

import json
import statistics
from pathlib import Path

import pytest
from nnzoo.recipes import _records, mlp, wgan_gp

pytestmark = pytest.mark.filterwarnings("ignore:.*")
RESULTS = {
    3: {"accuracy": 0.9, "fit_seconds": 50.0, "test_seconds": 10.0, "peak_memory_mib": 300},
    4: {"accuracy": 0.8, "fit_seconds": 100.0, "test_seconds": 20.0, "peak_memory_mib": 700},
    7: {"accuracy": 0.6, "fit_seconds": 60.0, "test_seconds": 60.0, "peak_memory_mib": 500},
}


@pytest.fixture
def asked(monkeypatch, in_tmp):
    """The command lines of runs that end at once with known results; records go to a folder of the test's own."""
    lines = []

    def main(args):
        lines.append(args)
        seed = int(args[args.index("--seed_everything") + 1])
        root = Path(args[args.index("--trainer.default_root_dir") + 1], "run")
        root.mkdir(parents=True)
        run = dict(RESULTS[seed])
        metrics = {"test/accuracy": run.pop("accuracy"), "baseline/majority/accuracy": 0.1 * seed, "val/loss": 1.0}
        metrics["test/strange"] = None if seed == 4 else 1.0
        about = {
            "parameters": 42,
            "trained_parameters": 42,
            "devices": "1 x cpu",
            "precision": "32-true",
            "versions": {},
            "commit": "abc",
        }
        about["hyperparameters"] = {"data": {"dataset": "olives"}}
        (root / "result.json").write_text(json.dumps({"metrics": metrics, **run, **about}))

    for recipe in (mlp, wgan_gp):
        monkeypatch.setattr(recipe, "main", main)
    monkeypatch.setattr(_records, "FOLDER", in_tmp / "recipes")
    return lines


def test_a_record_holds_the_values_of_every_seed_with_their_mean_and_spread(asked):
    path = _records.record("mlp_diabetes", "test/accuracy", [3, 4, 7], ["--model.lr", "0.1"])
    record = json.loads(path.read_text())
    assert path == _records.FOLDER / "results" / "mlp_diabetes.json"
    values = [0.9, 0.8, 0.6]
    assert record["metrics"]["test/accuracy"] == {
        "mean": pytest.approx(statistics.fmean(values)),
        "std": pytest.approx(statistics.stdev(values)),
        "values": values,
    }
    assert record["metrics"]["baseline/majority/accuracy"]["values"] == pytest.approx([0.3, 0.4, 0.7])
    assert set(record["metrics"]) == {"test/accuracy", "baseline/majority/accuracy"}, "what was no number is left out"
    assert record["minutes"] == pytest.approx((60 + 120 + 120) / 3 / 60, abs=0.01)
    assert record["peak_memory_mib"] == 700
    assert (record["seeds"], record["flags"], record["metric"]) == ([3, 4, 7], ["--model.lr", "0.1"], "test/accuracy")
    assert record["command"] == "python -m nnzoo.recipes.mlp --config mlp_diabetes"
    for seed, args in zip((3, 4, 7), asked, strict=True):
        assert args[args.index("--config") + 1] == "mlp_diabetes"
        assert args[args.index("--seed_everything") + 1] == str(seed)
        assert args[-2:] == ["--model.lr", "0.1"]


def test_the_listing_names_the_data_of_the_recorded_run_else_those_that_are_set_or_the_recipes(asked):
    """A recipe of data of two kinds sets none: its images are by default those of its datamodule."""
    assert [_records.Entry(name).data for name in ("mlp_mnist", "wgan_gp_gan")] == ["mnist", ""]
    for name in ("mlp_mnist", "wgan_gp"):
        _records.record(name, "test/accuracy", [3], [])
    assert [_records.Entry(name).data for name in ("mlp_mnist", "wgan_gp", "wgan_gp_gan")] == ["olives"] * 3
    assert _records.Entry("wgan_gp_toy").data == "twenty_five_gaussians"


def test_each_seed_may_draw_a_split_of_its_own(asked):
    record = json.loads(_records.record("mlp", "test/accuracy", [3, 4], [], splits=True).read_text())
    assert [args[args.index("--data.split_seed") + 1] for args in asked] == ["3", "4"]
    assert record["splits"] == "one for each seed"
    record = json.loads(_records.record("mlp", "test/accuracy", [7], []).read_text())
    assert record["splits"] == "the same for all seeds"
    assert "--data.split_seed" not in asked[-1]


def test_one_seed_has_no_spread(asked):
    record = json.loads(_records.record("mlp", "test/accuracy", [4], []).read_text())
    assert record["metrics"]["test/accuracy"] == {"mean": 0.8, "std": 0.0, "values": [0.8]}
    assert record["command"] == "python -m nnzoo.recipes.mlp"


def test_the_table_shows_mean_spread_baselines_and_minutes(asked, monkeypatch):
    _records.record("mlp", "test/accuracy", [3, 4, 7], [])
    entry = _records.Entry("mlp")
    assert entry.number == "accuracy 0.7667 ± 0.153 (n=3)"
    assert entry.baselines == "majority 0.4667"
    assert entry.time == "1.7 min"
    assert _records.Entry("vae").number == "not recorded"
