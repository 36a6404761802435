"""Where running text comes from: the reference of Python, plays, the user's own files, the Hugging Face hub."""

import sys
import typing
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from nnzoo.data.csv_file import check_columns
from nnzoo.data.sources import Source, sources_in
from nnzoo.data.text.code import functions
from nnzoo.data.text.documents import Documents, cut, read_documents
from nnzoo.data.text.files import USUAL_TEXTS
from nnzoo.data.text.hub import HubSet
from nnzoo.data.text.running import running
from nnzoo.errors import InputError

SHARES = (0.05, 0.05)
"""Of the plays, to validate and to test."""


class LanguageSource(Source):
    """Running text."""

    @abstractmethod
    def load(self) -> dict[str, Documents]:
        """The documents of train, and of val and test where the data set brings these."""

    def load_further(self, option: str) -> Documents:
        """The documents of ``test_file`` or ``predict_file``."""
        names = ("text", "prompt", "answer", "document")
        return read_documents(self.settings[option], option, *(self.settings[name] for name in names))


class StandardLibrary(LanguageSource):
    """Docstrings, comments and sections of reference topics, see :mod:`nnzoo.data.text.running`."""

    name = "stdlib"

    def load(self) -> dict[str, Documents]:
        """The three parts."""
        return {part: Documents([(text,) for text in texts]) for part, texts in running().items()}


class StandardLibraryCode(LanguageSource):
    """Functions of the standard library without their docstrings, each a document, see :mod:`nnzoo.data.text.code`."""

    name = "stdlib_code"

    def load(self) -> dict[str, Documents]:
        """All of them."""
        return {"train": Documents([(function.text,) for function in functions()])}


class Shakespeare(LanguageSource):
    """Plays by Shakespeare as one running text of 1.1 MB; the last twentieth is the test part, the one before val."""

    name, folder = "shakespeare", "shakespeare"
    uses = ("root",)

    def load(self) -> dict[str, Documents]:
        """The three parts.

        Raises:
            InputError: If the file is not there.
        """
        path = self.root / "shakespeare" / "input.txt"
        if not path.is_file():
            raise InputError(
                f"There is no {path}: put a text of plays there (input.txt of Karpathy's char-rnn, say), or give your "
                "own by --data.train_file."
            )
        parts = cut(path.read_text(encoding="utf-8").strip(), SHARES)
        return {part: Documents([(text,)]) for part, text in zip(("train", "val", "test"), parts, strict=True)}


class File(LanguageSource):
    """Files of the user's own."""

    name = "file"
    uses = ("train_file", "val_file", "test_file", "text", "prompt", "answer", "document")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if not settings["train_file"]:
            raise InputError("--data.dataset file needs --data.train_file, the path of your file or folder.")

    def load(self) -> dict[str, Documents]:
        """The documents of the files that are given; one running text is cut into the parts that are not."""
        given = [part for part in ("val", "test") if self.settings[f"{part}_file"]]
        found = {part: self.load_further(f"{part}_file") for part in ("train", *given)}
        missing = [part for part in ("val", "test") if part not in given]
        if found["train"].whole and missing:
            pieces = cut(found["train"].texts[0][0], [self.settings[f"{part}_fraction"] for part in missing])
            found |= {part: Documents([(piece,)]) for part, piece in zip(("train", *missing), pieces, strict=True)}
        return {part: found[part] for part in ("train", "val", "test") if part in found}


class Hub(LanguageSource):
    """A data set of the Hugging Face hub."""

    name = "hub"
    uses = ("hub", "hub_config", "most_samples", "text", "prompt", "answer")

    def load(self) -> dict[str, Documents]:
        """The documents of each of its parts; empty ones are left out, as many sets have."""
        text, prompt, answer = (self.settings[name] for name in ("text", "prompt", "answer"))
        found = HubSet(self.settings["hub"], self.settings["hub_config"], self.settings["most_samples"])
        columns = [prompt, answer] if prompt is not None else [found.column(text, USUAL_TEXTS, "text")]
        frames = found.frames(columns)
        parts = {}
        for part, frame in frames.items():
            check_columns(frame, columns, "--data.prompt and answer", found.name)
            rows = zip(*(frame[name] for name in columns), strict=True)
            parts[part] = Documents([row for row in rows if all(row)])
        return parts


SOURCES = typing.cast("dict[str, type[LanguageSource]]", sources_in(sys.modules[__name__]))
"""The sets of running text by their names."""
