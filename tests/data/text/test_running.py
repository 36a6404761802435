import io
import sys
import sysconfig
import tokenize
from pathlib import Path

import pytest

from nnzoo.data.text import running as module
from nnzoo.data.text.code import functions
from nnzoo.data.text.running import FURTHER, comments, running
from nnzoo.data.text.stdlib import excerpts, parts_of

LIBRARY = Path(sysconfig.get_path("stdlib"))
PARTS = ("train", "val", "test")


def test_comments_are_read_by_their_lines(tmp_path):
    path = tmp_path / "some.py"
    path.write_text('"""# none"""\n# One\n#   two\n\n# three\nx = "# none"  # four\ny = 1  # five\n')
    assert list(comments(path)) == [(2, "One\ntwo"), (5, "three\nfour\nfive")]


def test_comments_of_the_library_are_all_that_tokenize_finds():
    path = LIBRARY / "threading.py"
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    known = [token.string.lstrip("#").strip() for token in tokens if token.type == tokenize.COMMENT]
    assert "\n".join(text for _, text in comments(path)).split("\n") == known


@pytest.mark.parametrize("part", PARTS)
def test_each_docstring_is_in_the_part_that_it_has_among_the_labelled_ones(part):
    texts = {name: "\n\n".join(documents) for name, documents in running().items()}
    for excerpt in parts_of(excerpts())[part]:
        assert {name for name in PARTS if excerpt.text in texts[name]} == {part}


def test_a_document_is_a_file_in_its_order(monkeypatch, tmp_path):
    (tmp_path / "cmd.py").write_text('"""First, as long as it takes to be taken."""\n')
    letters = "abcdefghijklmnop"
    unlike = {letter: " ".join(letter * count for count in range(1, 10)) for letter in letters}
    (tmp_path / "uuid.py").write_text("\n\n".join(f"# {text}\nx = 1" for text in unlike.values()))
    monkeypatch.setattr(module, "excerpts", list)
    monkeypatch.setattr(module.sysconfig, "get_path", lambda name: str(tmp_path))
    found = running.__wrapped__()
    pieces = [piece for part in PARTS for document in found[part] for piece in document.split("\n\n")]
    assert sorted(piece[0] for piece in pieces) == sorted(f"F{letters}")
    for part in PARTS:
        assert [document[0] for document in found[part]] == sorted(document[0] for document in found[part])
        for document in found[part]:
            assert document.split("\n\n") == sorted(document.split("\n\n"))


def test_code_that_is_a_data_set_of_its_own_brings_no_comments():
    """An adapter learns it after a model has read the running text."""
    text = "\n".join(document for part in PARTS for document in running()[part])
    lines = [line.strip() for function in functions() for line in function.text.splitlines()]
    told = [line.lstrip("# ") for line in lines if line.startswith("#") and len(line) > 60]
    assert len(told) > 100
    assert sum(line in text for line in told) < 0.02 * len(told)  # some stand in other files too


def test_further_modules_are_those_of_every_python():
    assert all(name in sys.stdlib_module_names for name in FURTHER.split() if name != "_sitebuiltins")
