"""Where tables come from, and which options act with which."""

import numpy as np
import pandas as pd
import pytest
import torch
from jsonargparse import ArgumentParser

from nnzoo import InputError, TabularDataModule
from nnzoo.data.splits import PARTS
from nnzoo.data.tables.sources import SOURCES, Table, TableSource
from nnzoo.data.tables.target import class_names
from support.image_data import make_mnist
from support.room import module_with

BUILT_IN = ["digits", "breast_cancer", "wine", "iris", "diabetes"]


class Sums(TableSource):
    """Two numbers and their sum."""

    name = "sums"
    uses = ("test_fraction", "root")

    def load(self):
        rows = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"])
        return Table(rows, rows.sum(axis=1).rename("sum"), ["train"] * 60)


def test_a_new_source_works_by_being_there(monkeypatch, tmp_path):
    sums = module_with(monkeypatch, "tables", Sums).TabularDataModule
    data = sums(dataset="sums", test_fraction=0.2, root=str(tmp_path), scaling="none", batch_size=10)
    assert (data.task, data.classes, data.num_numeric) == ("regression", [], 2)
    data.prepare_data()
    data.setup()
    assert [len(data.parts[part]) for part in PARTS] == [39, 9, 12]
    for numeric, _, target in data.test_dataloader():
        torch.testing.assert_close(numeric.sum(1), target)
    assert list(data.predicted_rows().columns) == ["row", "sum"]
    with pytest.raises(InputError, match="are for a table of your own"):
        sums(dataset="sums", target="a")
    with pytest.raises(InputError, match=r"root does nothing .* set --data\.dataset mnist or sums"):
        sums(dataset="iris", root=str(tmp_path))
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(sums, "data")
    assert parser.parse_args(["--data.dataset", "sums"]).data.dataset == "sums"
    assert f"{{{','.join(BUILT_IN)},mnist,csv,sums}}" in parser.format_help()


def test_a_source_is_chosen_by_its_name_in_the_order_of_the_help():
    assert list(SOURCES) == [*BUILT_IN, "mnist", "csv"]
    with pytest.raises(InputError, match=f"choose one of {', '.join(BUILT_IN)}, mnist, csv"):
        TabularDataModule(dataset="titanic")


def test_options_act_with_the_sources_that_read_them():
    acting = {option: names for option, (choice, names) in TabularDataModule.acts_with.items() if choice == "dataset"}
    own = {option: ["csv"] for option in ("csv", "target", "test_csv", "predict_csv", "drop")}
    assert acting == {"test_fraction": [*BUILT_IN, "csv"], "root": ["mnist"], **own}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "iris", "root": "x"}, "root does nothing with dataset iris: leave it out, or set --data.dataset"),
        ({"csv": "x.csv", "target": "y", "root": "x"}, "root does nothing with dataset csv: .* --data.dataset mnist"),
        ({"dataset": "wine", "drop": ["ash"]}, "drop does nothing with dataset wine: .* --data.dataset csv"),
        ({"drop": "ash"}, "drop does nothing with dataset digits"),
        ({"dataset": "mnist", "test_fraction": 0.2}, "test_fraction does nothing with dataset mnist: leave it out"),
        ({"dataset": "mnist", "test_csv": "t.csv"}, "are for a table of your own: add --data.csv FILE"),
        ({"dataset": "iris", "predict_csv": "p.csv"}, "are for a table of your own: add --data.csv FILE"),
        ({"target": "y"}, "are for a table of your own: add --data.csv FILE"),
    ],
)
def test_an_option_that_does_not_act_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        TabularDataModule(**settings)


@pytest.mark.parametrize("dataset", BUILT_IN)
def test_what_leaves_out_nothing_is_accepted_with_any_source(dataset):
    TabularDataModule(dataset=dataset, drop=(), categorical=[], root=None, test_fraction=0.2)


def test_columns_of_a_built_in_set_may_be_categories_and_must_exist():
    data = TabularDataModule(dataset="diabetes", categorical=["sex"])
    assert (data.num_numeric, data.cardinalities) == (9, [2])
    with pytest.raises(InputError, match=r"diabetes has no column sx for --data\.categorical\. Did you mean sex"):
        TabularDataModule(dataset="diabetes", categorical=["sx"]).setup()


@pytest.fixture
def made(tmp_path):
    """Settings of each source, with the files that it needs."""
    make_mnist(tmp_path / "MNIST" / "raw", num_test=50)
    table = pd.DataFrame({"x": np.arange(90) / 7, "y": np.arange(90) % 3, "town": ["Rome", "Oslo"] * 45})
    table[:60].to_csv(tmp_path / "table.csv", index=False)
    table[60:].to_csv(tmp_path / "test.csv", index=False)
    own = {"csv": str(tmp_path / "table.csv"), "target": "y", "test_csv": str(tmp_path / "test.csv")}
    return {"mnist": {"root": str(tmp_path)}, "csv": own}


@pytest.mark.parametrize("name", SOURCES)
def test_what_a_source_knows_agrees_with_what_it_loads(name, made):
    data = TabularDataModule(dataset=name, **made.get(name, {}))
    source = data.source
    source.fetch()
    rows, target, official, written = source.load()
    assert (written is not None) == (name == "csv")
    assert len(rows) == len(target) == len(official)
    assert target.name not in rows.columns
    if source.pixels:
        assert rows.to_numpy().min() == 0
    if source.classes:
        assert source.classes == sorted(target.unique())
    assert set(official) == set(PARTS if source.is_split else ["train", "test"] if name == "csv" else ["train"])
    data.setup()
    known = set(class_names(target)) if data.task == "classification" else set()
    assert (set(data.classes), data.num_classes) == (known, len(known))
    for part in PARTS:
        dataset = data.parts[part]
        assert dataset.numeric.shape[1:] == (data.num_numeric,)
        assert dataset.categories.shape[1:] == (len(data.cardinalities),)
        assert not source.is_split or len(dataset) == official.count(part)
    assert len(data.predicted_rows()) == len(data.parts["test"])
    assert sum(len(data.parts[part]) for part in PARTS) == len(rows)


def test_mnist_knows_its_task_and_classes_before_it_is_downloaded(tmp_path):
    data = TabularDataModule(dataset="mnist", root=str(tmp_path))
    assert (data.task, data.classes) == ("classification", [str(digit) for digit in range(10)])


@pytest.mark.parametrize("task", ["auto", "regression"])
def test_mnist_as_a_table_has_the_rows_and_folds_of_its_images(tmp_path, task):
    official = make_mnist(tmp_path / "MNIST" / "raw")
    data = TabularDataModule(dataset="mnist", root=str(tmp_path), task=task, scaling="none", log_columns=[], folds=4)
    data.setup()
    images = data.source.images
    for part in PARTS:
        numeric, labels = data.arrays(part)
        pixels, digits = images.tensors(part)
        np.testing.assert_array_equal(numeric, pixels.flatten(1))
        np.testing.assert_array_equal(labels, digits)
    assert len(data.parts["test"]) == len(official["train"][1]) / 4


def test_a_target_that_says_na_is_a_class_with_a_warning(tmp_path):
    lines = [f"{i},{('yes', 'no', 'NA')[i % 3]}\n" for i in range(60)]
    (tmp_path / "my.csv").write_text("x,y\n" + "".join(lines))
    data = TabularDataModule(csv=str(tmp_path / "my.csv"), target="y")
    with pytest.warns(UserWarning, match="20 rows have the text NA as their y, which counts as a class"):
        data.setup()
    assert data.classes == ["NA", "no", "yes"]
