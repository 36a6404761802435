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
    table = read("name,x\na,1.5\nb,2\n".replace(",", mark))
    assert table["x"].tolist() == [1.5, 2.0]
    assert table["name"].tolist() == ["a", "b"]


def test_with_semicolons_numbers_may_have_decimal_commas(read):
    assert read("x;y\n1,5;2\n2,25;3\n")["x"].tolist() == [1.5, 2.25]
    assert read("x;y\n1.5;2\n2.25;3\n")["x"].tolist() == [1.5, 2.25]
    assert read("x;word\n1,5;a,b\n2,25;c\n")["word"].tolist() == ["a,b", "c"]


def test_a_header_with_commas_in_quotes_counts_as_one_column(read):
    assert list(read('"size, cm";x\n1;2\n').columns) == ["size, cm", "x"]


def test_in_columns_of_texts_only_empty_fields_are_missing_in_numbers_na_is_too(read):
    table = read("place,x\nNA,1\nNone,NA\n,3\n  null ,\n")
    assert table["place"].fillna("-").tolist() == ["NA", "None", "-", "null"]
    assert table["x"].isna().tolist() == [False, True, False, True]


def test_texts_are_kept_as_they_stand_if_asked_for(read):
    table = read("asked,answer\n007,NA\n 1.50 ,\n", texts=True)
    assert table.to_numpy().tolist() == [["007", "NA"], [" 1.50 ", ""]]


def test_commas_at_the_ends_of_lines_make_no_column(read):
    table = read("date,units,\n2021-01-01,100,\n2021-01-02,101,\n")
    assert list(table.columns) == ["date", "units"]
    assert table["units"].tolist() == [100, 101]


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data(tmp_path):
    (tmp_path / "excel.csv").write_bytes("\ufeffname,x\r\na,1\r\n".encode())
    assert read_csv(tmp_path / "excel.csv").to_dict("list") == {"name": ["a"], "x": [1]}


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
@pytest.mark.parametrize("texts", [False, True])
def test_what_is_no_table_is_refused_in_one_sentence(read, text, says, texts):
    with pytest.raises(InputError, match=says) as error:
        read(text, texts=texts)
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
