"""Where texts with labels come from: docstrings by their area, SST-2, the user's own files, the Hugging Face hub."""

import math
import sys
import typing
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from nnzoo.data.csv_file import read_csv
from nnzoo.data.sources import Source, sources_in
from nnzoo.data.text.described import Described, described
from nnzoo.data.text.files import LABEL, TEXT
from nnzoo.data.text.hub import HubSet
from nnzoo.data.text.rows import Columns, TextRows, read_new, read_training, rows_of
from nnzoo.data.text.stdlib import Excerpt, excerpts, parts_of
from nnzoo.data.text.target import LISTED, usual_names
from nnzoo.errors import InputError


class TextSource(Source):
    """Texts with labels."""

    @property
    def columns(self) -> Columns:
        """The columns of the training file."""
        return Columns(TEXT, None, [LABEL])

    @property
    def header(self) -> bool:
        """Whether the training file names its columns."""
        return True

    @abstractmethod
    def load(self) -> dict[str, TextRows]:
        """The texts of train, and of val and test where the data set brings these."""

    def load_test(self) -> TextRows:
        """The texts of ``test_file``."""
        return self._further("test_file", labelled=True)

    def load_new(self) -> TextRows:
        """The texts of ``predict_file``, whose labels need not be known."""
        return self._further("predict_file", labelled=False)

    def _further(self, option: str, labelled: bool) -> TextRows:
        path = self.settings[option]
        return rows_of(read_new(path, option, self.columns, self.header), self.columns, path, labelled)

    def plain(self) -> dict[str, Any]:
        """How further files are read, as a checkpoint keeps it."""
        return {**self.columns._asdict(), "header": self.header}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Takes what :meth:`plain` returned, in place of the training file."""
        self.__dict__["columns"] = Columns(*(values[name] for name in Columns._fields))
        self.__dict__["header"] = values["header"]


class OfDocstrings(TextSource):
    """Docstrings with something that is known of each, in the parts of :func:`nnzoo.data.text.stdlib.parts_of`."""

    @abstractmethod
    def items(self) -> Sequence[Any]:
        """All of them, each with ``text`` and ``module``."""

    @abstractmethod
    def label(self, item: Any) -> str:
        """What is known of one."""

    def load(self) -> dict[str, TextRows]:
        """The three parts."""
        return {part: self._rows(items) for part, items in parts_of(self.items()).items()}

    def _rows(self, items: Sequence[Any]) -> TextRows:
        columns = {TEXT: [i.text for i in items], LABEL: [*map(self.label, items)], "module": [i.module for i in items]}
        return rows_of(pd.DataFrame(columns), self.columns, self.name)


class StandardLibrary(OfDocstrings):
    """Docstrings and sections of reference topics by their area, see :mod:`nnzoo.data.text.stdlib`."""

    name = "stdlib"

    def items(self) -> Sequence[Excerpt]:
        """Of all areas."""
        return excerpts()

    def label(self, item: Excerpt) -> str:
        """The area."""
        return item.area


class FunctionLengths(OfDocstrings):
    """Docstrings of functions with the length of their code, log2 of its lines: :mod:`nnzoo.data.text.described`."""

    name = "function_lengths"

    def items(self) -> Sequence[Described]:
        """Of all functions."""
        return described()

    def label(self, item: Described) -> str:
        """The length."""
        return f"{math.log2(item.lines):.4f}"


class FunctionStatements(OfDocstrings):
    """Docstrings of functions with the kinds of statements in their code: :mod:`nnzoo.data.text.described`."""

    name = "function_statements"

    def items(self) -> Sequence[Described]:
        """Of all functions."""
        return described()

    def label(self, item: Described) -> str:
        """The kinds of statements."""
        return LISTED.join(item.statements)


class SST2(TextSource):
    """Sentences of film reviews (Socher et al. 2013), 6,920 to train on, 872 and 1,821 to validate and test."""

    name, folder = "sst2", "sst2"
    uses = ("root",)
    classes = ("negative", "positive")

    def load(self) -> dict[str, TextRows]:
        """The official parts.

        Raises:
            InputError: If the files are not there.
        """
        parts = {"train": "train", "val": "dev", "test": "test"}
        return {part: self._part(file) for part, file in parts.items()}

    def _part(self, name: str) -> TextRows:
        path = self.root / "sst2" / f"{name}.tsv"
        if not path.is_file():
            raise InputError(
                f"There is no {path}: put train.tsv, dev.tsv and test.tsv of SST-2 there, a sentence, a tab and 0 or 1 "
                "in each line; or take it from the hub by --data.hub stanfordnlp/sst2."
            )
        frame = read_csv(path, names=[TEXT, LABEL], separator="\t", quoted=False)
        frame[LABEL] = frame[LABEL].map(dict(zip("01", self.classes, strict=True))).fillna("")
        return rows_of(frame, self.columns, str(path))


class File(TextSource):
    """Files of the user's own."""

    name = "file"
    uses = ("train_file", "val_file", "test_file", "text", "text_pair", "target", "separator", "task")

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        if not settings["train_file"]:
            raise InputError("--data.dataset file needs --data.train_file, the path of your file.")

    @cached_property
    def _training(self) -> tuple[pd.DataFrame, Columns]:
        path, text, pair, target = (self.settings[name] for name in ("train_file", "text", "text_pair", "target"))
        return read_training(path, "train_file", text, pair, usual_names(target))

    @cached_property
    def columns(self) -> Columns:
        """The columns of the training file."""
        return self._training[1]

    @cached_property
    def header(self) -> bool:
        """Whether the training file names its columns."""
        return bool(self._training[0].attrs["header"])

    def load(self) -> dict[str, TextRows]:
        """The rows of the files that are given."""
        parts = {"train": rows_of(self._training[0], self.columns, self.settings["train_file"])}
        return parts | {
            part: self._further(f"{part}_file", True) for part in ("val", "test") if self.settings[f"{part}_file"]
        }


class Hub(TextSource):
    """A data set of the Hugging Face hub."""

    name = "hub"
    uses = ("hub", "hub_config", "most_samples", "text", "text_pair", "target", "separator", "task")

    @cached_property
    def _set(self) -> HubSet:
        return HubSet(self.settings["hub"], self.settings["hub_config"], self.settings["most_samples"])

    @cached_property
    def columns(self) -> Columns:
        """The columns that are named, or those of usual names."""
        text, pair = self.settings["text"], self.settings["text_pair"]
        return self._set.columns(text, pair, usual_names(self.settings["target"]))

    def load(self) -> dict[str, TextRows]:
        """The parts of the set; one without labels, as test parts of competitions are, is left out."""
        frames = self._set.frames([self.columns.text, self.columns.pair, *self.columns.target])
        return {
            part: rows_of(frame, self.columns, f"{self.settings['hub']} ({part})") for part, frame in frames.items()
        }


SOURCES = typing.cast("dict[str, type[TextSource]]", sources_in(sys.modules[__name__]))
"""The sets of texts by their names."""
