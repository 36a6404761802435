import json

import pytest

from nnzoo.data.csv_file import line_of
from nnzoo.data.text.files import read_texts
from nnzoo.data.text.rows import read_training
from nnzoo.errors import InputError
from support.text_files import tsv, write


def training(path, text=None, pair=None, target=()):
    frame, columns = read_training(str(path), "train_file", text, pair, list(target))
    return frame, columns, frame.attrs["header"]


@pytest.mark.parametrize("first", ["text\tlabel", "label\tsentence", "Review\tsentiment", "idx\ttext\tclass"])
def test_a_first_line_of_usual_names_is_a_header(tmp_path, first):
    width = first.count("\t") + 1
    rows = [["good film"] * width, ["bad film"] * width]
    frame, _, header = training(tsv(tmp_path / "a.tsv", rows, first.split("\t")))
    assert header
    assert len(frame) == 2


@pytest.mark.parametrize("first", ["a good text\t1", "text me, label it\tx", "label\tgood"])
def test_any_other_first_line_is_a_text(tmp_path, first):
    label = first.split("\t")[1]
    frame, columns, header = training(tsv(tmp_path / "a.tsv", [first.split("\t"), ["b", label], ["c", "z"]]))
    assert not header
    assert frame["text"].tolist() == [first.split("\t")[0], "b", "c"]
    assert (columns.text, columns.target) == ("text", ["label"])


def test_named_columns_make_the_first_line_a_header(tmp_path):
    path = tsv(tmp_path / "a.tsv", [["x", "good"], ["y", "bad"]], ["phrase", "polarity"])
    frame, _, header = training(path, text="phrase", target=["polarity"])
    assert header
    assert frame["phrase"].tolist() == ["x", "y"]
    with pytest.raises(InputError, match=r"no column sentence for --data.text.* Its columns are phrase, polarity"):
        training(path, text="sentence", target=["polarity"])
    with pytest.raises(InputError, match=r"which column is it\? Set --data.target to one of polarity"):
        training(path, text="phrase")


def test_a_header_of_unusual_names_is_suspected(tmp_path):
    for labels in (["0", "1"], ["good", "bad"], ["1.5", "2.25"]):
        rows = [[f"text {i}", labels[i % 2]] for i in range(10)]
        with pytest.raises(InputError, match=r"--data\.text 'phrase' --data.target 'polarity'; if not"):
            training(tsv(tmp_path / "a.tsv", rows, ["phrase", "polarity"]))
        assert len(training(tsv(tmp_path / "b.tsv", rows))[0]) == 10


def test_quotation_marks_of_a_tsv_file(tmp_path):
    plain = [['" a mark at the start', "1"], ['b " c', "0"], ['5" tall, wide', "1"]]
    frame, _, _ = training(tsv(tmp_path / "plain.tsv", plain))
    assert frame["text"].tolist() == [row[0] for row in plain]
    quoted = [['"say ""yes"""', "1"], ['"a, b"', "0"], ["c", "1"]]
    assert training(tsv(tmp_path / "quoted.tsv", quoted))[0]["text"].tolist() == ['say "yes"', "a, b", "c"]


def test_commas_and_semicolons_in_texts_do_not_separate_columns(tmp_path):
    rows = [["one, two; three, four", "1"], ["five", "0"], ["six, seven", "1"]]
    for name in ("a.tsv", "a.csv"):  # the tab is on every line
        assert training(tsv(tmp_path / name, rows))[0]["text"].tolist() == [row[0] for row in rows]
    path = write(tmp_path / "b.csv", ['"one, two",good', '"three, four",bad', "five,bad"])
    assert training(path)[0]["text"].tolist() == ["one, two", "three, four", "five"]


def test_lines_are_those_of_the_file(tmp_path):
    header = read_texts(write(tmp_path / "a.csv", ["text,label", '"a\nb",1', "c,2"]), "train_file")
    assert [line_of(header["label"] == label) for label in "12"] == [2, 4]
    without = read_texts(write(tmp_path / "b.csv", ['"a\nb",1', "c,2"]), "train_file")
    assert [line_of(without["label"] == label) for label in "12"] == [1, 3]
    lines = read_texts(write(tmp_path / "c.txt", ["a", "b"]), "predict_file")
    assert line_of(lines["text"] == "b") == 2


def test_json_lines(tmp_path):
    rows = [{"text": " a\u2028b ", "label": 1, "tags": ["x", "y"]}, {"text": "c", "label": None, "tags": []}]
    path = write(tmp_path / "a.jsonl", [json.dumps(rows[0]), "", json.dumps(rows[1])])
    frame, _, _ = training(path)
    assert frame["text"].tolist() == ["a\u2028b", "c"]
    assert frame["label"].tolist() == ["1", ""]
    assert frame["tags"].tolist() == ["x\ny", ""]
    assert line_of(frame["text"] == "c") == 3


@pytest.mark.parametrize(
    ("name", "lines", "says"),
    [
        ("a.jsonl", ['{"text": "a"', "{}"], "line 1 is no JSON"),
        ("a.jsonl", ['["a", 1]'], "line 1 is no JSON object"),
        ("a.jsonl", [""], "has no rows"),
        ("a.tsv", ["a\t1", "b\t2\t3\t4"], "cannot be read as CSV"),
        ("a.tsv", ["a", "b"], "has texts but no labels"),
        ("a.txt", ["a", "b"], "has texts but no labels"),
        ("a.txt", ["", ""], "holds no text"),
    ],
)
def test_bad_files(tmp_path, name, lines, says):
    with pytest.raises(InputError, match=says):
        training(write(tmp_path / name, lines))


@pytest.mark.parametrize("name", ["a.txt", "a.tsv", "a.csv", "a.jsonl"])
def test_files_that_are_no_text(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xfe\x00a\tb\n")
    with pytest.raises(InputError, match=r"is no UTF-8 text|cannot be read as CSV"):
        training(tmp_path / name)
