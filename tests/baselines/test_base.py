import json
from types import SimpleNamespace

import lightning as L
import pytest
from torch.utils.data import DataLoader

from nnzoo import Baselines
from nnzoo.baselines.base import fitting, subset_note
from nnzoo.run.progress_lines import TimeOfTest
from support.forked import run_ranks
from support.found import module_name, recipe
from toys.toy_graphs import ToyGraphClassifier, ToyGraphs

pytestmark = pytest.mark.filterwarnings("ignore:.*")
QUICK = ["--config", "smoke", "--trainer.accelerator", "cpu", "--figures.draw", "false"]
QUICK += ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]


class Coin(Baselines):
    """Says how often the first class is right."""

    needs = ("num_classes", "batches")

    def __init__(self) -> None:
        self.calls = 0

    def scores(self, module, data):
        self.calls += 1
        labels = [label for batch in data.batches("test") for label in batch["labels"].tolist()]
        return {"coin": {"accuracy": labels.count(0) / len(labels)}}

    def remark(self, own):
        return f"coin {own['baseline/coin/accuracy']:.2f} beside {own['test/accuracy']:.2f}"


def table_with(callback, data=None, /, **flags):
    data = data or ToyGraphs()
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = L.Trainer(**quiet, callbacks=[callback], **flags)
    (metrics,) = trainer.test(ToyGraphClassifier(num_classes=2), data, verbose=False)
    return metrics


def test_scores_stand_in_the_same_table_and_the_remark_sees_both():
    with pytest.warns(UserWarning, match=r"coin 0.6[0-9] beside"):
        metrics = table_with(Coin())
    assert metrics["baseline/coin/accuracy"] == pytest.approx(26 / 40)
    assert "test/accuracy" in metrics


def test_a_fast_dev_run_and_data_that_lack_what_is_needed_have_no_baselines():
    coin = Coin()
    assert "baseline/coin/accuracy" not in table_with(coin, fast_dev_run=True)
    assert coin.calls == 0
    coin.needs = ("num_classes", "pairs")
    with pytest.warns(UserWarning, match="There are no Coin: the data have no pairs"):
        assert "baseline/coin/accuracy" not in table_with(coin)
    data = ToyGraphs()
    data.setup()
    coin.needs = ("num_classes",)
    with pytest.warns(UserWarning, match="the data have no num_classes"):
        table_with(coin, DataLoader([next(data.batches("test"))], batch_size=None))


@pytest.mark.parametrize("overlay", ["ema", "bf16"])
def test_overlays_keep_a_recipes_baselines_and_null_drops_them(overlay, in_tmp):
    metrics = recipe("rnn").main([*QUICK, "--config", overlay])
    assert "baseline/majority/accuracy" in metrics
    assert not any("baseline" in name for name in recipe("rnn").main([*QUICK, "--baselines", "null"]))


def test_a_baseline_of_ones_own_is_added_by_name(in_tmp):
    metrics = recipe("toy_graphs").main([*QUICK, f"--baselines+={__name__}.Coin"])
    assert metrics["baseline/coin/accuracy"] == pytest.approx(26 / 40)
    (result,) = in_tmp.rglob("result.json")
    assert json.loads(result.read_text())["metrics"]["baseline/coin/accuracy"] == pytest.approx(26 / 40)


def test_a_baseline_that_fails_does_not_cost_the_run(in_tmp):
    class Broken(Coin):
        def scores(self, module, data):
            raise ZeroDivisionError("nothing to divide")

    with pytest.warns(UserWarning, match=r"The Broken could not be fitted \(ZeroDivisionError: nothing to divide\)"):
        metrics = table_with(Broken())
    assert "test/accuracy" in metrics


def test_one_baseline_needs_no_list(in_tmp):
    metrics = recipe("toy_graphs").main([*QUICK, "--baselines", f"{__name__}.Coin"])
    assert metrics["baseline/coin/accuracy"] == pytest.approx(26 / 40)


def test_each_model_is_timed_in_a_line_and_a_long_one_says_how_to_do_without(caplog, monkeypatch):
    clock = iter([0.0, 12.34, 20.0, 20.5, 30.0, 30.01])
    monkeypatch.setattr("nnzoo.timing.time.monotonic", lambda: next(clock))
    with caplog.at_level("INFO"):
        for name in ("slow", "quick", "instant"):
            with fitting(name):
                pass
    assert caplog.messages == ["baselines: slow 12.3 s (leave out with --baselines null)", "baselines: quick 0.5 s"]


def test_notes_of_the_baselines_stand_beneath_the_table(in_tmp, capsys):
    recipe("toy_graphs").main([*QUICK, f"--baselines={__name__}.Noted"])
    lines = capsys.readouterr().out.splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("loss"))
    assert "coin: fitted on 5 of 1,000 rows, chosen at random" in lines[row:]


class Noted(Coin):
    """Has seen a part of the rows."""

    notes = subset_note("coin", 5, 1000)


def test_the_test_of_the_model_itself_is_timed(caplog, monkeypatch):
    clock = iter([0.0, 61.0, 100.0, 101.0])
    monkeypatch.setattr("nnzoo.run.progress_lines.time.monotonic", lambda: next(clock))
    with caplog.at_level("INFO"):
        for _ in range(2):
            timer = TimeOfTest()
            timer.on_test_start(None, None)
            timer.on_test_epoch_end(None, None)
    assert [message for message in caplog.messages if message.startswith("test:")] == [
        "test: 61.0 s (--trainer.limit_test_batches shortens it)"
    ]


def test_one_process_alone_fits_the_baselines():
    coin, module = Coin(), ToyGraphClassifier(num_classes=2)
    coin.on_test_epoch_end(SimpleNamespace(is_global_zero=False, fast_dev_run=False, datamodule=ToyGraphs()), module)
    assert coin.calls == 0


@pytest.mark.parametrize(
    ("name", "baselines"),
    [("autoencoder", "ReconstructionBaselines"), ("forecaster", "ForecastBaselines"), ("vae", "SampleQuality")],
)
def test_of_two_processes_one_measures_them_and_waits_for_none(name, baselines, in_tmp):
    program = [module_name(name), *QUICK, "--baselines", f"nnzoo.{baselines}"]
    for result in run_ranks([*program, "--trainer.devices", "2", "--trainer.strategy", "ddp"]):
        assert result.returncode == 0, result.stderr
    (record,) = in_tmp.rglob("result.json")
    assert any(metric.startswith("baseline/") for metric in json.loads(record.read_text())["metrics"])
