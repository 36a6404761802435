"""The table and the sentence about the learning curves."""

import json
import re
from types import SimpleNamespace

import lightning as L
import pytest
from lightning.pytorch.callbacks import EarlyStopping

from nnzoo import Forecaster, InputError, MLPClassifier, SequenceRegressor, TabularDataModule
from nnzoo.run.folds import cross_validate
from nnzoo.run.report import diagnosis, ended_by_patience, notes_of, table
from support.found import linked


def curves(train, val):
    epochs = list(range(1, len(val) + 1))
    return {"loss": {"train": (epochs, train), "val": (epochs, val)}}


def test_a_rising_validation_loss_beside_a_falling_training_loss_is_called_overfitting():
    falling = [1 / epoch for epoch in range(1, 21)]
    rising = [1.0, 0.8, 0.6, 0.5, *(0.5 + 0.02 * step for step in range(1, 17))]
    said = diagnosis(curves(falling, rising))
    assert said.startswith("Overfitting: since epoch 4 the validation loss rose from 0.5 to 0.82")
    assert "fell from 0.25 to 0.05" in said


@pytest.mark.parametrize(
    ("train", "val", "rose"),
    [
        ([1.4, 3e6, 2e4, *[1.2] * 17], [5e6, 3e4, 1.5, *[1.7] * 17], "the training loss rose from 1.4 .* to 3e\\+06"),
        ([1.0, 0.9, *[5.0] * 8], [1.1, 0.9, *[12.0] * 8], "the validation loss rose from 1.1 .* to 12"),
        ([1.0, 1e4, 900.0], [1.1, 500.0, 800.0], "the training loss rose from 1 .* to 1e\\+04"),
    ],
)
def test_a_fit_of_too_large_steps_is_said_to_have_diverged(train, val, rose):
    assert re.search(rf"^The fit diverged: {rose}.*a smaller --model\.lr would help\.$", diagnosis(curves(train, val)))


@pytest.mark.parametrize(
    ("train", "val"),
    [
        ([0.3 / epoch for epoch in range(1, 21)], [0.1, 0.09, *[1.5] * 18]),  # sure of its training samples
        ([1e9 / 10**epoch for epoch in range(1, 21)], [1e8 / 10**epoch for epoch in range(1, 21)]),  # a large start
        ([-1.0 - epoch for epoch in range(20)], [-1.0, -3.0, *[40.0] * 18]),  # of a density
        ([1.0, *[8.0] * 19], [1.0, *[8.0] * 19]),  # a part of the loss whose weight grows
        ([0.001, *[0.5] * 19], [0.001, *[0.009] * 19]),
    ],
)
def test_overfitting_and_rising_losses_are_not_called_divergence(train, val):
    assert "diverged" not in (diagnosis(curves(train, val)) or "")


def test_a_validation_loss_that_still_falls_is_called_underfitting():
    falling = [2.0 - 0.05 * epoch for epoch in range(20)]
    assert diagnosis(curves(falling, falling)).startswith("Underfitting: the validation loss was still falling")
    assert "a larger --trainer.max_epochs would help" in diagnosis(curves(falling, falling))
    assert "a larger --patience would help" in diagnosis(curves(falling, falling), ended_early=True)


@pytest.mark.parametrize(("stopped", "epochs", "early"), [(0, 5, False), (4, 5, True), (4, 9, False)])
def test_patience_ended_a_fit_if_it_did_so_in_its_last_epoch(stopped, epochs, early):
    """It may have ended one that a resumed run went on with."""
    stopping = EarlyStopping("val/loss")
    stopping.stopped_epoch = stopped
    assert ended_by_patience(SimpleNamespace(callbacks=[stopping], current_epoch=epochs)) == early


@pytest.mark.parametrize(
    "shown",
    [
        curves([1 / e for e in range(1, 21)], [0.5] * 20),
        curves([0.5] * 20, [0.5] * 10 + [0.9] * 10),
        curves([1 / e for e in range(2, 22)], [1.0, 0.9, 0.8, 0.7, 0.6, *[0.5] * 15]),
        curves([1.0, 0.5], [1.0, 2.0]),
        {"loss": {"train": ([1], [1.0])}},
        {},
    ],
)
def test_nothing_is_said_of_curves_that_are_flat_short_or_not_there(shown):
    assert diagnosis(shown) is None


def test_cross_validation_reports_means_and_spreads_over_the_folds(in_tmp, capsys):
    seen = []

    def run(args):
        seen.append(args)
        fold = int(args[args.index("--data.fold") + 1])
        return {"test/accuracy": [0.9, 0.8, 1.0][fold], "baseline/other/accuracy": 0.5, "val/loss": 1.0}

    means = cross_validate(run, "mlp", ["--model.lr", "0.1"], "3")
    assert means == pytest.approx({"test/accuracy": 0.9, "baseline/other/accuracy": 0.5})
    assert all(args[:2] == ["--model.lr", "0.1"] for args in seen)
    assert len({args[-1] for args in seen}) == 3, "every fold has a folder of its own"
    output = capsys.readouterr().out
    assert "0.9000 ± 0.1000" in output
    (path,) = in_tmp.rglob("result.json")
    assert json.loads(path.read_text())["metrics"]["test/accuracy"]["values"] == [0.9, 0.8, 1.0]


def test_a_fold_without_a_number_leaves_valid_json_and_the_other_metrics(in_tmp):
    def run(args):
        fold = args[args.index("--data.fold") + 1]
        return {"test/r2": float("nan") if fold == "0" else 0.5, "test/rmse": 2.0}

    assert cross_validate(run, "mlp", [], "2")["test/rmse"] == 2
    (path,) = in_tmp.rglob("result.json")
    assert "NaN" not in path.read_text()
    record = json.loads(path.read_text())["metrics"]
    assert record["test/r2"] == {"mean": None, "std": None, "values": [None, 0.5]}


@pytest.mark.parametrize(("args", "folds"), [([], "1"), ([], "many"), ([], "-3"), (["fit"], "3")])
def test_a_cross_validation_that_is_not_possible_is_refused(args, folds):
    with pytest.raises(InputError, match="--folds"):
        cross_validate(lambda _: {}, "mlp", args, folds)


@pytest.mark.parametrize(
    ("length", "begun", "more"),
    [
        ({"max_epochs": 3}, {}, 500),
        ({"max_epochs": 3}, {"pretrained": "a"}, 100),
        ({"max_epochs": 3}, {"pretrained": "a", "from_scratch": True}, 500),
        ({"max_epochs": 30}, {}, 500),
        ({"max_epochs": 30}, {"pretrained": "a"}, None),
        ({"max_epochs": 120}, {}, None),
        ({"max_steps": 6}, {}, None),
    ],
)
def test_a_fit_of_few_steps_is_warned_of_unless_they_were_set(length, begun, more, recwarn):
    """104 training samples of iris in batches of 50 are two steps an epoch."""
    data = TabularDataModule(dataset="iris", batch_size=50)
    model = MLPClassifier(**linked(MLPClassifier, data), hidden=[4])
    model.hparams.update(begun)
    settings = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    L.Trainer(**length, limit_val_batches=0, enable_model_summary=False, **settings).fit(model, data)
    said = [str(warning.message) for warning in recwarn if "steps of the optimiser only" in str(warning.message)]
    assert bool(said) == bool(more)
    assert not said or f"takes {2 * length['max_epochs']} steps" in said[0]
    assert not said or f"set --trainer.max_epochs {more}, say" in said[0]


@pytest.mark.parametrize(("model", "settings"), [(SequenceRegressor, {"num_inputs": 2}), (Forecaster, {})])
def test_the_table_says_in_which_units_its_metrics_are(model, settings):
    module = model(**settings)
    measured = {name.partition("/")[2] for name in module.build_metrics("test")} - {"r2"}  # of no unit
    named = set(re.findall(r"\w+", module.metric_note))
    assert measured | {"loss"} <= named
    trainer = SimpleNamespace(callbacks=[])
    assert notes_of(trainer, module) == [module.metric_note]
    assert table({"test/mse": 1.0}, "Net", notes_of(trainer, module)).endswith(module.metric_note)


@pytest.mark.parametrize(("train", "said"), [(0.98, True), (0.85, False), (0.6, False)])
def test_an_accuracy_far_above_that_of_validation_is_called_overfitting(train, said):
    """Where the validation's loss stays flat."""
    flat = {**curves([1 / epoch for epoch in range(1, 21)], [0.5] * 20)}
    flat["accuracy"] = {"train": ([20], [train]), "val": ([20], [0.78])}
    found = diagnosis(flat)
    assert bool(found) == said
    assert not said or found.startswith("Overfitting: the accuracy is 0.98 in training and 0.78 in validation")
