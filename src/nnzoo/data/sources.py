"""Where data come from: each data set of a datamodule is a source of its room, known by its name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from nnzoo.data.base import data_root
from nnzoo.errors import InputError


class Source(ABC):
    """A data set: how it is loaded, and what is known of it.

    A room's datamodule finds its sources with :func:`sources_in`; what a source knows stands behind the datamodule's
    facts. A new one edits nothing else.

    Args:
        settings: The datamodule's settings by name.
    """

    name: ClassVar[str] = ""
    """As ``--data.dataset`` names it."""

    uses: ClassVar[Sequence[str]] = ()
    """Settings of the datamodule that only some sources use, and this one does."""

    folder: ClassVar[str | None] = None
    """Where its files lie under the data root, if they have to be downloaded."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings

    @property
    def root(self) -> Path:
        """The data root."""
        return data_root(self.settings.get("root"))

    def fetch(self) -> None:  # noqa: B027 - most have nothing to do
        """Downloads it if it is missing; nothing to do for what comes with the dependencies or is generated."""

    @abstractmethod
    def load(self) -> Any:
        """The data, as the room's datamodule takes them."""


def sources_in(*modules: ModuleType) -> dict[str, type[Source]]:
    """The sources that modules define, by their names and in their order."""
    found = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    return {cls.name: cls for cls in found if issubclass(cls, Source) and cls.name}


def options_of(sources: Mapping[str, type[Source]]) -> dict[str, tuple[str, list[str]]]:
    """Which settings act with which sources, as a datamodule's ``acts_with``."""
    names = dict.fromkeys(option for source in sources.values() for option in source.uses)
    return {
        option: ("dataset", [name for name, source in sources.items() if option in source.uses]) for option in names
    }


OF_FILES = {"csv": "csv", "nodes": "csv", "edges": "csv", "molecules": "molecules", "saved": "saved",
            "train_file": "file", "hub": "hub"}  # fmt: skip
"""Data sets by the options that give their files, or their name on a hub."""


def chosen_dataset(settings: Mapping[str, Any]) -> str:
    """The data set that settings choose: a file of the user's own takes the place of any other.

    Raises:
        InputError: If it is csv and no file is given.
    """
    for option, name in OF_FILES.items():
        if settings.get(option) is not None:
            return name
    if settings["dataset"] == "csv":
        option = "nodes" if "nodes" in settings else "csv"
        raise InputError(f"--data.dataset csv needs --data.{option}, the path of your file.")
    return settings["dataset"]
