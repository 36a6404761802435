"""A trained model reads new files with its run folder alone, in another place, without the data it was trained on."""

from pathlib import Path

import pytest
import torch

from nnzoo import InputError, StringPairsDataModule
from support.found import recipe
from support.home import predictions, taken_home
from support.runs import QUICK

pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.fixture
def pairs(in_tmp):
    lines = [f"{number},{str(number)[::-1]}" for number in range(100, 200)]
    Path("pairs.csv").write_text("\n".join(["asked,answer", *lines]))
    return ["--data.csv", "pairs.csv", "--data.source", "asked", "--data.target", "answer"]


def test_strings_are_answered_by_the_checkpoints_vocabulary(pairs, monkeypatch, tmp_path):
    checkpoint = taken_home("seq2seq", pairs, monkeypatch, tmp_path)
    Path("new.csv").write_text("asked\n12\n345\n")
    table = predictions("seq2seq", checkpoint, "--data.predict_csv", "new.csv")
    assert table["asked"].tolist() == ["12", "345"]


def test_without_new_data_the_training_file_is_needed_and_its_place_is_told(pairs, monkeypatch, tmp_path):
    checkpoint = taken_home("seq2seq", pairs, monkeypatch, tmp_path)
    with pytest.raises(InputError, match=r"no file pairs\.csv in .*home \(paths count from the folder"):
        recipe("seq2seq").main(["test", "--ckpt_path", checkpoint, *QUICK[2:]])


def test_lightnings_own_way_of_loading_a_datamodule_works_too(pairs, monkeypatch, tmp_path):
    checkpoint = taken_home("seq2seq", pairs, monkeypatch, tmp_path)
    Path("new.csv").write_text("asked\n12\n")
    data = StringPairsDataModule.load_from_checkpoint(checkpoint, predict_csv="new.csv")
    state = torch.load(checkpoint, weights_only=True)["StringPairsDataModule"]
    assert data.vocabulary == state["facts"]["vocabulary"]
    data.setup("predict")
    assert len(data.parts["predict"]) == 1
    with pytest.raises(InputError, match="no file"):
        data.setup("test")
