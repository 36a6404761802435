import os

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits

from nnzoo import ImageDataModule, InputError
from nnzoo.data.numbers import Style
from nnzoo.data.sequences.module import SequenceDataModule
from nnzoo.data.splits import PARTS, split_indices
from nnzoo.nets.rnn import SequenceEncoder
from support.sequences import ready, whole


def table(groups=12, steps=(3, 6), **columns):
    """A file's rows: sequences of different lengths, a class for each, a label for each step."""
    rng = np.random.default_rng(0)
    frames = []
    for group in range(groups):
        length = int(rng.integers(*steps))
        frame = pd.DataFrame({"id": f"s{group}", "second": np.arange(length) * 0.5})
        frame["x"], frame["y"] = rng.normal(5, 2, length), rng.integers(0, 100, length)
        frame["kind"], frame["weight"] = ["cat", "dog"][group % 2], 1.5 * group
        frame["state"] = rng.choice(["on", "off"], length)
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True)
    return frame.assign(**columns)


@pytest.fixture
def csv_of(tmp_path):
    """Writes a table and returns the settings that read it."""

    def write(frame, target="kind", drop=("weight", "state"), **settings):
        path = tmp_path / "steps.csv"
        frame.drop(columns=[c for c in drop if c in frame.columns and c != target]).to_csv(path, index=False)
        return {"csv": str(path), "target": target, "time": "second", "group": "id", "batch_size": 4, **settings}

    return write


def test_plain_numbers_are_never_texts_but_in_a_table_of_predictions(csv_of, monkeypatch):
    frame = table()
    written = frame.drop(columns=["weight", "state"]).assign(x=[f"{value:+.9f}0" for value in frame["x"]])
    settings = csv_of(written)
    monkeypatch.setattr(Style, "read", None)  # what makes numbers of texts
    data = ready(**settings, test_csv=settings["csv"])
    x = torch.from_numpy(written["x"].to_numpy(float))
    shown = data.predicted_rows()
    assert data.source.table.values[:, data.features.index("x")].sort()[0].equal(x.sort()[0])
    assert list(shown.columns) == ["id", "kind"]
    assert sorted(data.source.table.steps["x"]) == sorted(written["x"])


def test_digits_are_read_row_by_row_from_the_top():
    data = ready(dataset="digits")
    assert (data.task, data.num_inputs, data.num_classes) == ("classification", 8, 10)
    values, lengths, target = whole(data, "test")[0]
    assert values.shape == (8, 8)
    assert lengths == 8
    digits = load_digits()
    matches = (digits.images == (values * 16).round().numpy()).all(axis=(1, 2))
    assert digits.target[matches].tolist() == [target]


def test_parts_of_the_digits_are_the_image_modules():
    images = ImageDataModule(dataset="digits", split_seed=3)
    images.setup()
    sequences = ready(dataset="digits", split_seed=3)
    for part in PARTS:
        assert torch.equal(sequences.parts[part].targets, images.parts[part].labels)


def test_pixels_come_one_by_one_and_a_permutation_is_the_same_for_all():
    rows, pixels, permuted = (ready(dataset="digits", scan=scan) for scan in ("rows", "pixels", "permuted"))
    assert (pixels.num_inputs, permuted.num_inputs) == (1, 1)
    assert torch.equal(pixels.parts["val"][5][0].flatten(), rows.parts["val"][5][0].flatten())
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    for part in PARTS:
        assert torch.equal(permuted.parts[part][5][0], pixels.parts[part][5][0][order])


@pytest.mark.parametrize(
    "settings", [{"dataset": "adding", "length": 9}, {"dataset": "copy", "length": 4, "memory": 2}]
)
def test_generated_parts_differ_and_do_not_depend_on_the_seed_of_the_run(settings):
    first = ready(**settings, num_samples=1000)
    again = ready(**settings, num_samples=1000, seed=5)
    other = ready(**settings, num_samples=1000, split_seed=1)
    assert [len(first.parts[part]) for part in PARTS] == [1000] * 3
    for part in PARTS:
        assert torch.equal(first.parts[part].values, again.parts[part].values)
        assert not torch.equal(first.parts[part].values, other.parts[part].values)
    assert not torch.equal(first.parts["train"].values, first.parts["test"].values)
    assert not torch.equal(first.parts["val"].values, first.parts["test"].values)


def test_the_adding_problems_target_statistics_are_those_of_its_training_part():
    data = ready(dataset="adding", length=5, num_samples=300)
    targets = data.parts["train"].targets.numpy()
    assert data.target_mean == pytest.approx(targets.mean(dtype=float))
    assert data.target_std == pytest.approx(targets.std(dtype=float))
    assert data.task == "regression"


@pytest.mark.realdata
@pytest.mark.skipif("NNZOO_DATA" not in os.environ, reason="needs MNIST under $NNZOO_DATA")
def test_mnist_keeps_its_test_part():
    data = ready(dataset="mnist", val_fraction=0.05)
    assert [len(data.parts[part]) for part in PARTS] == [57_000, 3_000, 10_000]
    assert data.parts["test"].targets[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert data.parts["test"][0][0].shape == (28, 28)


def test_a_csv_with_a_class_for_each_sequence(csv_of):
    frame = table()
    data = ready(**csv_of(frame))
    assert (data.task, data.num_inputs, data.classes) == ("classification", 2, ["cat", "dog"])
    assert sum(len(data.parts[part]) for part in PARTS) == 12
    groups = [group for _, group in frame.groupby("id")]
    labels = [data.classes.index(group["kind"].iloc[0]) for group in groups]
    chosen = dict(zip(PARTS, split_indices(labels, [0.15, 0.15], 0), strict=True))
    features = pd.concat([groups[i] for i in chosen["train"]])[["x", "y"]].to_numpy()
    encoder = SequenceEncoder(2, 4, input_mean=data.feature_mean, input_std=data.feature_std)
    for part in PARTS:
        for (values, length, target), i in zip(whole(data, part), chosen[part], strict=True):
            standardised = (groups[i][["x", "y"]].to_numpy() - features.mean(axis=0)) / features.std(axis=0)
            raw = torch.from_numpy(groups[i][["x", "y"]].to_numpy(np.float32))
            assert torch.equal(values, raw)
            np.testing.assert_allclose(encoder.standardized(raw), standardised, rtol=1e-4, atol=1e-5)
            assert (length, target) == (len(groups[i]), labels[i])


def test_values_far_from_0_are_centred_before_they_become_single_precision(csv_of):
    near = ready(**csv_of(table()))
    far = ready(**csv_of(table().assign(x=lambda f: 2e8 + f["x"])))
    for part in PARTS:
        expected, mean, std = near.parts[part].values, torch.tensor(near.feature_mean), torch.tensor(near.feature_std)
        found, of_far, far_std = far.parts[part].values, torch.tensor(far.feature_mean), torch.tensor(far.feature_std)
        torch.testing.assert_close((found - of_far) / far_std, (expected - mean) / std, atol=1e-5, rtol=0)
    with pytest.raises(InputError, match=r"column x .* varies too little around 4e\+15.*subtract a constant"):
        ready(**csv_of(table().assign(x=lambda f: 4e15 + f["x"].round())))


def test_sequences_of_a_test_file_are_tested_on_whole(csv_of, tmp_path):
    frame = table(groups=20)
    settings = csv_of(frame)
    tested = frame[frame["id"].isin(["s1", "s3", "s4"])].drop(columns=["weight", "state"])
    tested.to_csv(tmp_path / "test.csv", index=False)
    data = ready(**settings, test_csv=str(tmp_path / "test.csv"))
    assert sum(len(data.parts[part]) for part in ("train", "val")) == 20
    assert data.parts["test"].targets.tolist() == [1, 1, 0]
    np.testing.assert_allclose(data.parts["test"].values, tested[["x", "y"]], rtol=1e-6)
    assert data.predicted_rows()["id"].tolist() == ["s1", "s3", "s4"]
    tested.assign(kind="mouse").to_csv(tmp_path / "test.csv", index=False)
    with pytest.raises(InputError, match=r"test\.csv holds the class mouse, which is not in --data\.csv"):
        ready(**settings, test_csv=str(tmp_path / "test.csv"))
    with pytest.raises(InputError, match=r"leave out --data\.test_csv"):
        ready(**settings, test_csv="t.csv", folds=3)


def test_the_reason_of_a_task_names_sequence_and_line(csv_of):
    frame = table()
    written = csv_of(frame)
    assert "target kind is the same at all steps" in SequenceDataModule(**written).why
    row = frame.index[frame["id"] == "s3"][1]
    other = csv_of(frame.assign(kind=frame["kind"].where(frame.index != row, "mouse")))
    assert SequenceDataModule(**other).why.endswith(f"changes within sequence s3, line {row + 2}")


def test_a_csv_with_a_number_for_each_sequence(csv_of):
    data = ready(**csv_of(table(groups=40), target="weight", drop=("kind", "state")))
    assert (data.task, data.num_classes) == ("regression", 0)
    assert sorted(float(t) for part in PARTS for t in data.parts[part].targets) == [1.5 * group for group in range(40)]
    assert data.target_mean == pytest.approx(float(data.parts["train"].targets.mean()))


def test_a_csv_with_a_class_for_each_step(csv_of):
    frame = table()
    data = ready(**csv_of(frame, target="state", drop=("weight", "kind")))
    assert (data.task, data.multilabel, data.classes) == ("tagging", False, ["off", "on"])
    counted = sum(int((data.parts[part].targets == 1).sum()) for part in PARTS)
    assert counted == (frame["state"] == "on").sum()


@pytest.mark.parametrize(("target_type", "task"), [("auto", "classification"), ("number", "regression")])
def test_whole_numbers_are_classes_unless_said_otherwise(csv_of, target_type, task):
    frame = table()
    frame["kind"] = frame["kind"].map({"cat": 1, "dog": 3})
    assert ready(**csv_of(frame, target_type=target_type)).task == task


def test_rows_of_a_sequence_need_not_stand_together(csv_of):
    frame = table()
    together = ready(**csv_of(frame))
    mixed = ready(**csv_of(frame.sort_values("second", kind="stable")))
    for part in PARTS:
        assert torch.equal(together.parts[part].values, mixed.parts[part].values)
        assert torch.equal(together.parts[part].targets, mixed.parts[part].targets)


def test_times_may_be_dates_and_are_ordered_as_such(csv_of):
    frame = table()
    frame["second"] = pd.Timestamp("2024-01-30") + pd.to_timedelta(frame["second"], unit="D")
    frame["second"] = frame["second"].dt.strftime("%Y-%m-%d %H:%M")
    dated, numbered = ready(**csv_of(frame)), ready(**csv_of(table()))
    for part in PARTS:
        assert torch.equal(dated.parts[part].values, numbered.parts[part].values)


def test_the_split_is_stratified_by_class(csv_of):
    data = ready(**csv_of(table(groups=40)))
    for part in PARTS:
        assert abs(float(data.parts[part].targets.float().mean()) - 0.5) < 0.2


def test_nothing_of_the_other_parts_enters_the_statistics(csv_of):
    frame = table(groups=30)
    before = ready(**csv_of(frame))
    names = sorted(frame["id"].unique())
    labels = [int(name[1:]) % 2 for name in names]
    train, *others = ([names[i] for i in part] for part in split_indices(labels, [0.15, 0.15], 0))
    frame.loc[frame["id"].isin([name for part in others for name in part]), "x"] *= 1000
    after = ready(**csv_of(frame))
    steps = frame[frame["id"].isin(train)]
    for data in (before, after):
        np.testing.assert_allclose(data.feature_mean, steps[["x", "y"]].mean(), rtol=1e-6)
        np.testing.assert_allclose(data.feature_std, steps[["x", "y"]].std(ddof=0), rtol=1e-6)
    for part in ("val", "test"):
        assert not torch.equal(before.parts[part].values, after.parts[part].values)


def swapped(frame):
    rows = frame.index.tolist()
    return frame.loc[[rows[1], rows[0], *rows[2:]]]


@pytest.mark.parametrize(
    ("change", "settings", "says"),
    [
        (lambda f: f.iloc[:0], {}, "has no rows below its header"),
        (
            lambda f: f,
            {"target": "knd"},
            "has no column knd for --data.target. Did you mean kind.* Its columns are id, second, x, y, kind",
        ),
        (lambda f: f, {"group": "name"}, "no column name for --data.group"),
        (lambda f: f, {"time": "hour"}, "no column hour for --data.time"),
        (lambda f: f, {"group": None}, "needs --data.target, the column to predict, and --data.group"),
        (lambda f: f, {"time": "id"}, "must be different columns"),
        (lambda f: f.assign(x=f["x"].where(f.index != 3)), {}, "line 5: x is empty or NaN"),
        (lambda f: f.assign(x=np.where(f.index == 3, np.inf, f["x"])), {}, "column x of .* infinite"),
        (lambda f: f.assign(x="a"), {}, "column x of .* not numeric"),
        (lambda f: f.assign(x=1.0), {}, "column x of .* constant in the training part"),
        (lambda f: f.assign(kind="cat"), {}, "one class only, cat"),
        (lambda f: f[["id", "second", "kind"]], {}, "no feature columns"),
        (swapped, {}, r"line 3: in sequence s0 the time 0.0 is out of order: sort"),
        (lambda f: f.assign(second=f["second"].where(f.index != 1, 0.0)), {}, r"line 3: .* 0.0 repeats the one before"),
        (lambda f: f.assign(second="noon"), {}, "the time 'noon' cannot be read"),
        (lambda f: f.drop(columns="kind"), {"target": "x"}, "use the recipe forecaster"),
        (lambda f: f, {"target_type": "number"}, "target kind is not numeric"),
        (lambda f: f[f["id"].isin(["s0", "s1"])], {}, "2 samples leave none for"),
    ],
)
def test_files_that_cannot_be_used(csv_of, change, settings, says):
    written = csv_of(change(table()))
    with pytest.raises(InputError, match=says):
        ready(**{**written, **settings})


@pytest.mark.parametrize(
    ("contents", "says"),
    [("", "cannot be read as CSV"), ('a,b\n"1,2\n', "cannot be read as CSV"), (None, "There is no file")],
)
def test_files_that_cannot_be_read(tmp_path, contents, says):
    path = tmp_path / "steps.csv"
    if contents is not None:
        path.write_text(contents)
    with pytest.raises(InputError, match=says):
        ready(csv=str(path), target="a", group="b")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dataset": "adding", "length": 1}, "2 or more for adding"),
        ({"dataset": "copy", "memory": 0}, "must be positive"),
        ({"target": "kind"}, "add --data.csv"),
        ({"val_fraction": 0.0}, "above 0"),
        ({"dataset": "text"}, "There is no dataset 'text'"),
        ({"dataset": "adding", "balanced": True}, "needs a class for each sequence"),
    ],
)
def test_settings_that_cannot_work(settings, says):
    with pytest.raises(InputError, match=says):
        ready(num_samples=10, **settings).train_dataloader()
