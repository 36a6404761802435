"""The parameters of a class: those that its constructor hands on too, and those that cannot act."""

import functools
import inspect
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jsonargparse import ArgumentParser

from nnzoo.errors import InputError


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


def constructor_arguments(obj: object) -> list[dict[str, Any]]:
    """What the constructors of an object that is being built got, from the innermost that runs to the outermost.

    Values are as they are at the time: a constructor that changes one before it calls its base's changes what is found.
    Constructors of other objects, in which this one may be built, do not count.
    """
    found: list[dict[str, Any]] = []
    frame = inspect.currentframe()
    while frame is not None:
        names, _, keywords, values = inspect.getargvalues(frame)
        if frame.f_code.co_name == "__init__" and names and values.get(names[0]) is obj:
            found.append({**{name: values[name] for name in names[1:]}, **(values[keywords] if keywords else {})})
        frame = frame.f_back
    return found


def is_resolved(cls: Any) -> bool:
    """Whether :func:`parameters_of` knows what becomes of a constructor's ``**kwargs``, where it has any."""
    own = inspect.signature(cls.__init__).parameters.values()
    takes_more = any(parameter.kind is parameter.VAR_KEYWORD for parameter in own)
    return not takes_more or bool(set(parameters_of(cls)) - {parameter.name for parameter in own})


def inactive_options(cls: Any, values: Mapping[str, Any]) -> dict[str, tuple[str, Sequence[str]]]:
    """Parameters of a class that do not act under the choices made: the choice of each, and the values it acts with.

    Args:
        cls: A class that, like its bases, may have ``acts_with``: parameter to (choice, values of the choice).
        values: The parameters' values by name.
    """
    options = {name: when for base in reversed(cls.__mro__) for name, when in vars(base).get("acts_with", {}).items()}
    return {
        name: (choice, when)
        for name, (choice, when) in options.items()
        if choice in values and values[choice] not in when
    }


def check_options(cls: Any, values: Mapping[str, Any], group: str) -> None:
    """Raises InputError if a parameter that does not act has another value than its default.

    Args:
        cls: As for :func:`inactive_options`.
        values: The parameters' values by name.
        group: Of the flags, model or data.
    """
    for name, (choice, when) in inactive_options(cls, values).items():
        default = parameters_of(cls)[name].default if name in parameters_of(cls) else values[name]
        if not same_value(values[name], default):
            raise InputError(
                f"{name} does nothing with {choice} {values[choice]}: leave it out, or set --{group}.{choice} "
                f"{' or '.join(map(str, when))}."
            )


def switched_off(cls: Any, values: Mapping[str, Any], own: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Defaults of the parameters that do not act and have but a recipe's own value, which a user's choice switches off.

    Args:
        cls: As for :func:`inactive_options`.
        values: The parameters' values by name; others have their defaults.
        own: The values that a recipe sets itself.
    """
    taken = parameters_of(cls)
    complete = {**{name: parameter.default for name, parameter in taken.items()}, **values}
    inactive = [name for name in inactive_options(cls, complete) if name in taken]
    settings = list(own)
    kept = [name for name in inactive if any(name in s and same_value(complete[name], s[name]) for s in settings)]
    return {name: taken[name].default for name in kept}


def same_value(first: Any, second: Any) -> bool:
    """Whether two plain values are equal; a list and a tuple of the same entries are."""
    sequences = isinstance(first, list | tuple) and isinstance(second, list | tuple)
    return list(first) == list(second) if sequences else first == second
