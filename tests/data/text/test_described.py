"""Functions of the standard library by their docstrings."""

import inspect
import textwrap

from nnzoo import TextClassificationDataModule
from nnzoo.data.text.described import STATEMENTS, described, functions_of

CODE = '''
def short(x):
    """Return it."""
    return x


class Holder:
    async def long(self, items):
        """Give out what is found.

        More of it.
        """
        total = (
            1 +
            2
        )

        for item in items:
            if item:
                yield item
        with self.lock:
            raise KeyError(total)

    def bare(self):
        return 1

    def empty(self):
        """Nothing but words."""


def listed(x):
    """Return a list."""
    try:
        return [y for y in x]
    finally:
        pass
'''


def test_lines_and_statements_are_those_of_the_code_without_the_docstring(tmp_path):
    path = tmp_path / "code.py"
    path.write_text(CODE)
    found = {function.text.split("\n")[0]: function for function in functions_of(path, "code")}
    assert {text: (f.lines, set(f.statements)) for text, f in found.items()} == {
        "Return it.": (1, {"returns"}),
        "Give out what is found.": (9, {"loops", "branches", "yields", "uses with", "raises"}),
        "Return a list.": (4, {"catches", "returns", "loops"}),
    }


def test_a_function_of_the_library_is_as_its_source_says():
    by_text = {function.text: function for function in described()}
    found = by_text[inspect.cleandoc(textwrap.indent.__doc__)]
    assert found.module == "textwrap"
    assert {"branches", "returns"} <= set(found.statements) <= set(STATEMENTS)
    source, _ = inspect.getsourcelines(textwrap.indent)
    assert 0 < found.lines < len(source) - len(textwrap.indent.__doc__.splitlines())


def test_they_are_numbers_and_several_labels_to_learn():
    lengths = TextClassificationDataModule(dataset="function_lengths")
    assert lengths.task == "regression"
    assert 0.5 < lengths.target_std < 4
    labels = TextClassificationDataModule(dataset="function_statements")
    assert labels.task == "multilabel"
    assert labels.classes == sorted(STATEMENTS)
    assert len(described()) > 1000
    texts, target = labels.texts("train")
    by_text = {function.text: function for function in described()}
    for text, row in zip(texts[:50], target, strict=False):
        assert {name for name, on in zip(labels.classes, row, strict=True) if on} == set(by_text[text].statements)
