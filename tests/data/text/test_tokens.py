import h5py
import numpy as np
import pytest
import torch

from nnzoo.data.text import tokens
from nnzoo.data.text.tokens import Chunk, cached_tokens, digest, table_of


def letters(texts):
    """A tokenizer for tests: code points."""
    letters.calls += 1
    ids = [ord(letter) for text in texts for letter in text]
    return Chunk({"input_ids": ids}, [len(text) for text in texts], {"cut": 1}, [1] * len(texts))


@pytest.fixture(autouse=True)
def _calls():
    letters.calls = 0


TEXTS = ["abc", "d", "", "efgh"]


def test_tokens_are_made_once_and_come_back_as_they_were():
    first, again = (cached_tokens(("a",), TEXTS, letters, 4) for _ in range(2))
    assert letters.calls == 1
    assert first.counts == again.counts == {"cut": 1}
    for table in (first, again):
        assert table.columns["input_ids"].tolist() == [ord(letter) for letter in "abcdefgh"]
        assert (table.starts.tolist(), table.lengths.tolist()) == ([0, 3, 4, 4], [3, 1, 0, 4])
    cached_tokens(("b",), TEXTS, letters, 4)
    assert letters.calls == 2, "another key"


def test_many_texts_are_tokenised_in_chunks():
    table = cached_tokens(("many",), (str(number) for number in range(2500)), letters, None)
    assert letters.calls == 3
    assert table.counts == {"cut": 3}
    assert "".join(map(chr, table.columns["input_ids"])) == "".join(map(str, range(2500)))
    assert torch.equal(table.notes, torch.ones(2500, dtype=torch.int64))


@pytest.mark.parametrize("damage", ["cut", "scrambled", "short"])
def test_a_damaged_cache_is_made_again(tmp_path, damage):
    cached_tokens(("a",), TEXTS * 300, letters, None)
    (path,) = (tmp_path / "xdg" / "nnzoo" / "tokens").iterdir()
    if damage == "short":
        with h5py.File(path, "r+") as file:
            file["input_ids"].resize(5, axis=0)
    else:
        data = path.read_bytes()
        place = data.find(np.array([97, 98, 99, 100], np.int32).tobytes())
        changed = data[:place] + b"\x07" + data[place + 1 :]
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else changed)
    with pytest.warns(UserWarning, match="is damaged: making the tokens again"):
        table = cached_tokens(("a",), TEXTS * 300, letters, None)
    assert table.columns["input_ids"][:8].tolist() == [ord(letter) for letter in "abcdefgh"]
    assert [file.name for file in path.parent.iterdir()] == [path.name], "no temporary file is left"


def test_an_interrupted_run_leaves_no_cache(tmp_path):
    def stops(texts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_tokens(("a",), TEXTS, stops, 4)
    assert not list((tmp_path / "xdg" / "nnzoo" / "tokens").iterdir())


def test_a_batch_is_padded_to_its_longest_text():
    table = table_of(letters(TEXTS))
    chosen = torch.tensor([3, 1])
    batch = table.batch(table.starts[chosen], table.lengths[chosen], {"input_ids": 9})
    assert batch["input_ids"].tolist() == [[101, 102, 103, 104], [100, 9, 9, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 0, 0, 0]]
    assert {values.dtype for values in batch.values()} == {torch.int64}


def test_the_digest_tells_texts_apart_however_they_are_divided():
    forms = [[("ab",)], [("a", "b")], [("a",), ("b",)], [("ba",)], [("ab",), ()], [("ab", "")], []]
    assert len({digest(form) for form in forms}) == len(forms)


def test_memory_does_not_grow_with_the_number_of_texts(monkeypatch):
    most = 0

    def watched(texts):
        nonlocal most
        most = max(most, len(texts))
        return letters(texts)

    monkeypatch.setattr(tokens, "AT_ONCE", 10)
    cached_tokens(("few",), iter(TEXTS * 100), watched, 400)
    assert most == 10
