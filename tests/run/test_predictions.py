"""``predict`` writes what a user can read: names, units, files and dates beside the predictions."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from nnzoo import (
    CNNClassifier,
    Forecaster,
    ImageDataModule,
    InputError,
    MLPRegressor,
    Seq2Seq,
    SequenceClassifier,
    SequenceDataModule,
    SequenceTagger,
    TabularDataModule,
)
from nnzoo.data.series.module import ForecastDataModule
from nnzoo.run.predictions import without_formulas
from support.found import recipe
from support.runs import QUICK

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def predicted(name, train, new=()):
    """Fits for a moment, predicts, and returns the table and the checkpoint."""
    recipe(name).main(["fit", *QUICK, *train])
    (best,) = Path("runs").rglob("best.ckpt")
    recipe(name).main(["predict", "--ckpt_path", str(best), *QUICK[2:], *new])
    (table,) = Path("runs").rglob("predictions.csv")
    return pd.read_csv(table), best


@pytest.fixture
def houses(in_tmp):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": range(1, 81), "area": rng.uniform(50, 150, 80), "town": rng.choice(["A", "B"], 80)})
    table["price"] = (2000 * table["area"] + rng.normal(0, 1000, 80)).round(2)
    table["kind"] = np.where(table["area"] > 100, "large", "small")
    table.to_csv("houses.csv", index=False)
    table.iloc[:5].drop(columns=["price", "kind"]).to_csv("new.csv", index=False)
    return table


def test_rows_of_a_table_come_back_with_their_prediction_in_the_targets_units(houses):
    train = ["--data.csv", "houses.csv", "--data.target", "price", "--data.drop", "[id, kind]"]
    table, best = predicted("mlp", train, ["--data.predict_csv", "new.csv"])
    assert list(table.columns) == ["id", "area", "town", "predicted"]
    assert table["id"].tolist() == [1, 2, 3, 4, 5]
    model = MLPRegressor.load_from_checkpoint(best, map_location="cpu").eval()
    data = TabularDataModule(csv="houses.csv", target="price", drop=["id", "kind"], predict_csv="new.csv")
    data.setup()
    (predictions,) = torch.load(next(Path("runs").rglob("predictions.pt")))
    np.testing.assert_allclose(table["predicted"], predictions, rtol=1e-6)
    new = data.parts["predict"]
    for row, shown in table.iterrows():  # each by itself
        alone = model(new.numeric[row : row + 1], new.categories[row : row + 1])
        assert shown["predicted"] == pytest.approx(float(alone), rel=1e-5)
        assert shown["area"] == pytest.approx(houses["area"][row])
    assert table["predicted"].nunique() == 5


def test_a_part_of_the_rows_is_predicted_where_the_batches_are_limited(houses):
    train = ["--data.csv", "houses.csv", "--data.target", "kind", "--data.batch_size", "5"]
    whole, best = predicted("mlp", train)
    recipe("mlp").main(["predict", "--ckpt_path", str(best), *QUICK[2:], "--trainer.limit_predict_batches", "1"])
    tables = sorted(Path("runs").rglob("predictions.csv"), key=lambda path: path.stat().st_mtime)
    part = pd.read_csv(tables[-1])
    assert 0 < len(part) <= 5
    pd.testing.assert_frame_equal(part, whole.head(len(part)))


def test_test_rows_come_back_with_their_class_and_the_probability_of_each(houses):
    table, _ = predicted("mlp", ["--data.csv", "houses.csv", "--data.target", "kind", "--data.drop", "[id]"])
    assert list(table.columns) == ["area", "town", "price", "kind", "predicted", "p(large)", "p(small)"]
    assert len(table) == 12
    np.testing.assert_allclose(table["p(large)"] + table["p(small)"], 1, rtol=1e-5)
    assert (table["predicted"] == np.where(table["p(large)"] > table["p(small)"], "large", "small")).all()
    merged = table.merge(houses, on="price")
    assert (merged["kind_x"] == merged["kind_y"]).all()
    # The same rows as new ones: whatever their order was, each has its own prediction.
    table[["price", "town", "area"]].assign(id=0).to_csv("again.csv", index=False)
    (best,) = Path("runs").rglob("best.ckpt")
    recipe("mlp").main(["predict", "--ckpt_path", str(best), *QUICK[2:], "--data.predict_csv", "again.csv"])
    again = pd.read_csv(max(Path("runs").rglob("predictions.csv"), key=lambda path: path.stat().st_mtime))
    np.testing.assert_allclose(again["p(large)"], table["p(large)"], rtol=1e-4)
    assert table["p(large)"].nunique() == 12


def test_a_column_called_predicted_is_kept(houses):
    houses.assign(predicted=1).iloc[:3].to_csv("new.csv", index=False)
    train = ["--data.csv", "houses.csv", "--data.target", "price"]
    table, _ = predicted("mlp", train, ["--data.predict_csv", "new.csv"])
    assert table["predicted"].tolist() == [1, 1, 1]
    assert table["predicted (predicted)"].nunique() == 3


@pytest.fixture
def steps(in_tmp):
    """Sequences of different lengths whose rows are mixed."""
    rng = np.random.default_rng(0)
    pieces = [
        pd.DataFrame({"name": f"s{i}", "t": range(4 + i % 5), "x": rng.normal(size=4 + i % 5), "kind": "ab"[i % 2]})
        for i in range(40)
    ]
    table = pd.concat(pieces).sort_values(["t", "name"]).assign(state=lambda f: np.where(f["x"] > 0, "up", "down"))
    table.to_csv("steps.csv", index=False)
    table[table["name"].isin(["s1", "s2"])][["name", "t", "x"]].to_csv("new.csv", index=False)
    return table


def test_sequences_come_back_by_name(steps):
    flags = ["--data.csv", "steps.csv", "--data.target", "kind", "--data.group", "name", "--data.time", "t"]
    table, _ = predicted("rnn", [*flags, "--data.drop", "[state]"], ["--data.predict_csv", "new.csv"])
    assert table["name"].tolist() == ["s1", "s2"]
    assert list(table.columns) == ["name", "predicted", "p(a)", "p(b)"]
    (best,) = Path("runs").rglob("best.ckpt")
    model = SequenceClassifier.load_from_checkpoint(best, map_location="cpu").eval()
    for row, shown in table.iterrows():  # each alone, as it is in the file
        values = torch.tensor(steps[steps["name"] == shown["name"]].sort_values("t")["x"].to_numpy(np.float32))
        probabilities = model(values.view(1, -1, 1), torch.tensor([len(values)]))[0].tolist()
        assert [shown["p(a)"], shown["p(b)"]] == pytest.approx(probabilities, rel=1e-4), row
    assert table["p(a)"].nunique() == 2


def test_every_step_of_a_sequence_has_its_tag_and_padding_none(steps):
    flags = ["--data.csv", "steps.csv", "--data.target", "state", "--data.group", "name", "--data.time", "t"]
    table, best = predicted("tagger", [*flags, "--data.drop", "[kind]"], ["--data.predict_csv", "new.csv"])
    rows = steps[steps["name"].isin(["s1", "s2"])]
    assert len(table) == len(rows) == 5 + 6
    model = SequenceTagger.load_from_checkpoint(best, map_location="cpu").eval()
    assert set(table["predicted"]) <= {"up", "down"}
    for name, one in table.groupby("name"):
        assert one["t"].tolist() == list(range(len(one)))
        np.testing.assert_allclose(one["x"], rows[rows["name"] == name].sort_values("t")["x"])
    # Read alone, a sequence gets the same tags as beside a longer one.
    columns = {"target": "state", "group": "name", "time": "t", "drop": ["kind"]}
    data = SequenceDataModule(csv="steps.csv", predict_csv="new.csv", **columns)
    data.setup()
    values, _, _ = data.parts["predict"][0]
    with torch.no_grad():
        alone = model(values[None])[0]
    np.testing.assert_allclose(table["p(up)"][: len(alone)], alone[:, 1], rtol=1e-4)


def test_a_forecast_continues_every_series_after_its_end(in_tmp):
    dates = pd.date_range("2024-01-01", periods=60, freq="D")
    table = pd.concat([pd.DataFrame({"date": dates, "shop": shop, "units": np.arange(60) % 7 + 10 * i})
                       for i, shop in enumerate(["north", "south"])])  # fmt: skip
    table.to_csv("sales.csv", index=False)
    flags = {"csv": "sales.csv", "time": "date", "target": "units", "group": "shop", "history": 14, "horizon": 3}
    forecasts, best = predicted("forecaster", [part for k, v in flags.items() for part in (f"--data.{k}", str(v))])
    assert list(forecasts.columns) == ["shop", "date", "units"]
    assert forecasts["shop"].tolist() == ["north"] * 3 + ["south"] * 3
    assert forecasts["date"].tolist() == ["2024-03-01", "2024-03-02", "2024-03-03"] * 2
    model, data = Forecaster.load_from_checkpoint(best, map_location="cpu").eval(), ForecastDataModule(**flags)
    with torch.no_grad():
        last = torch.tensor(table["units"].to_numpy(np.float32)).view(2, 60, 1)[:, -14:]
        expected = model(last, torch.tensor([[0], [1]]))
        torch.testing.assert_close(model(*data.last_windows()), expected)
    np.testing.assert_allclose(forecasts["units"], expected.flatten(), rtol=1e-5)


def test_a_forecast_can_continue_a_newer_file(in_tmp):
    pd.DataFrame({"t": range(60), "y": np.arange(60) % 5}).to_csv("old.csv", index=False)
    pd.DataFrame({"t": range(100, 120), "y": np.arange(20) % 5}).to_csv("new.csv", index=False)
    flags = ["--data.csv", "old.csv", "--data.time", "t", "--data.target", "y", "--data.history", "10"]
    table, _ = predicted("forecaster", [*flags, "--data.horizon", "2"], ["--data.predict_csv", "new.csv"])
    assert table["t"].tolist() == [120, 121]
    pd.DataFrame({"t": range(5), "y": range(5)}).to_csv("short.csv", index=False)
    data = ForecastDataModule(csv="old.csv", time="t", target="y", history=10, horizon=2, predict_csv="short.csv")
    with pytest.raises(InputError, match=r"needs the last 10 steps .* the longest series has 5"):
        data.predict_dataloader()


def test_new_strings_are_translated(in_tmp):
    pairs = pd.DataFrame({"asked": [f"{i:03}" for i in range(200)]})
    pairs.assign(answer=pairs["asked"].str[::-1]).to_csv("pairs.csv", index=False)
    pairs.iloc[:4].to_csv("new.csv", index=False)
    flags = ["--data.csv", "pairs.csv", "--data.source", "asked", "--data.target", "answer"]
    recipe("seq2seq").main(["fit", *QUICK, *flags])
    (best,) = Path("runs").rglob("best.ckpt")
    recipe("seq2seq").main(["predict", "--ckpt_path", str(best), "--data.predict_csv", "new.csv"])
    table = pd.read_csv(next(Path("runs").rglob("predictions.csv")), dtype=str, keep_default_na=False)
    assert table["asked"].tolist() == ["000", "001", "002", "003"]
    model = Seq2Seq.load_from_checkpoint(best, map_location="cpu")
    assert table["predicted"].tolist() == model.translate(["000", "001", "002", "003"])


@pytest.fixture
def photos(in_tmp):
    rng = np.random.default_rng(0)
    for kind, level in (("dark", 60), ("light", 200)):
        Path("photos", kind).mkdir(parents=True)
        for number in range(20):
            pixels = rng.normal(level, 20, (12, 16, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(Path("photos", kind, f"{number:02}.png"))
    Path("new", "more").mkdir(parents=True)
    for path, level in (("new/a.png", 60), ("new/more/b.jpg", 200)):
        Image.fromarray(np.full((30, 20), level, np.uint8)).save(path)


def test_new_images_come_back_by_file_with_the_names_of_classes(photos):
    train = ["--data.dataset", "folder", "--data.root", "photos", "--data.image_size", "8"]
    table, best = predicted("cnn", train, ["--data.predict_root", "new"])
    assert [Path(name) for name in table["file"]] == [Path("new/a.png"), Path("new/more/b.jpg")]
    assert list(table.columns) == ["file", "predicted", "p(dark)", "p(light)"]
    data = ImageDataModule(dataset="folder", root="photos", image_size=8, predict_root="new")
    data.setup()
    images, _ = data.parts["predict"][0]
    assert images.shape == (3, 8, 8)
    torch.testing.assert_close(images, torch.full((3, 8, 8), 60 / 255))
    model = CNNClassifier.load_from_checkpoint(best, map_location="cpu").eval()
    for row, shown in table.iterrows():
        probabilities = model(data.parts["predict"][row][0][None])[0].tolist()
        assert [shown["p(dark)"], shown["p(light)"]] == pytest.approx(probabilities, rel=1e-4)
        assert shown["predicted"] == ["dark", "light"][int(np.argmax(probabilities))]
    assert table["p(dark)"].nunique() == 2


def test_images_without_new_ones_are_those_of_the_test_with_their_class(photos):
    train = ["--data.dataset", "folder", "--data.root", "photos", "--data.image_size", "8"]
    table, _ = predicted("cnn", train)
    assert list(table.columns)[:3] == ["file", "class", "predicted"]
    assert [Path(name).parent.name for name in table["file"]] == table["class"].tolist()


def test_a_missing_folder_of_new_images_is_told_by_its_option(photos):
    data = ImageDataModule(dataset="folder", root="photos", image_size=8, predict_root="absent")
    with pytest.raises(InputError, match="set --data\\.predict_root"):
        data.setup()


def test_a_checkpoint_keeps_the_scaler_of_its_training_and_refuses_other_classes_and_columns(steps):
    """Another file is not standardised by itself, which would move what the network learned."""
    flags = ["--data.csv", "steps.csv", "--data.target", "kind", "--data.group", "name", "--data.drop", "[state, t]"]
    predicted("rnn", flags)
    (best,) = Path("runs").rglob("best.ckpt")
    model = SequenceClassifier.load_from_checkpoint(best, map_location="cpu").eval()
    assert (model.hparams["classes"], model.hparams["features"]) == (["a", "b"], ["x"])
    test = ["test", "--ckpt_path", str(best), *QUICK[2:]]
    shifted = steps.assign(x=steps["x"] + 3)
    shifted.to_csv("shifted.csv", index=False)
    measured = recipe("rnn").main([*test, "--data.csv", "shifted.csv"])
    data = SequenceDataModule(csv="shifted.csv", target="kind", group="name", drop=["state", "t"])
    data.setup()
    losses = [model.loss(model.outputs(*batch[:-1]), batch[-1]) for batch in data.test_dataloader()]
    assert measured["test/loss"] == pytest.approx(float(torch.cat(losses).mean()), rel=1e-5)
    steps.assign(kind=steps["kind"].replace("b", "c")).to_csv("classes.csv", index=False)
    with pytest.raises(InputError, match="trained on data with classes a, b, these have classes a, c"):
        recipe("rnn").main([*test, "--data.csv", "classes.csv"])
    steps.rename(columns={"x": "y"}).to_csv("columns.csv", index=False)
    with pytest.raises(InputError, match="trained on data with features x, these have features y"):
        recipe("rnn").main([*test, "--data.csv", "columns.csv"])


def test_a_table_preprocessed_in_another_way_is_refused(houses):
    flags = ["--data.csv", "houses.csv", "--data.target", "kind", "--data.drop", "[id, price]"]
    predicted("mlp", flags)
    (best,) = Path("runs").rglob("best.ckpt")
    houses.assign(area=houses["area"] + 1).to_csv("other.csv", index=False)
    with pytest.raises(InputError, match=r"trained on data with preprocessing .* use the data it was trained on"):
        recipe("mlp").main(["test", "--ckpt_path", str(best), "--data.csv", "other.csv"])


def test_texts_that_a_spreadsheet_would_run_are_quoted_and_numbers_are_not(tmp_path):
    table = pd.DataFrame(
        {"=a": ["=cmd|' /C calc'!A0", "-1", " @x", "fine"], "n": [-1, 2, 3, 4], "d": [None, "+1e3", "-", "x"]}
    )
    without_formulas(table).to_csv(tmp_path / "p.csv", index=False)
    written = pd.read_csv(tmp_path / "p.csv", dtype=str, keep_default_na=False)
    assert list(written.columns) == ["'=a", "n", "d"]
    assert written["'=a"].to_list() == ["'=cmd|' /C calc'!A0", "-1", "' @x", "fine"]
    assert written["d"].to_list() == ["", "+1e3", "'-", "x"]
    assert written["n"].to_list() == ["-1", "2", "3", "4"]
