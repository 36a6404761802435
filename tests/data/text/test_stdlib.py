import ast
import collections
import re
import sys
import sysconfig
from pathlib import Path

import pytest

from nnzoo.data.text import stdlib
from nnzoo.data.text.language_module import TextDataModule
from nnzoo.data.text.module import TextClassificationDataModule
from nnzoo.data.text.running import running
from nnzoo.data.text.stdlib import AREAS, docstrings, excerpts, parts_of, topics
from nnzoo.errors import InputError

LIBRARY = Path(sysconfig.get_path("stdlib"))


def test_each_area_has_texts_of_all_its_modules():
    found = excerpts()
    counts = collections.Counter(excerpt.area for excerpt in found)
    assert set(counts) == set(AREAS)
    assert min(counts.values()) >= 150, counts
    assert max(counts.values()) < 0.25 * len(found)
    modules = [name for names in AREAS.values() for name in names.split()]
    assert len(modules) == len(set(modules))
    assert all((LIBRARY / name).is_dir() or (LIBRARY / f"{name}.py").is_file() for name in modules)
    assert {excerpt.module for excerpt in found} <= {*modules, "topics"}
    assert found == excerpts()
    assert "stdlib_never_imported" not in sys.modules


def test_docstrings_are_those_that_python_has(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        '"""Of the module."""\nraise SystemExit\nif True:\n    def f():\n        """Of f,\n        two lines."""\n'
        '        class C:\n            "Of C."\n            async def g(self): "Of g."\n'
        'else:\n    def h():\n        x = "no"\n'
        'try:\n    pass\nexcept E:\n    def k(): "Of k."\nx = "no docstring"\n'
    )
    tree = ast.parse(path.read_text())
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    known = {ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)} - {None}
    assert sorted(docstrings(path)) == sorted(known)
    assert next(iter(docstrings(path))) == "Of the module."
    for name in ("heapq.py", "asyncio/queues.py", "typing.py"):
        tree = ast.parse((LIBRARY / name).read_bytes())
        texts = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
        assert collections.Counter(docstrings(LIBRARY / name)) == collections.Counter(text for text in texts if text)


def test_topics_come_in_sections():
    sections = list(topics(LIBRARY))
    assert any(section.startswith('The "if" statement\n') for section in sections)
    assert len(sections) > 79


def test_no_text_is_nearly_another():
    """By another measure than the one that they are told apart by: shared words in order."""
    texts = [re.findall(r"\w+", excerpt.text.lower()) for excerpt in excerpts()]
    assert len({tuple(words) for words in texts}) == len(texts)
    starts = collections.Counter(tuple(words[:12]) for words in texts if len(words) >= 16)
    again = sum(count - 1 for count in starts.values())
    assert again < 0.01 * len(texts), "long texts that begin alike"


def test_a_python_without_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(stdlib.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(InputError, match="has no sources of its library in"):
        excerpts.__wrapped__()


def test_both_datamodules_have_it_without_a_setting():
    labelled = TextClassificationDataModule(vocab_size=1000)
    labelled.setup()
    assert labelled.classes == sorted(AREAS)
    counts = {part: len(labelled.texts(part)[0]) for part in ("train", "val", "test")}
    assert sum(counts.values()) == len(excerpts())
    texts, labels = labelled.texts("test")
    areas = {excerpt.text: excerpt.area for excerpt in excerpts()}
    assert [areas[text] for text in texts] == [labelled.classes[label] for label in labels]
    assert {part: TextDataModule().texts(part) for part in ("train", "val", "test")} == running()


def test_a_text_is_in_the_same_part_of_every_set():
    """What was pretrained on the texts to train on has seen none of those that are held out."""
    seen = "\n\n".join(TextDataModule(dataset="stdlib", tokenizer="wordpiece", objective="masked").texts("train"))
    labelled = [TextClassificationDataModule(dataset=name) for name in ("stdlib", "function_lengths")]
    for data in labelled:
        held_out = {text for part in ("val", "test") for text in data.texts(part)[0]}
        assert len(held_out) > 100
        assert not [text for text in held_out if f"\n\n{text}\n\n" in seen]
    counts = {part: len(found) for part, found in parts_of(excerpts()).items()}
    assert counts["train"] == pytest.approx(0.7 * len(excerpts()), rel=0.05)
    assert counts["test"] == pytest.approx(0.15 * len(excerpts()), rel=0.1)
