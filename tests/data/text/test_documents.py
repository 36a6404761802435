"""Which column of a file with several a language model reads."""

import pytest

from nnzoo.data.text.documents import read_documents
from nnzoo.errors import InputError
from support.text_files import write


def read(path, **columns):
    columns = {"text": None, "prompt": None, "answer": None} | columns
    return [document[0] for document in read_documents(str(path), "train_file", **columns, unit="file").texts]


@pytest.mark.parametrize("names", ["prompt,answer", "question,label"])
def test_prompts_are_not_read_without_their_answers_unless_that_is_said(tmp_path, names):
    path = write(tmp_path / "chats.csv", [names, "What is it?,A list.", "And this?,A file."])
    with pytest.raises(InputError, match=r"Set --data.text to one of .*; of prompts with answers, both --data.prompt"):
        read(path)
    assert read(path, text=names.split(",")[1]) == ["A list.", "A file."]


def test_several_columns_without_a_known_header_are_warned_of(tmp_path):
    path = write(tmp_path / "a.csv", ["id,what they wrote,verdict", "1,a fine film,good", "2,a dull one,bad"])
    with pytest.warns(UserWarning, match=r"of its 3 columns the first alone .* name a column by --data.text"):
        read(path)
    assert read(path, text="what they wrote") == ["a fine film", "a dull one"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [(["sentence,label", "one,1", "two,0"], "the column sentence is read alone"), (["text", "one", "two"], None)],
)
def test_it_is_said_which_of_several_columns_is_read(tmp_path, capsys, caplog, rows, said):
    caplog.set_level("INFO")
    assert read(write(tmp_path / "a.csv", rows)) == ["one", "two"]
    printed = caplog.text + "".join(capsys.readouterr())
    assert said in printed if said else "read alone" not in printed
