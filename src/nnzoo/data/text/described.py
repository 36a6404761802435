"""Functions of Python's standard library by their docstrings: how long they are, and what they do to get there."""

import ast
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nnzoo.data.text.stdlib import AREAS, FEWEST_WORDS, Excerpt, files_of, unlike
from nnzoo.errors import InputError

STATEMENTS: dict[str, tuple[type[ast.AST], ...]] = {
    "branches": (ast.If, ast.IfExp, ast.Match),
    "catches": (ast.Try,),
    "loops": (ast.For, ast.AsyncFor, ast.While, ast.comprehension),
    "raises": (ast.Raise,),
    "returns": (ast.Return,),
    "uses with": (ast.With, ast.AsyncWith),
    "yields": (ast.Yield, ast.YieldFrom),
}
"""What the code of a function does, by the statements and expressions that tell."""


class Described(NamedTuple):
    """A function.

    Attributes:
        text: Its docstring.
        lines: Lines of its statements, without the docstring.
        statements: Which of ``STATEMENTS`` are in it.
        module: Where it comes from.
    """

    text: str
    lines: int
    statements: tuple[str, ...]
    module: str


@cache
def described() -> tuple[Described, ...]:
    """Functions with a docstring, by area, module and place in the file; of docstrings that are alike, the first one.

    Raises:
        InputError: If this Python comes without the sources of its library.
    """
    library = Path(sysconfig.get_path("stdlib"))
    found = [
        function
        for _, modules in sorted(AREAS.items())
        for name in modules.split()
        for path in files_of(library, name)
        for function in functions_of(path, name)
    ]
    if not found:
        raise InputError(
            f"This Python has no sources of its library in {library}: choose other data, such as --data.train_file."
        )
    numbered = [Excerpt(function.text, str(number), function.module) for number, function in enumerate(found)]
    kept = unlike([excerpt for excerpt in numbered if len(excerpt.text.split()) >= FEWEST_WORDS])
    return tuple(found[int(excerpt.area)] for excerpt in kept)


def functions_of(path: Path, module: str) -> Iterator[Described]:
    """The functions of a file that have a docstring and something to do, in their order; it is read, not run."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        text, body = ast.get_docstring(node), node.body[1:]
        if text and body:
            lines = {line for part in body for line in range(part.lineno, (part.end_lineno or part.lineno) + 1)}
            inside = [inner for part in body for inner in ast.walk(part)]
            does = (name for name, kinds in STATEMENTS.items() if any(isinstance(inner, kinds) for inner in inside))
            yield Described(text, len(lines), tuple(does), module)
