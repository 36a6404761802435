"""The parameters of a class whose constructor hands on what it does not list itself."""

import functools
import inspect
import typing
from collections.abc import Mapping
from typing import Any

from jsonargparse import ArgumentParser


def parameters_of(cls: Any) -> Mapping[str, inspect.Parameter]:
    """What a class's constructor takes, with those parameters of its bases that ``**kwargs`` reach.

    jsonargparse reads this from the source, as the command line does: what a constructor fixes in the call of its
    base's, such as ``super().__init__(beta=4.0, **kwargs)``, is no parameter of the class.

    Returns:
        Parameters by name, with the default and the (evaluated) annotation of the class that lists them.
    """
    return _parameters_of(cls)


@functools.cache
def _parameters_of(cls: Any) -> dict[str, inspect.Parameter]:
    found = {}
    for name in ArgumentParser(exit_on_error=False).add_class_arguments(cls, fail_untyped=False):
        for base in cls.__mro__:
            listed = inspect.signature(base.__init__).parameters if "__init__" in vars(base) else {}
            if name in listed:
                hints = typing.get_type_hints(base.__init__)
                found[name] = listed[name].replace(annotation=hints.get(name, Any))
                break
    return found
