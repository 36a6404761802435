"""English on programming that every Python brings: docstrings and reference topics of its standard library."""

import ast
import hashlib
import re
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from nnzoo.errors import InputError

AREAS = {
    "concurrency": "asyncio concurrent multiprocessing queue sched selectors subprocess threading",
    "data": "abc bisect collections contextlib copy dataclasses enum functools graphlib heapq operator reprlib types "
            "typing weakref",
    "diagnosis": "bdb cProfile doctest logging pdb profile pstats timeit trace traceback tracemalloc "
                 "unittest warnings",
    "files": "bz2 filecmp fileinput fnmatch genericpath glob gzip lzma ntpath os pathlib posixpath shutil stat "
             "tarfile tempfile zipapp zipfile",
    "language": "ast code codeop compileall dis importlib inspect pickletools pkgutil py_compile pyclbr pydoc "
                "runpy symtable tokenize zipimport",
    "mail": "email imaplib mailbox poplib quopri smtplib",
    "markup": "base64 configparser csv html json plistlib xml",
    "network": "ftplib hmac http ipaddress netrc socket socketserver ssl urllib webbrowser wsgiref xmlrpc",
    "numbers": "_pydecimal calendar colorsys datetime fractions numbers random statistics",
    "text": "argparse cmd codecs difflib getopt gettext locale optparse pprint re shlex string stringprep "
            "textwrap",
}  # fmt: skip
"""Modules of each area: those that Python 3.10 to 3.13 all have, on systems that divide the library up too."""
FEWEST_WORDS = 8
"""Shorter docstrings, such as "Return True if it is closed.", say little of what they belong to."""
SHINGLE, ALIKE = 3, 0.5
"""Texts are alike if they share half of their runs of so many words, counted in the shorter one."""


class Excerpt(NamedTuple):
    """A docstring, or a section of a reference topic.

    Attributes:
        text: As it is written, without indentation.
        area: What it is about.
        module: Where it comes from.
    """

    text: str
    area: str
    module: str


@cache
def excerpts() -> tuple[Excerpt, ...]:
    """Docstrings and sections of topics by area, module and place in the file; of texts that are alike, the first one.

    So no text of one part of a split is nearly the same as one of another.

    Raises:
        InputError: If this Python comes without the sources of its library.
    """
    library = Path(sysconfig.get_path("stdlib"))
    found = [
        Excerpt(text, area, name)
        for area, modules in sorted(AREAS.items())
        for name in modules.split()
        for path in files_of(library, name)
        for text in docstrings(path)
    ]
    found += [Excerpt(text, "language", "topics") for text in topics(library)]
    if not found:
        raise InputError(
            f"This Python has no sources of its library in {library}: choose other data, such as --data.train_file."
        )
    return tuple(unlike([excerpt for excerpt in found if len(excerpt.text.split()) >= FEWEST_WORDS]))


class Written(Protocol):
    """What has a text."""

    @property
    def text(self) -> str:
        """As it is written."""


W = TypeVar("W", bound=Written)


def parts_of(found: Iterable[W]) -> dict[str, list[W]]:
    """Train, val and test, of 70, 15 and 15 in a hundred, by a hash of each text.

    So a text is in the same part of each set that is made of docstrings, whatever the seed and the version of Python,
    and a model that was pretrained on one of them has not seen what another one tests.
    """
    parts: dict[str, list[W]] = {"train": [], "val": [], "test": []}
    for item in found:
        number = int.from_bytes(hashlib.sha256(item.text.encode("utf-8", "surrogatepass")).digest()[:4], "big") % 100
        parts["train" if number < 70 else "val" if number < 85 else "test"].append(item)
    return parts


def files_of(library: Path, name: str) -> list[Path]:
    """The files of a module or a package, but for its tests."""
    if (library / f"{name}.py").is_file():
        return [library / f"{name}.py"]
    folder = library / name
    inner = [path for path in sorted(folder.rglob("*.py")) if "test" not in path.relative_to(folder).as_posix()]
    return inner if folder.is_dir() else []


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a file in their order; it is read, not run."""
    return (text for _, text in placed_docstrings(path))


def placed_docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """The docstrings of a file with the lines where they begin."""
    nodes: list[ast.AST] = [ast.parse(path.read_bytes())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.body[0].lineno, text
        # Statements alone, not the expressions in them: that takes a tenth of the time.
        blocks = (getattr(node, name, []) for name in ("finalbody", "orelse", "handlers", "body"))
        nodes += [inner for block in blocks for inner in reversed(block)]


def topics(library: Path) -> Iterator[str]:
    """The sections of the reference's topics: of a heading with its underline, up to the next one."""
    path = library / "pydoc_data" / "topics.py"
    if not path.is_file():
        return
    for node in ast.parse(path.read_bytes()).body:
        value = getattr(node, "value", None)
        if isinstance(value, ast.Dict):
            for text in value.values:
                yield from (
                    part.strip() for part in re.split(r"\n{2,}(?=\S[^\n]*\n[=*\-~^\"]{3,}\n)", ast.literal_eval(text))
                )


def runs_of_words(text: str) -> set[Any]:
    """All runs of ``SHINGLE`` words of a text."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[i : i + SHINGLE]) for i in range(max(1, len(words) - SHINGLE + 1))}


def unlike(found: list[Excerpt], pieces: Callable[[str], set[Any]] = runs_of_words) -> Iterator[Excerpt]:
    """Those that share less than ``ALIKE`` of their pieces with each one before."""
    holders: dict[Any, list[int]] = {}
    sizes = list[int]()
    for excerpt in found:
        runs = pieces(excerpt.text)
        shared: dict[int, int] = {}
        for run in runs:
            for other in holders.get(run, ()):
                shared[other] = shared.get(other, 0) + 1
        if any(count >= ALIKE * min(len(runs), sizes[other]) for other, count in shared.items()):
            continue
        for run in runs:
            holders.setdefault(run, []).append(len(sizes))
        sizes.append(len(runs))
        yield excerpt
