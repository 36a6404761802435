"""Source code that every Python brings: the functions of its standard library, without their docstrings."""

import ast
import sysconfig
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from nnzoo.data.text.stdlib import AREAS, FEWEST_WORDS, Excerpt, files_of, unlike
from nnzoo.errors import InputError

BLOCKS = ("finalbody", "orelse", "handlers", "body")
"""Where statements have others inside; expressions are not looked into, which takes ten times as long."""
OF = ("data", "text")
"""Areas of the modules: half a megabyte of code."""
TELLING = 20
"""Characters of a line that two functions do not share by chance, as they do ``return result``."""


@cache
def functions() -> tuple[Excerpt, ...]:
    """Functions and methods by area, module and place in the file; of those that share half of their lines the first.

    So nothing of them is in the docstrings, of which :func:`nnzoo.data.text.stdlib.excerpts` makes another data set.

    Raises:
        InputError: If this Python comes without the sources of its library.
    """
    library = Path(sysconfig.get_path("stdlib"))
    found = [
        Excerpt(text, area, name)
        for area in OF
        for name in AREAS[area].split()
        for path in files_of(library, name)
        for text in functions_in(path)
    ]
    if not found:
        raise InputError(
            f"This Python has no sources of its library in {library}: choose other data, such as --data.train_file."
        )
    long_enough = [function for function in found if len(function.text.split()) >= FEWEST_WORDS]
    return tuple(unlike(long_enough, telling_lines))


def functions_in(path: Path) -> Iterator[str]:
    """The functions of a file in their order, of nested ones the outermost, as they are written but for docstrings."""
    source = path.read_bytes()
    tree = ast.parse(source)
    lines = source.decode("utf-8", "replace").splitlines()
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            kept = set(range(first - 1, node.end_lineno or first)) - docstring_lines(node)
            yield textwrap.dedent("\n".join(lines[number].rstrip() for number in sorted(kept))).expandtabs(4)
            continue
        nodes += [inner for name in BLOCKS for inner in reversed(getattr(node, name, []))]


def telling_lines(text: str) -> set[str]:
    """The lines of a function that say what it does; all of them where none is long."""
    lines = {line.strip() for line in text.splitlines()}
    return {line for line in lines if len(line) >= TELLING} or lines


def docstring_lines(node: ast.AST) -> set[int]:
    """Numbers of the lines, from 0, of the docstrings of a function and of all that is defined in it."""
    found: set[int] = set()
    nodes = [node]
    while nodes:
        inner = nodes.pop()
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and ast.get_docstring(inner, False):
            text = inner.body[0]
            found |= set(range(text.lineno - 1, text.end_lineno or text.lineno))
        nodes += [below for name in BLOCKS for below in getattr(inner, name, [])]
    return found
