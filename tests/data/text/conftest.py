import pytest

from nnzoo.data.text.tokenizer import trained_tokenizer
from support.text_files import reviews, tsv


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))


@pytest.fixture(scope="session")
def wordpiece(tmp_path_factory):
    """A folder with a small tokenizer as BERT's."""
    folder = tmp_path_factory.mktemp("wordpiece")
    trained_tokenizer([text for text, _ in reviews(100)], "wordpiece", 200).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def byte_pairs(tmp_path_factory):
    """A folder with a small tokenizer as GPT-2's."""
    folder = tmp_path_factory.mktemp("bpe")
    trained_tokenizer([text for text, _ in reviews(100)], "bpe", 300).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def file(tmp_path):
    """A TSV file of 60 reviews without a header."""
    return tsv(tmp_path / "reviews.tsv", reviews(60))
