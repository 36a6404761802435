"""The lines of a table of predictions are the samples of the batches, in their order, in every room."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits, load_iris

from nnzoo import ImageDataModule, SequenceDataModule, StringPairsDataModule, TabularDataModule
from nnzoo.tokens import Characters

pytestmark = pytest.mark.filterwarnings("ignore:.*")
RNG = np.random.default_rng(0)


def ready(data):
    data.prepare_data()
    data.setup()
    return data


def column(data, number=0):
    """One tensor of all batches to predict."""
    return [sample for batch in data.predict_dataloader() for sample in batch[number]]


def test_images_are_named_by_their_number_and_class():
    data = ready(ImageDataModule())
    rows, digits = data.predicted_rows(), load_digits()
    torch.testing.assert_close(
        torch.stack(column(data))[:, 0], torch.from_numpy(digits.images[rows["image"]] / 16).float()
    )
    assert rows["class"].tolist() == [str(label) for label in digits.target[rows["image"]]]


def test_images_of_a_folder_are_named_by_their_file(tmp_path):
    for number in range(40):
        path = tmp_path / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4), 5 * number, np.uint8)).save(path)
    data = ready(ImageDataModule(dataset="folder", root=str(tmp_path), batch_size=4))
    rows = data.predicted_rows()
    shown = [round(float(image.mean() * 255)) for image in column(data)]
    assert shown == [5 * int(file[-6:-4]) for file in rows["file"]]
    assert rows["class"].tolist() == ["ab"[int(file[-6:-4]) % 2] for file in rows["file"]]


@pytest.mark.parametrize("new", [False, True])
def test_rows_of_a_table_are_shown_as_they_are_in_the_file(new, tmp_path):
    table = pd.DataFrame({"area": RNG.normal(100, 20, 60), "price": RNG.normal(size=60)})
    table.to_csv(tmp_path / "table.csv", index=False)
    table[:7].to_csv(tmp_path / "new.csv", index=False)
    files = {"csv": str(tmp_path / "table.csv"), "predict_csv": str(tmp_path / "new.csv") if new else None}
    data = ready(TabularDataModule(**files, target="price", batch_size=4))
    rows = data.predicted_rows().astype(float)  # as they are written
    trained, mean, std = (float(data.parts["train"].numeric.std(correction=0)), *statistics(data, table))
    assert trained == pytest.approx(1)
    np.testing.assert_allclose(torch.stack(column(data))[:, 0] * std + mean, rows["area"], rtol=1e-4)
    assert len(rows) == (7 if new else 9)
    assert rows.merge(table, on=["area", "price"]).shape[0] == len(rows), "each with its own target"


def statistics(data, table):
    """Mean and deviation of the area among the training rows, which their targets tell."""
    rows = table[np.isin(table["price"].astype("float32"), data.parts["train"].labels)]
    assert len(rows) == len(data.parts["train"])
    return rows["area"].mean(), rows["area"].std(ddof=0)


def test_rows_of_a_built_in_table_are_numbered_from_one():
    data = ready(TabularDataModule(dataset="iris", scaling="none", log_columns=[]))
    rows = data.predicted_rows()
    np.testing.assert_allclose(torch.stack(column(data)), load_iris().data[rows["row"] - 1], rtol=1e-6)
    assert rows.iloc[:, -1].astype(str).tolist() == [data.classes[label] for label in torch.stack(column(data, 2))]


@pytest.mark.parametrize("target", ["kind", "state"])
@pytest.mark.parametrize("new", [False, True])
def test_sequences_and_their_steps_are_named_as_in_the_file(target, new, tmp_path):
    """The rows of sequences are mixed in the file."""
    pieces = [
        pd.DataFrame({"id": f"s{i:02}", "t": range(3 + i % 4), "x": RNG.normal(size=3 + i % 4), "kind": "ab"[i % 2]})
        for i in range(30)
    ]
    table = pd.concat(pieces).sort_values(["t", "id"]).assign(state=lambda f: np.where(f["x"] > 0, "up", "down"))
    table = table.drop(columns="state" if target == "kind" else "kind")
    table.to_csv(tmp_path / "steps.csv", index=False)
    table[table["id"] < "s06"].to_csv(tmp_path / "new.csv", index=False)
    files = {"csv": str(tmp_path / "steps.csv"), "predict_csv": str(tmp_path / "new.csv") if new else None}
    data = ready(SequenceDataModule(**files, target=target, group="id", time="t", batch_size=4))
    rows, values, lengths = data.predicted_rows(), column(data), column(data, 1)
    read = [step[:length, 0].tolist() for step, length in zip(values, lengths, strict=True)]
    if target == "state":
        np.testing.assert_allclose(rows["x"].astype(float), np.concatenate(read), rtol=1e-5)
        return
    for name, steps in zip(rows["id"], read, strict=True):
        np.testing.assert_allclose(steps, table[table["id"] == name].sort_values("t")["x"], rtol=1e-5)


@pytest.mark.parametrize("new", [False, True])
def test_strings_stand_beside_their_own_source(new, tmp_path):
    (tmp_path / "new.csv").write_text("source\n123\n7\n4567\n")
    data = ready(
        StringPairsDataModule(
            num_samples=90, num_longer=9, batch_size=4, predict_csv=str(tmp_path / "new.csv") if new else None
        )
    )
    characters, rows = Characters(data.vocabulary), data.predicted_rows()
    assert rows["source"].tolist() == characters.texts(torch.nn.utils.rnn.pad_sequence(column(data), True))
    if new:
        assert rows["source"].tolist() == ["123", "7", "4567"]
    else:
        assert rows["target"].tolist() == [text[::-1] for text in rows["source"]]
        assert len(rows) == 9 + 9, "the longer ones too"
