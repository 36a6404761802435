"""Running English that every Python brings: docstrings and comments of its standard library, file by file."""

import itertools
import sysconfig
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from nnzoo.data.text.code import OF
from nnzoo.data.text.stdlib import AREAS, FEWEST_WORDS, Excerpt, excerpts, files_of, parts_of, placed_docstrings, unlike

FURTHER = (
    "_collections_abc _compat_pickle _markupbase _osx_support _pyio _sitebuiltins _strptime _weakrefset "
    "contextvars copyreg ctypes curses dbm ensurepip hashlib idlelib io linecache mimetypes modulefinder "
    "nturl2path opcode pickle platform pty pydoc_data rlcompleter secrets shelve signal site sqlite3 sysconfig "
    "tabnanny tkinter token tty turtle turtledemo uuid venv wave zoneinfo"
)
"""Modules beyond those of :data:`nnzoo.data.text.stdlib.AREAS` that Python 3.10 to 3.13 all have."""


@cache
def running() -> dict[str, list[str]]:
    """Documents of train, val and test: of each file what belongs to the part, in its order; of topics each section.

    A docstring is in the part in which data sets of docstrings have it, see
    :func:`nnzoo.data.text.stdlib.parts_of`; what is like one of another part is left out. So are comments in files
    whose code is a data set of its own.

    Raises:
        InputError: If this Python comes without the sources of its library.
    """
    labelled = list(excerpts())
    library = Path(sysconfig.get_path("stdlib"))
    with_code = {path for area in OF for name in AREAS[area].split() for path in files_of(library, name)}
    modules = " ".join([*AREAS.values(), FURTHER]).split()
    paths = dict.fromkeys(path for name in modules for path in files_of(library, name))
    found = [
        Excerpt(text, "", path.relative_to(library).as_posix())
        for path in paths
        for _, text in sorted([*placed_docstrings(path), *([] if path in with_code else comments(path))])
        if len(text.split()) >= FEWEST_WORDS
    ]
    places = {item.text: item.module for item in reversed(found)}  # the first place of each
    known = {item.text for item in labelled}
    kept = known | {item.text for item in unlike([*labelled, *(item for item in found if item.text not in known)])}
    pieces = [Excerpt(text, "", place) for text, place in reversed(places.items()) if text in kept]
    topics = [item for item in labelled if item.text not in places]
    return {
        part: [*_by_file(items), *(item.text for item in parts_of(topics)[part])]
        for part, items in parts_of(pieces).items()
    }


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """The comments of a file with their lines; lines of comment that follow on each other are one."""
    with tokenize.open(path) as file:
        found = [
            (token.start[0], token.string.lstrip("#").strip())
            for token in tokenize.generate_tokens(file.readline)
            if token.type == tokenize.COMMENT
        ]
    for _, run in itertools.groupby(enumerate(found), lambda item: item[1][0] - item[0]):
        lines = [line for _, line in run]
        yield lines[0][0], "\n".join(text for _, text in lines)


def _by_file(items: Iterable[Excerpt]) -> Iterator[str]:
    for _, group in itertools.groupby(items, lambda item: item.module):
        yield "\n\n".join(item.text for item in group)
