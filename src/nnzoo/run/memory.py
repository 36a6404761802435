"""Models that do not fit into memory are refused while they are built, before any of it is written to."""

import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import is_lazy

from nnzoo.errors import InputError, is_out_of_memory
from nnzoo.nets.layers import are_frozen_later

TRAINED, HELD = 4, 1
"""Numbers for each weight: itself, its gradient and AdamW's two means where it learns; itself otherwise."""
SMALLER = "set smaller sizes of its layers."


def total_memory() -> int | None:
    """Bytes of memory of this machine, or of the container; None where the system does not say."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return min(total, int(text)) if text.isdigit() else total


@contextmanager
def within_memory(copies: int) -> Iterator[None]:
    """Refuses models whose weights, so many numbers for each, are more than there is memory for.

    A layer's weights are counted when they are registered: memory is reserved by then, but not yet filled. Those of
    :func:`nnzoo.nets.layers.frozen_later` count once then, and as they turn out to learn or not at the end.

    Args:
        copies: Numbers that are held for each weight that learns.

    Raises:
        InputError: While a model is built within, at the layer that is too much; or at the end.
    """
    memory, times = total_memory(), dict[int, int]()
    alive: WeakValueDictionary[int, nn.Parameter] = WeakValueDictionary()  # loading replaces some by others

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if memory is None or parameter is None or is_lazy(parameter) or parameter.is_meta:
            return
        alive[id(parameter)], times[id(parameter)] = parameter, HELD if are_frozen_later() else copies
        need = _bytes(alive, times)
        if need > memory:
            shape = " x ".join(f"{size:,}" for size in parameter.shape)
            raise InputError(
                f"The model is too large: with {shape} weights of a {type(module).__name__} it takes "
                f"{need / 2**30:,.0f} GiB{' in training' if copies > HELD else ''}, and there are "
                f"{memory / 2**30:,.0f} GiB of memory: {SMALLER}"
            )

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
        learns = {number: copies if parameter.requires_grad else HELD for number, parameter in alive.items()}
        if memory is not None and (need := _bytes(alive, learns)) > memory:
            raise InputError(
                f"The model is too large: with what its weights need in training it takes {need / 2**30:,.0f} GiB, and "
                f"there are {memory / 2**30:,.0f} GiB of memory: {SMALLER}"
            )
    except (RuntimeError, MemoryError, TypeError) as error:  # PyTorch could not even reserve it, or count it
        if _of_a_module(error) and (is_out_of_memory(error) or "overflow" in str(error).lower()):
            raise InputError(f"The model is too large for this machine's memory: {SMALLER}") from error
        raise
    finally:
        handle.remove()


def _bytes(parameters: Mapping[int, nn.Parameter], times: Mapping[int, int]) -> int:
    """Memory of parameters, each so many times."""
    return sum(times[number] * p.numel() * p.element_size() for number, p in parameters.items())


def _of_a_module(error: BaseException) -> bool:
    """Whether it was raised while a module was built, rather than while the data were read, whose facts it takes."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(isinstance(frame.f_locals.get("self"), nn.Module) for frame in frames)
