import numpy as np
import pandas as pd
import pytest
import torch

from nnzoo import InputError, SequenceDataModule
from nnzoo.data.sequences.dataset import SequenceDataset
from nnzoo.data.sequences.source import SequenceSource
from nnzoo.data.sequences.sources import SOURCES
from nnzoo.data.splits import PARTS
from support.room import (
    check_that_a_source_reads_what_it_says,
    check_that_further_sources_can_be_chosen,
    check_that_options_act_or_are_refused,
    module_with,
    names,
)


@pytest.fixture
def settings(tmp_path):
    """What each source needs to be small and complete."""
    path, rng = tmp_path / "steps.csv", np.random.default_rng(0)
    rows = [{"id": number, "t": step, "x": rng.normal(), "y": rng.normal(), "kind": "ab"[number % 2]}
            for number in range(30) for step in range(rng.integers(2, 6))]  # fmt: skip
    pd.DataFrame(rows).to_csv(path, index=False)
    few = {"num_samples": 50, "length": 5}
    needed = {
        "adding": few, "copy": {**few, "memory": 2},
        "csv": {"csv": str(path), "target": "kind", "group": "id", "time": "t", "predict_csv": str(path)},
    }  # fmt: skip
    return {name: {"dataset": name, "batch_size": 4, **needed.get(name, {})} for name in SOURCES}


class Countdown(SequenceSource):
    """Sequences that count down to 0, and whether they start at an odd number."""

    name = "countdown"
    uses = ("length",)
    task, num_inputs = "classification", 1

    @property
    def classes(self):
        return ["even", "odd"]

    def load(self):
        starts = torch.arange(self.settings["length"]).repeat(8)
        counts = torch.cat([torch.arange(start, -1, -1.0) for start in starts])[:, None]
        return {part: SequenceDataset(counts, starts + 1, starts % 2) for part in PARTS}


def test_a_new_source_needs_no_other_edit(monkeypatch):
    cls = module_with(monkeypatch, "sequences", Countdown).SequenceDataModule
    assert cls.acts_with["length"] == ("dataset", ["adding", "copy", "countdown"])
    data = cls(dataset="countdown", length=4, batch_size=8)
    data.prepare_data()
    data.setup()
    values, lengths, targets = next(iter(data.test_dataloader()))
    assert values[2, :, 0].tolist() == [2, 1, 0, 0]
    assert (lengths[2], targets[2]) == (3, 0)
    assert (data.task, data.num_inputs, data.num_classes, data.multilabel, data.target_std) == (
        "classification", 1, 2, False, 1.0)  # fmt: skip
    assert data.class_weights.tolist() == [1, 1]
    assert data.predicted_rows() is None
    with pytest.raises(InputError, match=r"memory does nothing with dataset countdown: .* set --data.dataset copy"):
        cls(dataset="countdown", memory=3)
    check_that_further_sources_can_be_chosen(cls, SequenceDataModule)


def test_every_option_acts_or_is_refused(settings):
    check_that_options_act_or_are_refused(SequenceDataModule, settings)


@pytest.mark.parametrize("name", names(SOURCES))
def test_a_source_reads_what_it_says(name, settings):
    check_that_a_source_reads_what_it_says(SequenceDataModule(**settings[name]))


def test_a_file_takes_the_place_of_any_data_set_and_is_needed_for_csv(settings):
    data = SequenceDataModule(**{**settings["csv"], "dataset": "copy"})
    assert data.dataset == data.hparams["dataset"] == data.source.name == "csv"
    with pytest.raises(InputError, match=r"--data\.dataset csv needs --data.csv"):
        SequenceDataModule(dataset="csv")
    with pytest.raises(InputError, match="length does nothing with dataset csv"):
        SequenceDataModule(**{**settings["csv"], "dataset": "copy", "length": 5})


@pytest.mark.parametrize("name", names(SOURCES))
def test_what_a_source_knows_is_true_of_its_data(name, settings):
    data = SequenceDataModule(**settings[name])
    assert (data.num_classes, data.multilabel) == (len(data.classes), data.task == "multilabel")  # before any loading
    data.prepare_data()
    data.setup()
    assert set(data.parts) == {*PARTS, *(["predict"] if name == "csv" else [])}
    train = data.parts["train"]
    for dataset in data.parts.values():
        assert dataset.values.shape[1] == data.num_inputs
        assert dataset.per_step == (data.task in ("tagging", "multilabel"))
    targets = train.targets
    if data.task == "multilabel":
        assert targets.shape[1] == data.num_classes
        assert set(targets.unique().tolist()) == {0, 1}
    elif data.task == "regression":
        assert data.num_classes == 0
        assert (data.target_mean, data.target_std) == pytest.approx(
            (float(targets.mean()), float(targets.std(correction=0)))
        )
    else:
        assert targets.unique().tolist() == list(range(data.num_classes))
    if data.features:
        assert len(data.features) == data.num_inputs
        np.testing.assert_allclose(data.feature_mean, train.values.mean(dim=0), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(data.feature_std, train.values.std(dim=0, correction=0), rtol=1e-4)
