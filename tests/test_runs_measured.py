"""Where the seconds of a run go, and what larger data cost: how it is measured, and the tables it ends up in."""

import importlib
from types import SimpleNamespace

import pytest
from benchmarks import data_sizes, parts, results, run_seconds

TINY = "--trainer.limit_train_batches 2 --trainer.max_epochs 1"


def test_each_moment_counts_for_the_innermost_open_part():
    looks = iter([1.0, 3.0, 6.0, 10.0, 15.0])
    watch = parts.Parts(clock=looks.__next__)
    with watch.part("training"), watch.part("validation"):  # 1: rest; 2: training; 3: validation
        pass
    watch.settle()  # after 4 more of training, 5 of the rest
    spent = {name: seconds for name, seconds in watch.seconds.items() if seconds}
    assert spent == {"rest": 1.0 + 5.0, "training": 2.0 + 4.0, "validation": 3.0}


def test_the_validation_loop_of_a_test_is_the_tests():
    looks = iter([0.0, 1.0, 3.0, 6.0])
    watch = parts.Parts(clock=looks.__next__)
    with watch.part("test"), watch.part("validation"):
        pass
    assert watch.seconds["test"] == 6.0
    assert watch.seconds["validation"] == 0.0


def test_a_watched_call_gives_what_it_gave_and_fails_as_it_failed():
    watch = parts.Parts(clock=iter([1.0, 3.0, 4.0, 8.0]).__next__)
    owner = SimpleNamespace(half=lambda number, by=2: number / by)
    watch.watch(owner, "half", "data")
    assert owner.half(6, by=3) == 2
    with pytest.raises(ZeroDivisionError):
        owner.half(1, by=0)
    assert watch.seconds["data"] == 2.0 + 4.0
    assert watch.open == ["rest"]


def test_the_first_training_step_is_noted_and_no_other():
    watch, strategy = parts.Parts(clock=iter([7.0]).__next__), SimpleNamespace(training_step=lambda batch: batch + 1)
    watch.watch_first_step(strategy)
    assert [strategy.training_step(1), strategy.training_step(2)] == [2, 3]
    assert watch.until_first_step == 7.0


def test_all_parts_of_a_run_are_seen(in_tmp, capsys, monkeypatch):
    seen = parts.in_own_process("rnn", TINY.split())
    assert tuple(seen["seconds"]) == parts.PARTS
    assert all(seconds > 0 for seconds in seen["seconds"].values())
    assert seen["seconds"]["imports"] < seen["until_first_step"] < sum(seen["seconds"].values())
    assert seen["peak_mib"] > 50
    assert not any(in_tmp.iterdir()), "nothing is left here"
    monkeypatch.setattr(run_seconds, "in_own_process", lambda recipe, flags: seen)
    run_seconds.main(["--recipe", "rnn", "--rounds", "2", "--results", str(in_tmp)])
    result = results.read(["rnn"], in_tmp)["rnn"]
    assert result["seconds"]["training"] == [round(seen["seconds"]["training"], 3)] * 2
    cells = run_seconds.row(result)
    assert "| " + " | ".join(cells) + " |\n" in capsys.readouterr().out
    assert float(cells[-1]) == pytest.approx(sum(map(float, cells[1:-1])), abs=0.6), "the sum but for rounding"


@pytest.mark.filterwarnings("ignore:.*")
@pytest.mark.parametrize("name", data_sizes.KINDS)
def test_every_kind_of_data_is_read_by_its_recipe(name, in_tmp, monkeypatch):
    """In this process, which leaves out what the clock sees."""
    seen = {"until_first_step": 5.0, "seconds": {"data": 1.0}, "peak_mib": 400.0}
    called = []
    monkeypatch.setattr(data_sizes, "in_own_process", lambda recipe, flags: called.append((recipe, flags)) or seen)
    kind = data_sizes.KINDS[name]
    result = data_sizes.measured(name, [1, 2], rounds=1, base=kind.base // 2)
    assert [size["count"] for size in result["sizes"]] == [kind.base // 2, kind.base]
    assert result["sizes"][1]["files_mib"] == pytest.approx(2 * result["sizes"][0]["files_mib"], rel=0.1, abs=0.02)
    flags = kind.write(in_tmp, kind.base)
    recipe, used = called[0]
    assert [flag for flag in used if flag.startswith("--data")] == [flag for flag in flags if flag.startswith("--data")]
    importlib.import_module(f"nnzoo.recipes.{recipe}").main([*data_sizes.FIT.split(), *flags])


def test_a_run_that_fails_says_why():
    with pytest.raises(RuntimeError, match=r"(?s)none --flag failed.*No module named 'nnzoo.recipes.none'"):
        parts.in_own_process("none", ["--flag"])


def test_memory_is_what_a_size_adds_to_the_smallest():
    sizes = [
        {"count": 10, "files_mib": 0.5, "until_first_step": [5.0, 6.0, 9.0], "data": [1.0], "peak_mib": [400.0]},
        {"count": 1000, "files_mib": 50, "until_first_step": [8.0], "data": [2.5], "peak_mib": [470.4]},
    ]
    found = data_sizes.rows({"data": "table", "unit": "rows", "sizes": sizes})
    assert found == [
        ["table", "10 rows", "0.5", "6.0", "1.00", "0"],
        ["table", "1,000 rows", "50.0", "8.0", "2.50", "70"],
    ]


@pytest.mark.parametrize(("module", "names"), [(run_seconds, run_seconds.RECIPES), (data_sizes, data_sizes.KINDS)])
def test_the_tables_are_those_of_the_results(module, names):
    found = results.read(names, module.FOLDER)
    assert {path.stem for path in module.FOLDER.glob("*.json")} == set(found) == set(names)
    text = results.TABLE.read_text(encoding="utf-8")
    assert module.BEGIN in text
    assert results.with_table(text, module.table(found), module.BEGIN) == text
