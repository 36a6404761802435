"""Models that do not fit into memory are refused while they are built, before any of it is written to."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.nn.parameter import is_lazy

from nnzoo.errors import InputError, is_out_of_memory

TRAINED, HELD = 4, 1
"""Numbers for each weight: itself, its gradient and AdamW's two means in training; itself otherwise."""
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

    A layer's weights are counted when they are registered: memory is reserved by then, but not yet filled.

    Args:
        copies: Numbers that are held for each weight.

    Raises:
        InputError: While a model is built within, at the layer that is too much.
    """
    memory, sizes = total_memory(), dict[int, int]()

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if memory is None or parameter is None or is_lazy(parameter):
            return
        sizes[id(parameter)] = parameter.numel() * parameter.element_size()
        need = copies * sum(sizes.values())
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
    except (RuntimeError, MemoryError, TypeError) as error:  # PyTorch could not even reserve it, or count it
        if _of_a_module(error) and (is_out_of_memory(error) or "overflow" in str(error).lower()):
            raise InputError(f"The model is too large for this machine's memory: {SMALLER}") from error
        raise
    finally:
        handle.remove()


def _of_a_module(error: BaseException) -> bool:
    """Whether it was raised while a module was built, rather than while the data were read, whose facts it takes."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(isinstance(frame.f_locals.get("self"), nn.Module) for frame in frames)
