import csv
import io

import pandas as pd
import pytest

from nnzoo import InputError
from nnzoo.data.csv_file import check_columns, read_csv


@pytest.fixture
def read(tmp_path):
    """Writes a text and reads it as CSV."""

    def write_and_read(text, **settings):
        (tmp_path / "my.csv").write_text(text, encoding="utf-8")
        return read_csv(tmp_path / "my.csv", **settings)

    return write_and_read


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_may_be_separated_by_commas_semicolons_or_tabs(read, mark):
    table = read("name,x\na,1.50\nb,2\n".replace(",", mark))
    assert table.to_dict("list") == {"name": ["a", "b"], "x": ["1.50", "2"]}
    assert table.attrs["separator"] == mark


def test_a_header_with_commas_in_quotes_counts_as_one_column(read):
    assert list(read('"size, cm";x\n1;2\n').columns) == ["size, cm", "x"]


def test_everything_is_kept_as_the_text_that_stands_in_the_file(read):
    text = "asked,answer\n007,NA\n1.50 ,\n"
    assert read(text).to_numpy().tolist() == [["007", "NA"], ["1.50", ""]]
    assert read(text, strip=False).to_numpy().tolist() == [["007", "NA"], ["1.50 ", ""]]


def test_quotes_after_spaces_hold_separators_and_line_breaks(read):
    """As the standard library's reader has them with skipinitialspace."""
    text = 'a, b, c\n1, "x, y", 0\n2, "one\ntwo", 1\n3, plain, 0\n'
    table = read(text)
    expected = list(csv.reader(io.StringIO(text), skipinitialspace=True))[1:]
    assert table.to_numpy().tolist() == expected
    assert (table.index + 2).tolist() == [2, 3, 5], "the lines on which the rows begin"


def test_blank_lines_are_no_rows_but_count_as_lines(read):
    table = read("\nx,y\n1,2\n\n3,4\n\n")
    assert table["x"].tolist() == ["1", "3"]
    assert (table.index + 2).tolist() == [3, 5]


def test_a_line_that_ends_early_has_empty_fields(read):
    assert read("a,b,c\n1,2\n").to_numpy().tolist() == [["1", "2", ""]]


def test_commas_at_the_ends_of_lines_make_no_column(read):
    assert read("date,units,\n2021-01-01,100,\n").to_dict("list") == {"date": ["2021-01-01"], "units": ["100"]}


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data(tmp_path):
    (tmp_path / "excel.csv").write_bytes("\ufeffname,x\r\na,1\r\n".encode())
    assert read_csv(tmp_path / "excel.csv").to_dict("list") == {"name": ["a"], "x": ["1"]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cannot be read as CSV"),
        ('a,b\n"1,2\n', "cannot be read as CSV"),
        ("a,b\n1,2\n1,2,3\n", "cannot be read as CSV"),
        ("a,b\n", "no rows below its header"),
        ("a,b,b\n1,2,3\n", "several columns b"),
        ("date,units\n2021-01-01,100,\n2021-01-02,101,\n", "more fields than its header"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(read, text, says):
    with pytest.raises(InputError, match=says) as error:
        read(text)
    assert "\n" not in str(error.value)


def test_files_that_are_absent_or_in_another_encoding(tmp_path):
    with pytest.raises(InputError, match=r"no file .*absent\.csv: check --data\.predict_csv"):
        read_csv(tmp_path / "absent.csv", "predict_csv")
    with pytest.raises(InputError, match="There is no file"):
        read_csv(tmp_path)
    (tmp_path / "latin.csv").write_bytes("Stück,a\n1,2\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_csv(tmp_path / "latin.csv")


def test_a_column_that_is_not_there_is_told_with_the_nearest():
    table = pd.DataFrame({"price": [1], "area": [2]})
    check_columns(table, ["price", "area"], "--data.target", "my.csv")
    with pytest.raises(InputError, match=r"my.csv has no column prise for --data.target. Did you mean price\?"):
        check_columns(table, ["prise"], "--data.target", "my.csv")


def test_columns_may_have_the_names_of_missing_values(read):
    assert list(read("NA,null,x\n1,2,3\n").columns) == ["NA", "null", "x"]


def test_rows_without_any_value_are_left_out_with_a_word_but_at_the_end(read):
    with pytest.warns(UserWarning, match="2 rows without any value are left out, the first is line 3"):
        assert read("a,b\n1,2\n,\n\n3,4\n\n,\n")["a"].tolist() == ["1", "3"]
