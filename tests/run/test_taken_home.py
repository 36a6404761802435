"""A trained model reads new files with its run folder alone, in another place, without the data it was trained on."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from nnzoo import InputError, MLPRegressor, SequenceDataModule, StringPairsDataModule, TabularDataModule
from support.found import recipe
from support.home import predictions, taken_home
from support.runs import QUICK
from support.user_files import write_images, write_steps

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


def test_strings_are_tested_as_where_the_training_file_is(pairs, monkeypatch, tmp_path):
    checkpoint = taken_home("seq2seq", pairs, monkeypatch, tmp_path)
    Path("test.csv").write_text("answer,asked\n153,351\nx2,2x\n4321,1234\n")
    flags = [*QUICK[2:], "--data.test_csv", "test.csv", "--baselines", "nnzoo.StringBaselines"]
    home = recipe("seq2seq").main(["test", "--ckpt_path", checkpoint, *flags])
    there = recipe("seq2seq").main(
        ["test", "--ckpt_path", checkpoint, *flags, "--data.csv", str(tmp_path / "pairs.csv")]
    )
    assert home.items() < there.items(), "baselines need the training file"
    assert "test/exact_match_longer" in home
    assert "baseline/nearest/exact_match" in there


@pytest.fixture
def shops(in_tmp):
    """A file with prices in dollars and categories that are whole numbers, and other files of its columns."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"shop": rng.integers(1, 6, 80), "open": rng.random(80) < 0.5, "size": rng.normal(5, 1, 80)})
    table["price"] = [f"${value:,.2f}" for value in 900 * table["size"] + 100 * table["shop"]]
    table.to_csv("shops.csv")
    return ["--data.csv", "shops.csv", "--data.target", "price", "--data.categorical", "[shop]"], table


def test_rows_of_a_table_are_predicted_and_tested_as_where_the_training_file_is(shops, monkeypatch, tmp_path):
    flags, table = shops
    checkpoint = taken_home("mlp", flags, monkeypatch, tmp_path)
    new = table.drop(columns="price").head(6).assign(shop=[5, 4, None, 3, 2, 2], open=[1, 0, 1, 0, 1, 0])
    new.to_csv("new.csv", index=False)
    table.tail(30).to_csv("test.csv", index=False)
    predicted = predictions("mlp", checkpoint, "--data.predict_csv", "new.csv")
    assert predicted["shop"].tolist() == ["5.0", "4.0", "", "3.0", "2.0", "2.0"], "as written"
    tested = recipe("mlp").main(["test", "--ckpt_path", checkpoint, *QUICK[2:], "--data.test_csv", "test.csv"])
    data = TabularDataModule.load_from_checkpoint(checkpoint, predict_csv="new.csv", test_csv="test.csv")
    model = MLPRegressor.load_from_checkpoint(checkpoint, map_location="cpu").eval()
    data.setup("predict")
    numeric, codes, _ = next(iter(data.predict_dataloader()))
    assert codes.T.tolist() == [[5, 4, 0, 3, 2, 2], [2, 1, 2, 1, 2, 1]]
    np.testing.assert_allclose(predicted["predicted"].astype(float), model(numeric, codes).detach(), rtol=1e-5)
    assert "test/rmse" in tested
    data.setup("test")
    monkeypatch.chdir(tmp_path)
    settings = {"csv": "shops.csv", "target": "price", "categorical": ["shop"], "predict_csv": "home/test.csv"}
    there = TabularDataModule(**settings)
    there.setup()
    for name in ("numeric", "categories"):
        assert torch.equal(getattr(data.parts["test"], name), getattr(there.parts["predict"], name))
    prices = table["price"].tail(30).str.replace(r"[$,]", "", regex=True).astype(float)
    np.testing.assert_allclose(data.parts["test"].labels, prices, rtol=1e-6)
    assert "left out" not in pd.read_csv(tmp_path / "home/RUN/columns.csv")["use"].tolist()


@pytest.mark.parametrize(("name", "target"), [("rnn", "label"), ("tagger", "state")])
def test_sequences_are_predicted_and_tested_without_the_training_file(in_tmp, monkeypatch, tmp_path, name, target):
    write_steps()
    drop = {"rnn": "state", "tagger": "label"}[name]
    flags = ["--data.csv", "steps.csv", "--data.target", target, "--data.group", "id", "--data.time", "second"]
    checkpoint = taken_home(name, [*flags, f"--data.drop=[{drop}]"], monkeypatch, tmp_path)
    steps = pd.read_csv(tmp_path / "steps.csv")
    steps[steps["id"].isin(["s1", "s2", "s10"])].to_csv("test.csv", index=False)
    table = predictions(name, checkpoint, "--data.predict_csv", "test.csv")
    rows = steps[steps["id"].isin(["s1", "s2", "s10"])] if name == "tagger" else steps.drop_duplicates("id")
    assert sorted(table["id"]) == sorted(rows[rows["id"].isin(["s1", "s2", "s10"])]["id"])
    test = ["test", "--ckpt_path", checkpoint, *QUICK[2:], "--data.test_csv", "test.csv"]
    test += ["--baselines", "nnzoo.SequenceBaselines"]
    home = recipe(name).main(test)
    there = recipe(name).main([*test, "--data.csv", str(tmp_path / "steps.csv")])
    assert home.items() < there.items(), "baselines need the training file"
    assert {"rnn": "baseline/majority/accuracy", "tagger": "baseline/frequency/nll"}[name] in there
    data = SequenceDataModule.load_from_checkpoint(checkpoint, test_csv="test.csv")
    data.setup("test")
    assert data.parts.keys() == {"test"}
    whole = SequenceDataModule(csv=str(tmp_path / "steps.csv"), target=target, group="id", time="second", drop=[drop])
    assert (data.classes, data.feature_mean) == (whole.classes, pytest.approx(whole.feature_mean))
    chosen = whole.source.table.frame["id"].isin(["s1", "s2", "s10"]).to_numpy()
    assert torch.equal(data.parts["test"].values, whole.source.table.values[chosen].float())


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


def test_images_are_predicted_without_the_folder_that_the_model_was_trained_on(in_tmp, monkeypatch, tmp_path):
    write_images()
    flags = ["--data.dataset", "folder", "--data.root", "my_images", "--data.image_size", "16"]
    checkpoint = taken_home("cnn", flags, monkeypatch, tmp_path)
    shutil.copytree(tmp_path / "new_images", "new_images")
    table = predictions("cnn", checkpoint, "--data.predict_root", "new_images")
    assert table["file"].tolist() == ["new_images/1.jpg"]
    monkeypatch.chdir(tmp_path)
    there = predictions("cnn", f"home/{checkpoint}", "--data.predict_root", "new_images")
    assert table.equals(there)
