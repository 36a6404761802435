"""What a user can mend: one exception type, and the command line's way of showing it in one sentence."""

import linecache
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NoReturn, get_args, get_origin, get_type_hints

INTERRUPTED, TERMINATED = 130, 143
"""Exit codes of a program that SIGINT or SIGTERM ended."""

REFUSING = ("lightning.", "torch.optim.")
"""Packages whose refusals are meant for users."""

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
"""How PyTorch says so, of a GPU and of a CPU."""


class InputError(ValueError):
    """The user's input, files or settings cannot be used; the message says what to do about it."""


def check_choices(cls: type, values: Mapping[str, Any]) -> None:
    """Raises InputError if a value is not among the choices that a constructor of the class annotates as ``Literal``.

    The command line's parser checks them too; this serves those who build an object in Python.
    """
    for base in cls.__mro__:
        hints = get_type_hints(base.__init__) if "__init__" in vars(base) else {}  # type: ignore[misc]
        for name, hint in hints.items():
            choices = get_args(hint)
            if get_origin(hint) is Literal and values.get(name, choices[0]) not in choices:
                raise InputError(f"There is no {name} {values[name]!r}: choose one of {', '.join(choices)}.")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python or PyTorch could not get memory."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)


def describe(error: BaseException) -> str | None:
    """The one sentence a user should read, or None where the error is a defect that needs its traceback."""
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, OSError) and error.errno is not None:
        place = f" ({error.filename})" if error.filename else ""
        return f"{error.strerror}{place}: check that the path exists, is writable and its disk has space."
    if is_out_of_memory(error):
        return "There is not enough memory: lower --data.batch_size, or take a smaller model or shorter samples."
    # What Lightning and the optimisers refuse themselves is written for users (an accelerator that is not there, say).
    named = type(error).__name__ in ("MisconfigurationException", "ProcessRaisedException")
    if named or (isinstance(error, ValueError | RuntimeError | ImportError) and refused_by(error, REFUSING)):
        return " ".join(str(error).split())
    return None


def refused_by(error: BaseException, packages: tuple[str, ...]) -> bool:
    """Whether an error comes from a ``raise`` of one of some packages, rather than from an operation that failed."""
    frames = list(traceback.walk_tb(error.__traceback__))
    if not frames or not frames[-1][0].f_globals.get("__name__", "").startswith(packages):
        return False
    frame, line = frames[-1]
    return linecache.getline(frame.f_code.co_filename, line).strip().startswith("raise ")


def run_main(main: Callable[[], Any]) -> NoReturn:
    """Runs a recipe's ``main`` as a program: exit code 0, or 1 with one sentence for what the user can mend.

    What SIGINT or SIGTERM ended has their exit codes, 130 and 143.
    Set ``NNZOO_TRACEBACK=1`` to see the traceback all the same. Wrong flags end with exit code 2.
    """
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        # Lightning ends an interrupted fit with 1, and one that was told to terminate with 0.
        if isinstance(end.__context__, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        if type(end).__name__ == "SIGTERMException":
            sys.exit(TERMINATED)
        raise
    except Exception as error:
        sentence = describe(error)
        if sentence is None or os.environ.get("NNZOO_TRACEBACK"):
            raise
        process = os.environ.get("LOCAL_RANK", "0")
        print(f"\nerror{'' if process == '0' else f' (process {process})'}: {sentence}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def check_sizes(**sizes: int | Sequence[int]) -> None:
    """Raises InputError unless every named number (or every entry of a named list) is a positive integer."""
    for name, value in sizes.items():
        entries = value if isinstance(value, list | tuple) else [value]
        if any(not isinstance(entry, int) or isinstance(entry, bool) or entry < 1 for entry in entries):
            raise InputError(f"{name} must be positive whole numbers, got {value}.")
