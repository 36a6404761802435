import ast
import textwrap

from nnzoo import TextDataModule
from nnzoo.data.text.code import functions, functions_in, telling_lines
from nnzoo.data.text.stdlib import excerpts

SOURCE = '''
"""Of the module."""
import os

class A:
    """Of the class."""

    @property
    def f(self):
        """Of f.

        More of it.
        """
        # a comment
        def inner():
            """Of inner."""
            return 1
        return inner()

if os:
    async def g(x=(1,
                   2)):
        return x
'''


def test_functions_are_as_written_but_for_docstrings(tmp_path):
    (tmp_path / "a.py").write_text(SOURCE)
    first, second = functions_in(tmp_path / "a.py")
    assert first == textwrap.dedent("""\
        @property
        def f(self):
            # a comment
            def inner():
                return 1
            return inner()""")
    assert second == "async def g(x=(1,\n               2)):\n    return x"


def test_functions_of_the_library_are_code_without_english_of_the_docstrings():
    found = [function.text for function in functions()]
    assert len(found) > 500
    assert sum(map(len, found)) > 300_000
    assert len(set(found)) == len(found)
    assert all(text.startswith(("def ", "async def ", "@")) for text in found)
    whole = "\n\n".join(found)
    assert "..." in whole
    docstrings = [excerpt.text for excerpt in excerpts() if excerpt.module != "topics" and len(excerpt.text) > 200]
    assert sum(text in whole for text in docstrings) == 0


def test_functions_that_share_half_of_their_lines_are_there_once():
    lines = [telling_lines(function.text) for function in functions()[:300]]
    for number, one in enumerate(lines):
        assert all(len(one & other) < 0.5 * min(len(one), len(other)) for other in lines[:number])


def test_the_datamodule_knows_them(in_tmp):
    data = TextDataModule(dataset="stdlib_code", objective="causal", tokenizer="bpe", vocab_size=300)
    assert ast.parse(data.texts("train")[0])
