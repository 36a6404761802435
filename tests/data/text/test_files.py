import json

import pandas as pd
import pytest

from nnzoo.data.csv_file import line_of
from nnzoo.data.text.files import read_texts
from nnzoo.data.text.rows import Columns, read_new, read_training
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
    with pytest.raises(InputError, match=r"which column is the target\? Set --data.target to one of polarity"):
        training(path, text="phrase")


def test_a_header_of_unusual_names_is_suspected(tmp_path):
    for labels in (["0", "1"], ["good", "bad"], ["1.5", "2.25"], ["1,5", "2,25"]):
        rows = [[f"text {i}", labels[i % 2]] for i in range(10)]
        with pytest.raises(InputError, match=r"--data\.text 'phrase' --data.target 'polarity'; if not"):
            training(tsv(tmp_path / "a.tsv", rows, ["phrase", "polarity"]))
        assert len(training(tsv(tmp_path / "b.tsv", rows))[0]) == 10


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet", "a.json"])
def test_other_kinds_of_files_are_refused_in_a_sentence(tmp_path, name):
    path = write(tmp_path / name, ['[{"text": "a", "label": "b"}]'])
    with pytest.raises(InputError, match=r"save it as one of these|write (one|an object) a line"):
        training(path)


def test_several_columns_without_a_known_header_are_asked_about(tmp_path):
    path = write(tmp_path / "a.csv", ["id,what they wrote,verdict", "1,a fine film,good", "2,a dull one,bad"])
    with pytest.raises(InputError, match=r"which of its 3 columns are meant.*header \(id, what they wrote, verdict\)"):
        training(path)
    assert training(path, text="what they wrote", target=["verdict"])[1].target == ["verdict"]


def test_quotation_marks_of_a_tsv_file(tmp_path):
    plain = [['" a mark at the start', "1"], ['b " c', "0"], ['5" tall, wide', "1"]]
    frame, _, _ = training(tsv(tmp_path / "plain.tsv", plain))
    assert frame["text"].tolist() == [row[0] for row in plain]
    quoted = [['"say ""yes"""', "1"], ['"a, b"', "0"], ["c", "1"]]
    assert training(tsv(tmp_path / "quoted.tsv", quoted))[0]["text"].tolist() == ['say "yes"', "a, b", "c"]


@pytest.mark.parametrize("last", ['" alone again', 'alone at the end "'])
def test_a_lone_quotation_mark_behind_enclosed_fields_takes_in_no_rows(tmp_path, last):
    rows = [[f"text {i}", str(i % 2)] for i in range(300)]
    rows[3][0], rows[250][0], rows[260][0] = '"enclosed"', '"alone', last
    assert training(tsv(tmp_path / "a.tsv", rows))[0]["text"].tolist() == [text for text, _ in rows]


def test_a_tsv_file_of_pandas_may_have_texts_of_several_lines(tmp_path):
    rows = pd.DataFrame({"text": [f'line\nsaid "{i}"' for i in range(4)], "label": [0, 1, 0, 1]})
    rows.to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    assert training(tmp_path / "a.tsv")[0]["text"].tolist() == rows["text"].tolist()


def test_a_quotation_mark_of_a_csv_file_that_is_not_closed_is_named(tmp_path):
    rows = ["text,label", '"two\nlines",1', '"open,0', "b,1", '" c,0', "d,1"]
    with pytest.raises(InputError, match="line 4: the quotation mark at the start of a field is not closed"):
        training(write(tmp_path / "a.csv", rows))
    inner = ['5" tall,1', '"two, ""b""\nlines",0', '"c", 1']
    assert training(write(tmp_path / "b.csv", inner))[0]["text"].tolist() == ['5" tall', 'two, "b"\nlines', "c"]


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


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_json_lines(tmp_path, name):
    rows = [{"text": " a\u2028b ", "label": 1, "tags": ["x", "y"]}, {"text": "c", "label": None, "tags": []}]
    path = write(tmp_path / name, [json.dumps(rows[0]), "", json.dumps(rows[1])])
    frame, _, _ = training(path)
    assert frame["text"].tolist() == ["a\u2028b", "c"]
    assert frame["label"].tolist() == ["1", ""]
    assert frame["tags"].tolist() == ["x\ny", ""]
    assert line_of(frame["text"] == "c") == 3


def test_values_of_json_that_are_no_texts(tmp_path):
    rows = [{"text": "cut \ud83d", "label": True}, {"text": "\U0001f600", "label": float("nan")}]
    frame = read_texts(write(tmp_path / "a.jsonl", map(json.dumps, rows)), "train_file")
    assert frame["text"].tolist() == ["cut \ufffd", "\U0001f600"]
    assert frame["label"].tolist() == ["True", ""]


def test_lines_of_plain_text_end_where_editors_end_them(tmp_path):
    """Not at a form feed or a separator of Unicode, at which Python's splitlines does."""
    (tmp_path / "a.txt").write_bytes("\ufeffa\u2028b\r\nc\x0cd\r\ne\x85f\r\n".encode())
    assert read_texts(tmp_path / "a.txt", "predict_file")["text"].tolist() == ["a\u2028b", "c\x0cd", "e\x85f"]


def test_the_first_line_of_new_texts_is_a_header_by_its_name_alone(tmp_path):
    columns = Columns("phrase", None, ["polarity"])
    for first, texts in (("phrase", ["a", "b"]), ("Sentence", ["a", "b"]), ("so fine", ["so fine", "a", "b"])):
        path = write(tmp_path / "a.csv", [first, "a", "b"])
        assert read_new(path, "predict_file", columns, header=True)["phrase"].tolist() == texts


@pytest.mark.parametrize(
    ("name", "lines", "says"),
    [
        ("a.jsonl", ['{"text": "a"', "{}"], "line 1 is no JSON"),
        ("a.jsonl", ['["a", 1]'], "line 1 is no JSON object"),
        ("a.jsonl", [""], "has no rows"),
        ("a.json", ['[{"text": "a"}, {"text": "b"}]'], "is one list of objects: write an object a line"),
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
