"""The training file fixes what a column is, whatever another file looks like to a parser."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from nnzoo import InputError
from nnzoo.data.columns import Format, formats_of, read_columns, sorted_names, without_counter
from nnzoo.data.csv_file import read_csv


@pytest.fixture
def frame(tmp_path):
    """Writes a text and reads it as the texts that stand in it."""

    def write_and_read(text):
        (tmp_path / "my.csv").write_text(text, encoding="utf-8")
        return read_csv(tmp_path / "my.csv")

    return write_and_read


def column(name, values, separator=","):
    """A file's text, with a second column so that its separator is known."""
    quoted = [f'"{value}"' if separator in value else value for value in values]
    return "\n".join([f"{name}{separator}z", *(f"{value}{separator}{n % 7}" for n, value in enumerate(quoted))]) + "\n"


def kind_of(frame, values, **settings):
    return formats_of(frame(column("x", values)), "my.csv", **settings)["x"].kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2", "", "4"], "number"),
        (["1.5", "NA", "nan", "-2e3"], "number"),
        (["True", "FALSE", "", "true"], "truth"),
        (["2024-01-31", "", "2024-02-01"], "date"),
        (["31/01/2024 10:00", "01/02/2024 11:00"], "date"),
        (["None", "NA", "x"], "text"),
        (["01A", "02", "03"], "text"),
        (["00501", "98101", "10001"], "text"),
        (["9007199254740993", "9007199254740992"], "text"),
        (["May", "June"], "text"),
        (["$17.70", "$5"], "number"),
        (["", "NA"], "text"),
    ],
)
def test_what_a_column_holds_follows_from_what_is_written(frame, values, kind):
    assert kind_of(frame, values) == kind


def read_as(frame, trained, other, **settings):
    formats = formats_of(frame(column("x", trained)), "my.csv", **settings)
    formats = {name: Format.from_plain(known.plain()) for name, known in formats.items()}  # as a checkpoint keeps it
    return read_columns(frame(column("x", other)), formats, "new.csv")["x"]


@pytest.mark.parametrize(
    ("trained", "other", "expected", "texts"),
    [
        (["1", "2", "3"], ["3.0", "", "1.0"], ["3", None, "1"], ["x"]),
        (["1.0", "", "3.0"], ["3", "1"], ["3", "1"], ["x"]),
        (["TRUE", "FALSE"], ["False", "", "1", "0"], ["False", None, "True", "False"], []),
        (["01A", "02", "03"], ["02", "03"], ["02", "03"], []),
        (["01", "02"], ["02", ""], ["02", None], []),
        (["None", "NA", "x"], ["NA", "None", ""], ["NA", "None", None], []),
        (["9007199254740993", "1"], ["9007199254740993", ""], ["9007199254740993", None], ["x"]),
        (["1", "2", ""], ["7", "NA"], [7.0, None], []),
        (["1,000", "2,500"], ["3,000", "4"], [3000.0, 4.0], []),
        (["5 %", "7.5 %"], ["80%", ""], [80.0, None], []),
    ],
)
def test_another_file_is_read_as_the_training_file(frame, trained, other, expected, texts):
    read = read_as(frame, trained, other, texts=texts)
    assert [None if pd.isna(value) else value for value in read] == expected


@pytest.mark.parametrize(
    ("trained", "other", "says"),
    [
        (
            ["1", "2.5"],
            ["3", "many"],
            r"new\.csv, line 3: x is 'many', not a number as in the training file, such as 1",
        ),
        (["1", "2.5"], ["1,5", "2"], r"line 2: x is '1,5', not a number"),
        (["$5", "$6"], ["$7", "8"], r"line 3: x is '8', not a number as in the training file, such as \$5"),
        (["true", "false"], ["true", "yes"], "line 3: x is 'yes', not True or False as in the training file"),
        (["2024-01-31", "2024-02-01"], ["2024-02-01", "45323"], "line 3: the time '45323' cannot be read"),
        (["2024-01-31", "2024-02-01"], ["01/02/2024", "03/02/2024"], "may have the day or the month first"),
        (["2024-01-31", "2024-02-01"], ["45322", "45323"], "line 2: x is '45322', not a date as in the training file"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_line(frame, trained, other, says):
    with pytest.raises(InputError, match=says):
        read_as(frame, trained, other)


def test_a_file_decides_on_the_order_of_its_dates_where_the_training_file_has_the_year_first(frame):
    assert read_as(frame, ["2024-01-31", "2024-02-01"], ["13/02/2024", "01/03/2024"]).dt.month.tolist() == [2, 3]


def test_times_with_offsets_stand_beside_times_without(frame):
    trained = ["2024-01-31 10:00+02:00", "2024-01-31 12:00+02:00"]
    assert read_as(frame, trained, trained).tolist() == [
        pd.Timestamp("2024-01-31 08:00"),
        pd.Timestamp("2024-01-31 10:00"),
    ]
    assert read_as(frame, trained, ["2024-02-01 09:00"]).tolist() == [pd.Timestamp("2024-02-01 09:00")]


def test_dates_are_read_in_the_order_of_the_training_file(frame):
    read = read_as(frame, ["31/01/2024", "01/02/2024"], ["03/04/2024"])
    assert read.dt.month.tolist() == [4]


@pytest.mark.parametrize("wrong", ["?", "unknown", "5O"])
def test_one_text_among_numbers_is_named_and_makes_no_category_of_them(frame, wrong):
    values = [str(number) for number in range(60)]
    values[6] = wrong
    with pytest.raises(InputError, match=rf"line 8: x is '{re.escape(wrong)}', not a number as in the other rows"):
        kind_of(frame, values)
    assert kind_of(frame, values, texts=["x"]) == "text"


def test_one_text_among_dates_is_named(frame):
    days = [str(day.date()) for day in pd.date_range("2024-01-01", periods=60)]
    with pytest.raises(InputError, match="line 62: x is 'soon', not a date as in the other rows"):
        kind_of(frame, [*days, "soon"])


def test_separators_and_marks_of_a_file_decide_what_a_column_alone_does_not(frame):
    def values(text):
        frame_ = frame(text)
        return read_columns(frame_, formats_of(frame_, "my.csv"), "my.csv")["x"].tolist()

    assert values('x,z\n"1,000",0.5\n"2,345",1\n') == [1000, 2345]
    assert values("x;z\n1.234;0,5\n12;1,25\n") == [1234, 12]
    assert values("x;z\n1.234;0.5\n12;1.25\n") == [1.234, 12]
    assert values("x;z\n1,234;5\n12,5;6\n") == [1.234, 12.5]
    assert values('x,z\n"1,5","2,25"\n"0,5","3"\n') == [1.5, 0.5]
    with pytest.raises(InputError, match=r"numbers of x may have a decimal mark or a separator .*such as 1\.234"):
        values("x;z\n1.234;5\n12;6\n")
    with pytest.raises(InputError, match=r"numbers of x may have a decimal mark"):
        values('x,y,z\n"1,234","0,5",0.5\n"5,678","1,5",2.5\n')


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "rownames"])
def test_a_column_that_numbers_the_rows_is_left_out_with_a_word(frame, name):
    numbered = frame(f"{name},x\n0,a\n5,b\n3,c\n")
    with pytest.warns(UserWarning, match="numbers the rows and is left out"):
        assert list(without_counter(numbered, "my.csv").columns) == ["x"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(without_counter(numbered, "my.csv", [name]).columns) == [name, "x"]
        other = frame(f"x,{name or 'index'}\na,2\nb,2\n")
        assert len(without_counter(other, "my.csv").columns) == 2, "a column with a name that repeats is no counter"


def test_columns_that_number_the_rows_of_a_file_written_several_times_are_left_out(frame):
    written = frame(",Unnamed: 0.1,Unnamed: 0,x\n0,0,3,a\n1,1,5,b\n")
    with pytest.warns(UserWarning, match="numbers the rows and is left out") as told:
        assert list(without_counter(written, "my.csv").columns) == ["x"]
    assert len(told) == 3
    inner = frame("x,Unnamed: 0\na,0\nb,1\n")
    assert list(without_counter(inner, "my.csv").columns) == ["x", "Unnamed: 0"]


def test_names_of_whole_numbers_are_in_their_order():
    assert sorted_names([str(number) for number in range(11)]) == [str(number) for number in range(11)]
    assert sorted_names(["10", "9", "x"]) == ["10", "9", "x"]


def test_formats_are_plain_values(frame, tmp_path):
    formats = formats_of(frame("x,y,z\n$5,2024-01-31,a\n$6,2024-02-01,b\n"), "my.csv")
    torch.save({name: known.plain() for name, known in formats.items()}, tmp_path / "x.pt")
    loaded = torch.load(tmp_path / "x.pt", weights_only=True)
    assert {name: Format.from_plain(values) for name, values in loaded.items()} == formats


def test_numbers_are_as_exact_as_pythons_own(frame):
    texts = [repr(number) for number in np.random.default_rng(0).normal(0, 1e5, 500).tolist()]
    read = read_as(frame, texts, texts)
    assert read.tolist() == [float(text) for text in texts]
