"""A file of pairs to test on takes the place of the test part."""

from pathlib import Path

import pytest

from nnzoo import InputError, StringPairsDataModule
from nnzoo.tokens import SPECIAL, UNK, Characters

TRAIN = [f"{number},{str(number)[::-1]}" for number in range(100, 140)]


@pytest.fixture
def tested(tmp_path):
    """Writes a file to train on and one to test on, and returns the datamodule of both."""

    def make(lines, header="source,target", **settings):
        (tmp_path / "pairs.csv").write_text("\n".join(["source,target", *TRAIN]))
        (tmp_path / "test.csv").write_text("\n".join([header, *lines]))
        files = {"csv": str(tmp_path / "pairs.csv"), "test_csv": str(tmp_path / "test.csv")}
        return StringPairsDataModule(**files, **settings)

    return make


def texts(data, part):
    """The strings of a part, back from their tokens."""
    characters, pairs = Characters(data.vocabulary), data.parts[part]
    return list(zip(characters.texts(pairs.source), characters.texts(pairs.target), strict=True))


def test_training_and_validation_share_the_whole_of_the_other_file(tested):
    data = tested(["351,153", "352,253"], val_fraction=0.2)
    data.setup()
    assert {part: len(pairs) for part, pairs in data.parts.items()} == {"train": 32, "val": 8, "test": 2}
    shared = [",".join(pair) for part in ("train", "val") for pair in data.pairs[part]]
    assert sorted(shared) == TRAIN
    assert data.predicted_rows()["source"].tolist() == ["351", "352"]


def test_vocabulary_and_lengths_are_those_of_the_training_file(tested):
    data = tested(["35x,x53", "123456,654321", "9,987654321"])
    with pytest.warns(UserWarning, match=r"2 targets of .*test\.csv are longer than all of training \(3 characters\)"):
        data.setup()
    assert set(data.vocabulary) == {*SPECIAL, *"0123456789"}
    assert (data.max_source_length, data.max_target_length) == (3, 4)
    assert data.parts["test"].source[0].tolist()[2] == data.parts["test"].target[0].tolist()[1] == UNK
    assert [pair.source for pair in data.pairs["test"]] == ["35x", "9"]
    assert [pair.source for pair in data.pairs["longer"]] == ["123456"]
    assert texts(data, "test")[1:] == [("9", "987654321"), ("123456", "654321")], "longer ones follow"


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_may_stand_in_any_order_beside_others_with_any_separator(tested, mark):
    data = tested([mark.join(["note", "153", "351"])], header=mark.join(["remark", "target", "source"]))
    data.setup()
    assert texts(data, "test") == [("351", "153")]


@pytest.mark.parametrize(
    ("lines", "header", "says"),
    [
        (["351"], "source", r"test\.csv has no column target for --data\.target"),
        (["351,153"], "question,target", r"test\.csv has no column source for --data\.source"),
        (["351,153", "352,"], "source,target", r"test\.csv, line 3: the source or the target is empty"),
        (["351,153", "351,154"], "source,target", r"test\.csv has two targets for the source '351'"),
        (["1234,4321"], "source,target", r"All sources of .*test\.csv are longer than those of training \(3 char"),
    ],
)
def test_a_test_file_that_cannot_be_used(tested, lines, header, says):
    with pytest.raises(InputError, match=says):
        tested(lines, header).setup("test")


def test_characters_that_training_does_not_have_are_told(tested, tmp_path):
    (tmp_path / "new.csv").write_text("source\n153\n1x5\n\u00e9y\n")
    data = tested(["35x,153", "352,25\u20ac", "353,35!"], predict_csv=str(tmp_path / "new.csv"))
    with pytest.warns(UserWarning, match="characters") as caught:
        data.setup()
    assert [str(warning.message).replace(str(tmp_path), "") for warning in caught] == [
        "2 sources of /new.csv have characters that training does not have, such as 'x' in '1x5': these are read as "
        "unknown ones.",
        "1 sources of /test.csv have characters that training does not have, such as 'x' in '35x': these are read as "
        "unknown ones.",
        "2 targets of /test.csv have characters that training does not have, such as '\u20ac' in '25\u20ac': these are "
        "in no output, so they cannot match.",
    ]


def test_sources_of_the_training_file_are_told(tested):
    with pytest.warns(UserWarning, match=r"1 sources of .*test\.csv are in .*pairs\.csv too"):
        tested(["100,001", "352,253"]).setup()


def test_longer_sources_of_the_training_file_are_left_out_with_a_word(tested):
    data = tested(["351,153"], max_length=3)
    with Path(data.hparams["csv"]).open("a") as file:
        file.write("\n1234,4321")
    with pytest.warns(UserWarning, match=r"1 pairs of .*pairs\.csv have sources longer than --data\.max_length"):
        data.setup()
    assert data.pairs["longer"] == []
    assert sum(len(data.pairs[part]) for part in ("train", "val")) == len(TRAIN)


def test_a_test_file_is_for_a_training_file_and_must_be_there(tested):
    with pytest.raises(InputError, match=r"test_csv does nothing with dataset dates: .*--data\.dataset csv"):
        StringPairsDataModule(dataset="dates", test_csv=tested([]).hparams["test_csv"])
    with pytest.raises(InputError, match=r"no file absent\.csv in .*check --data\.test_csv"):
        StringPairsDataModule(csv=tested([]).hparams["csv"], test_csv="absent.csv").setup()
