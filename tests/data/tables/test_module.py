"""Tables: columns, splits, targets and what is wrong with a file."""

import os

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import datasets

from nnzoo import InputError, TabularDataModule
from nnzoo.data.splits import split_parts
from nnzoo.data.tables.preprocessor import Preprocessor
from nnzoo.data.tables.target import task_of


def houses(count=200, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({
        "area": rng.lognormal(4, 1.5, count),
        "rooms": np.where(rng.random(count) < 0.2, np.nan, rng.integers(1, 7, count)),
        "town": rng.choice(["Rome", "Oslo", "Lima"], count),
        "garden": rng.random(count) < 0.5,
        "price": rng.normal(300, 50, count),
    })  # fmt: skip


@pytest.fixture
def written(tmp_path):
    def write(table, name="table.csv"):
        path = tmp_path / name
        if isinstance(table, str):
            path.write_text(table)
        else:
            table.to_csv(path, index=False)
        return str(path)

    return write


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris", "diabetes"])
def test_the_built_in_sets_are_scikit_learns_in_parts_of_70_15_15(name):
    data = TabularDataModule(dataset=name)
    data.setup()
    bunch = getattr(datasets, f"load_{name}")()
    sizes = [len(data.parts[part]) for part in ("train", "val", "test")]
    assert sum(sizes) == len(bunch.target)
    assert sizes[1] == sizes[2] == round(0.15 * len(bunch.target))
    assert data.task == ("regression" if name == "diabetes" else "classification")
    if data.task == "classification":
        assert sorted(data.classes) == sorted(map(str, bunch.target_names))
        labels = torch.cat([data.parts[part].labels for part in data.parts])
        names = np.asarray(data.classes)[labels.numpy()]
        expected = np.asarray(bunch.target_names).astype(str)[bunch.target]
        assert sorted(names) == sorted(expected)


def test_statistics_come_from_the_training_part_only():
    table = houses()
    first = Preprocessor.fit(table[:100].drop(columns="price"))(table[:100])
    other = table.copy()
    other.loc[100:, "area"] = 1e9
    again = Preprocessor.fit(other[:100].drop(columns="price"))(other[:100])
    np.testing.assert_array_equal(first.numeric, again.numeric)
    data = TabularDataModule(dataset="diabetes")
    data.setup()
    train = data.parts["train"].numeric
    torch.testing.assert_close(train.mean(0), torch.zeros(10), atol=1e-6, rtol=0)
    torch.testing.assert_close(train.std(0, correction=0), torch.ones(10), atol=1e-5, rtol=0)
    assert data.parts["test"].numeric.mean().abs() > 1e-4


def test_one_column_may_be_named_without_brackets(written):
    data = TabularDataModule(csv=written(houses()), target="price", drop="area", categorical="town")
    assert "area" not in data.table[0].columns
    assert data.hparams["categorical"] == ["town"]


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"] * 20, "classification"),
        ([True, False] * 20, "classification"),
        ([0, 1, 2, 3] * 10, "classification"),
        (list(range(40)), "regression"),
        ([0.5, 1.0] * 20, "regression"),
    ],
)
def test_the_task_follows_from_the_target(values, task):
    assert task_of(pd.Series(values, name="y")) == task


def test_a_csv_of_mixed_columns_gives_batches_of_numbers_codes_and_targets(written):
    data = TabularDataModule(csv=written(houses()), target="price", batch_size=20)
    assert data.task == "regression"
    assert (data.num_numeric, data.cardinalities) == (3, [3, 2])
    data.setup()
    numeric, codes, target = next(iter(data.train_dataloader()))
    assert (numeric.shape, codes.shape, target.shape) == ((20, 3), (20, 2), (20,))
    assert (numeric.dtype, codes.dtype, target.dtype) == (torch.float32, torch.int64, torch.float32)
    targets = data.parts["train"].labels.double()
    assert data.target_mean == pytest.approx(targets.mean().item())
    assert data.target_std == pytest.approx(targets.std(correction=0).item())


def test_a_share_for_the_test_beside_a_test_file_is_said_to_be_idle(written):
    files = {"csv": written(houses()), "target": "price", "test_csv": written(houses(37, seed=1), "test.csv")}
    with pytest.warns(UserWarning, match=r"test_fraction 0\.3 is not used: --data\.test_csv is the whole test part"):
        TabularDataModule(**files, test_fraction=0.3)


def test_a_test_file_is_tested_on_whole(written):
    data = TabularDataModule(csv=written(houses()), target="price", test_csv=written(houses(37, seed=1), "test.csv"))
    data.setup()
    assert len(data.parts["test"]) == 37
    assert len(data.parts["train"]) + len(data.parts["val"]) == 200


def test_rows_to_predict_need_no_target_and_are_transformed_as_in_training(written):
    path = written(houses())
    data = TabularDataModule(csv=path, target="price")
    data.setup()
    rows = split_parts(torch.zeros(200), ["train"] * 200, 0.15, 0.15, seed=0)["test"]
    unknown = written(houses().iloc[rows.numpy()].drop(columns="price"), "new.csv")
    new = TabularDataModule(csv=path, target="price", predict_csv=unknown)
    new.setup()
    (numeric, codes, _), *_ = new.predict_dataloader()
    assert torch.equal(numeric, data.parts["test"].numeric)
    assert torch.equal(codes, data.parts["test"].categories)
    assert torch.equal(new.parts["train"].numeric, data.parts["train"].numeric)


def test_a_table_of_categories_only_has_no_numbers(written):
    table = houses()[["town", "garden"]].assign(sold=np.arange(200) % 2)
    data = TabularDataModule(csv=written(table), target="sold")
    assert (data.num_numeric, data.cardinalities) == (0, [3, 2])
    data.setup()
    assert data.parts["train"].numeric.shape == (len(data.parts["train"]), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.assign(sold=["q", *t["sold"][1:]]), "holds the class q, which is not in --data.csv"),
        (lambda t: t.assign(area=["foo", *map(str, t["area"][1:])]), "csv, line 2: area is 'foo', not a number as in"),
        (lambda t: t.drop(columns="sold"), "has no column sold"),
    ],
)
def test_a_test_file_that_does_not_fit_the_table_is_refused(written, change, message):
    table = houses().assign(sold=["yes", "no"] * 100)
    test = written(change(table), "test.csv")
    with pytest.raises(InputError, match=message):
        TabularDataModule(csv=written(table), target="sold", test_csv=test).setup()


def test_a_class_of_one_row_is_trained_on_whatever_the_seed(written):
    table = houses().assign(sold=["yes", "no"] * 100)
    table.loc[4, "sold"] = "maybe"
    path = written(table)
    for seed in range(20):
        data = TabularDataModule(csv=path, target="sold", split_seed=seed)
        data.setup()
        assert (data.parts["train"].labels == data.classes.index("maybe")).sum() == 1


def test_a_class_without_training_rows_is_named(written):
    table = houses().assign(sold=["yes", "no"] * 100)
    table.loc[4, "sold"] = "maybe"
    path = written(table)
    folds = [TabularDataModule(csv=path, target="sold", folds=5, fold=fold) for fold in range(5)]
    with pytest.warns(UserWarning, match="No training row is of the class maybe"):
        [data.setup() for data in folds]


def test_balanced_sampling_draws_all_classes_equally_often(written):
    table = houses(1000)
    table["sold"] = np.where(np.arange(1000) % 10 == 0, "yes", "no")
    data = TabularDataModule(csv=written(table), target="sold", balanced=True, batch_size=100)
    data.setup()
    labels = torch.cat([labels for *_, labels in data.train_dataloader()])
    assert labels.float().mean() == pytest.approx(0.5, abs=0.06)


def test_every_row_is_tested_in_one_fold():
    tested = []
    for fold in range(5):
        data = TabularDataModule(dataset="iris", folds=5, fold=fold, scaling="none")
        data.setup()
        tested += data.parts["test"].numeric.tolist()
        assert data.parts["test"].labels.bincount().tolist() == [10, 10, 10]
    expected = datasets.load_iris().data.astype(np.float32).tolist()
    assert sorted(tested) == sorted(expected)


NUMBERS = "x,y\n" + "".join(f"{i},{i % 7}.5\n" for i in range(50))


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        (None, {}, "There is no file .*check --data.csv"),
        ("", {}, "cannot be read as CSV"),
        ("x,y\n", {}, "has no rows"),
        (NUMBERS, {"target": "z"}, "has no column z for --data.target. .*Its columns are x, y"),
        (NUMBERS, {"drop": ["xx"]}, "has no column xx for --data.drop. Did you mean x"),
        (NUMBERS + "3,\n", {}, "1 rows have no y, the first is line 52"),
        (NUMBERS + "3,high\n", {}, "line 52: y is 'high', not a number as in the other rows, such as 0.5"),
        ("x,y\n" + "1,a\n2,b\n" * 25, {"task": "regression"}, "holds 'a' in line 2, which is not a finite number"),
        (NUMBERS + "inf,3.5\n" * 30, {}, "The column x holds infinite values"),
        ("x,y\n" + "1,3\n" * 50, {}, "has one class only, 3"),
        ("x,y\n" + "1,3.5\n" * 50, {}, "The target y is constant"),
        ("x,y\n" + "".join(f"5,{i}.5\n" for i in range(50)), {}, "No column of the table can be learned from"),
        (NUMBERS, {"log_columns": ["q"]}, "log_columns takes numeric columns"),
        ("x,y\n1,0\n2,1\n", {}, "leave none for"),
        ("x,y,y\n" + "1,2,3\n" * 50, {}, "has several columns y"),
        ("x,y\n" + "1,2,3\n" * 50, {}, "more fields than its header"),
        ("x,y\n" + "".join(f"{i},no {i}\n" for i in range(50)), {}, "50 different texts in 50 rows"),
        ("x,y\n" + "".join(f"{i},{4e15 + i / 2}\n" for i in range(50)), {}, "varies too little"),
        (NUMBERS, {"folds": 1}, "1 folds of 50 samples are not possible"),
    ],
)
@pytest.mark.filterwarnings("ignore:Columns that")
def test_a_table_that_cannot_be_used_is_refused_in_one_sentence(written, tmp_path, text, settings, message):
    path = str(tmp_path / "none.csv") if text is None else written(text)
    with pytest.raises(InputError, match=message):
        TabularDataModule(**{"csv": path, "target": "y", **settings}).setup()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "csv"}, "needs --data.csv"),
        ({"csv": "x.csv"}, "needs --data.csv FILE and --data.target COLUMN"),
        ({"target": "y"}, "are for a table of your own"),
        ({"dataset": "titanic"}, "There is no dataset 'titanic'"),
        ({"val_fraction": 0.0}, "val_fraction and test_fraction"),
        ({"batch_size": 0}, "batch_size must be positive"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        TabularDataModule(**settings)


@pytest.mark.realdata
@pytest.mark.skipif("NNZOO_DATA" not in os.environ, reason="$NNZOO_DATA, the folder of the real data, is not set")
@pytest.mark.filterwarnings("ignore:Columns that")
def test_mnist_as_a_table_keeps_its_official_test_part():
    data = TabularDataModule(dataset="mnist", val_fraction=0.05)
    data.setup()
    assert {part: len(data.parts[part]) for part in data.parts} == {"train": 57_000, "val": 3_000, "test": 10_000}
    assert data.classes == [str(digit) for digit in range(10)]
    assert data.num_numeric < 784, "pixels that are always white are left out"


def test_classes_that_are_numbers_are_in_the_order_of_numbers(written):
    """And not of texts, in which 10 comes before 2."""
    table = pd.DataFrame({"x": np.arange(240.0) % 17, "kind": np.arange(240) % 12})
    data = TabularDataModule(csv=written(table), target="kind", task="classification")
    data.setup()
    assert data.classes == [str(number) for number in range(12)]
    rows = data.predicted_rows()
    assert rows["kind"].astype(int).tolist() == data.parts["test"].labels.tolist()


def test_statistics_of_the_target_are_those_of_the_training_part(written):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=100), "price": rng.lognormal(size=100)})
    data = TabularDataModule(csv=written(table), target="price")
    train = table["price"].to_numpy()[data._rows["train"]]
    assert data.target_mean == pytest.approx(train.mean(), rel=1e-5)
    assert data.target_std == pytest.approx(train.std(), rel=1e-5)
    assert data.target_mean != pytest.approx(table["price"].mean(), rel=1e-3)
