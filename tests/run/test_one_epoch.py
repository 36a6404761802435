"""One epoch for all folds: by curves made by hand, and in a run whose folds are held out and validated on."""

import csv
import json
import statistics

import numpy as np
import pytest
import torch

from nnzoo import GraphSetDataModule, InputError, TabularDataModule
from nnzoo.data.splits import fold_indices
from nnzoo.run.folds import cross_validate
from nnzoo.run.one_epoch import one_epoch
from support.found import run

pytestmark = pytest.mark.filterwarnings("ignore:.*")

FOLDS = np.array([[0.2, 0.9, 0.6, 0.7], [0.3, 0.1, 0.8, 0.7], [0.9, 0.2, 0.4, 0.5]])
"""Accuracies: each fold has another best epoch, 2, 3 and 1; their mean is best in the fourth."""


def curves(accuracies, epochs=None):
    epochs = epochs or list(range(1, len(accuracies) + 1))
    return {
        "accuracy": {"val": (epochs, list(accuracies)), "train": (epochs, [1.0] * len(epochs))},
        "loss": {"val": (epochs, [1 - value for value in accuracies])},
    }


def test_the_epoch_is_that_of_the_best_mean_not_of_any_fold():
    found = one_epoch([curves(fold) for fold in FOLDS], "highest val/accuracy")
    best = int(FOLDS.mean(axis=0).argmax())
    assert (found.epoch, found.epochs, found.by) == (best + 1, 4, "highest val/accuracy")
    assert found.values["accuracy"] == FOLDS[:, best].tolist()
    assert found.values["loss"] == pytest.approx((1 - FOLDS[:, best]).tolist())
    assert statistics.fmean(found.values["accuracy"]) < FOLDS.max(axis=1).mean(), "below that of own epochs"


def test_a_loss_is_best_where_it_is_lowest_and_of_equal_epochs_the_first_counts():
    assert one_epoch([curves(fold) for fold in FOLDS], "lowest val/loss").epoch == 4
    assert one_epoch([curves(fold) for fold in FOLDS], "highest val/loss").epoch == 2
    assert one_epoch([curves([0.1, 0.5, 0.5])] * 2, "highest val/accuracy").epoch == 2


def test_only_epochs_that_all_folds_have_as_numbers_count():
    """One fold ended early, another was validated in every second epoch or lost its way."""
    folds = [curves([0.1, 0.2, 0.9]), curves([0.1, 0.2]), curves([0.3, 0.2], [1, 2])]
    assert (one_epoch(folds, "highest val/accuracy").epoch, one_epoch(folds, "highest val/accuracy").epochs) == (2, 2)
    folds = [curves([0.1, float("nan"), 0.9]), curves([0.2, 0.9, 0.1])]
    assert one_epoch(folds, "highest val/accuracy").epoch == 3


@pytest.mark.parametrize("by", ["last", "highest val/auroc", "highest test/accuracy"])
def test_without_a_curve_there_is_nothing_to_choose_by(by):
    with pytest.raises(InputError, match=r"let --checkpoint\.monitor name a metric of validation"):
        one_epoch([curves(fold) for fold in FOLDS], by)


def test_in_a_run_the_folds_are_validated_on_and_the_table_names_both_rules(in_tmp, capsys):
    flags = ["--data.dataset", "iris", "--folds", "3", "--folds_rule", "one_epoch", "--trainer.max_epochs", "4"]
    flags += ["--checkpoint.monitor", "val/accuracy", "--checkpoint.mode", "max", "--baselines", "null"]
    flags += ["--figures.draw", "false", "--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]
    metrics = run("mlp", flags)
    written = [sorted(in_tmp.rglob(f"fold-{fold}/**/metrics.csv")) for fold in range(3)]
    tables = [list(csv.DictReader(path.open(newline=""))) for (path,) in written]
    found = np.array([[float(row["val/accuracy"]) for row in rows if row["val/accuracy"]] for rows in tables])
    assert found.shape == (3, 4)
    best = int(found.mean(axis=0).argmax())
    assert metrics["one_epoch/accuracy"] == pytest.approx(found[:, best].mean())
    assert metrics["test/accuracy"] == pytest.approx(found.max(axis=1).mean()), "each fold's own best epoch"
    (path,) = in_tmp.glob("runs/mlp/*/result.json")
    record = json.loads(path.read_text())
    assert (record["rule"], record["epoch"], record["best_by"]) == ("one_epoch", best + 1, "highest val/accuracy")
    assert record["metrics"]["one_epoch/accuracy"]["std"] == pytest.approx(found[:, best].std(ddof=1))
    printed = capsys.readouterr().out
    assert f"one_epoch: all folds after epoch {best + 1} of 4, of the highest val/accuracy in their mean" in printed
    assert "compare them with numbers of the same rule only" in printed


@pytest.mark.parametrize("module", [GraphSetDataModule, TabularDataModule])
def test_without_a_share_for_validation_a_fold_is_it_and_all_others_are_trained_on(module):
    data = module(folds=3, fold=1, val_fraction=0)
    rows = data._rows
    labels = data._targets
    assert torch.equal(rows["val"], rows["test"])
    assert rows["test"].tolist() == fold_indices(labels, 3, 1, 0).tolist()
    assert torch.cat([rows["train"], rows["test"]]).sort().values.tolist() == list(range(len(labels)))


def test_a_share_of_nothing_is_for_folds_alone():
    with pytest.raises(InputError, match="with --folds the first may be 0"):
        TabularDataModule(val_fraction=0)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--folds", "3", "--folds_rule", "best"], "--folds_rule is own_epoch or one_epoch, got best"),
        (["--folds_rule", "one_epoch"], "add --folds K"),
        (["--folds", "2", "--folds_rule", "one_epoch", "--trainer.fast_dev_run", "1"], "leave out --trainer.fast_dev"),
        (["--config", "folds.yaml"], "--folds 3 is for the command line"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(flags, said, in_tmp):
    (in_tmp / "folds.yaml").write_text("folds: 3\n")
    with pytest.raises(InputError, match=said):
        run("mlp", [*flags, "--trainer.accelerator", "cpu", "--baselines", "null"])


def test_what_is_missing_is_missed_after_the_first_fold(in_tmp):
    runs = []
    with pytest.raises(InputError, match="chooses by a curve"):
        cross_validate(lambda args: runs.append(args) or {"test/loss": 1.0}, "mlp", [], "3", "one_epoch")
    assert len(runs) == 1
