"""Noise for a whole batch, or for each of its samples by itself: then it depends neither on batches nor on devices."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nnzoo.errors import InputError

Source = torch.Generator | Sequence[torch.Generator] | None
"""One generator for a batch, one for each sample (on the CPU), or None for the global one."""

Fill = Callable[[Tensor, torch.Generator | None], Tensor]


def normal(shape: Sequence[int], like: Tensor, source: Source, dim: int = 0) -> Tensor:
    """Standard normal noise.

    Args:
        shape: Its shape.
        like: A tensor with its device and type.
        source: Where it comes from.
        dim: The dimension of the samples.
    """
    return _drawn(shape, like, source, dim, lambda empty, generator: empty.normal_(generator=generator))


def uniform(shape: Sequence[int], like: Tensor, source: Source, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Uniform noise from ``low`` to ``high``, with samples in the first dimension; arguments as for :func:`normal`."""
    return _drawn(shape, like, source, 0, lambda empty, generator: empty.uniform_(low, high, generator=generator))


def _drawn(
    shape: Sequence[int],
    like: Tensor,
    source: Source,
    dim: int,
    fill: Callable[[Tensor, torch.Generator | None], Tensor],
) -> Tensor:
    if source is None or isinstance(source, torch.Generator):
        return fill(torch.empty(*shape, device=like.device, dtype=like.dtype), source)
    if len(source) != shape[dim]:
        raise InputError(f"{shape[dim]} samples need as many generators, or one for all of them: got {len(source)}.")
    each = (*shape[:dim], *shape[dim + 1 :])
    return torch.stack([fill(torch.empty(each), generator) for generator in source], dim).to(like)
