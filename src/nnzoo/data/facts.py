"""Facts: what a datamodule knows of its data and a model may need.

A fact is a cached property of a datamodule, such as ``in_shape`` or ``num_classes``. The command line hands each fact
to the model's parameter of the same name, figures and predictions look facts up, and a checkpoint is held to those that
it depends on. So neither datamodules nor models are listed anywhere.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")


class fact(cached_property[T]):  # noqa: N801 - a decorator, as property is
    """A cached property that is handed to the model's parameter of its name.

    Attributes:
        remedy: What to do where a checkpoint was trained with another value; None if it may differ.
    """

    remedy: str | None = None


class view(fact[T]):  # noqa: N801
    """A fact for pictures and predictions alone, of any kind: a checkpoint does not keep it."""


def held(remedy: str) -> Callable[[Callable[[Any], T]], fact[T]]:
    """A :class:`fact` that a checkpoint is held to.

    Args:
        remedy: What to do if it differs, such as "set --data.image_size to match".
    """

    def decorate(function: Callable[[Any], T]) -> fact[T]:
        decorated = fact(function)
        decorated.remedy = remedy
        return decorated

    return decorate


def facts_of(datamodule_class: type) -> dict[str, fact[Any]]:
    """The facts of a datamodule's class by their names, its bases' included."""
    names = {name: getattr(datamodule_class, name, None) for cls in datamodule_class.__mro__ for name in vars(cls)}
    return {name: value for name, value in names.items() if isinstance(value, fact)}


def held_facts(datamodule: object) -> dict[str, Any]:
    """The facts of a datamodule that a checkpoint is held to, whether its model takes them or not."""
    return {name: getattr(datamodule, name) for name, known in facts_of(type(datamodule)).items() if known.remedy}


class Facts(Mapping[str, Any]):
    """The facts of a datamodule by their names, each found out when it is asked for; none of other datamodules.

    Args:
        datamodule: A LightningDataModule, or None.
    """

    def __init__(self, datamodule: object) -> None:
        self._datamodule, self._names = datamodule, facts_of(type(datamodule))

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        return getattr(self._datamodule, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def datamodule_of(trainer: object) -> Any:
    """The datamodule of a Trainer, or None; Lightning's Trainer does not declare it."""
    return getattr(trainer, "datamodule", None)
