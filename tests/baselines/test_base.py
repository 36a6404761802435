import json

import lightning as L
import pytest
from torch.utils.data import DataLoader

from nnzoo import Baselines
from support.found import recipe
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
