"""The list of mistakes that benchmarks/mutations.py makes fits the source."""

import ast
import importlib.util
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def mutations():
    spec = importlib.util.spec_from_file_location("mutations", ROOT / "benchmarks" / "mutations.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_mistake_can_be_made_and_leaves_a_program(mutations):
    for mistake in mutations.mistakes():
        text = (ROOT / mistake.path).read_text()
        changed = mistake.made_in(text)  # or it says whose place is gone
        assert changed != text, mistake.name
        if mistake.path.endswith(".py"):
            ast.parse(changed)


def test_every_mistake_names_its_tests_and_is_told_from_others(mutations):
    found = mutations.mistakes()
    assert found
    for mistake in found:
        paths = [ROOT / word.partition("::")[0] for word in shlex.split(mistake.tests) if word.startswith("tests")]
        assert paths, mistake.name
        assert all(path.exists() for path in paths), mistake.tests
    names = Counter((mistake.path, mistake.name) for mistake in found)
    assert max(names.values()) == 1


def test_a_mistake_whose_place_is_gone_is_named(mutations):
    mistake = mutations.Mistake("src/x.py", "a swapped sign", "a + b", "a - b", "tests")
    assert mistake.made_in("c = a + b\n") == "c = a - b\n"
    for text, times in (("c = a * b\n", 0), ("a + b\na + b\n", 2)):
        with pytest.raises(ValueError, match=rf"src/x.py: a swapped sign: 'a \+ b' occurs {times} times"):
            mistake.made_in(text)


def test_what_became_of_a_mistake(mutations):
    assert mutations.verdict(1, ["tests/x.py::test"]) == "caught"
    assert mutations.verdict(0, []) == "survived"
    assert re.match("error", mutations.verdict(5, [])), "no test was run"
