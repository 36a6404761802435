"""Small parts that networks share: activations, perceptrons, classes to condition on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError

Activation = Literal["relu", "leaky_relu", "elu", "silu", "gelu", "tanh"]


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "tanh": nn.Tanh,
}


def mlp(sizes: Sequence[int], activation: Activation) -> nn.Sequential:
    """Linear layers of the given sizes with the activation between them (none after the last)."""
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(sizes):
        layers += [nn.Linear(wide, narrow), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def append_one_hot(features: Tensor, labels: Tensor | None, num_classes: int) -> Tensor:
    """Appends one-hot ``labels`` to ``features`` (B, F) -> (B, F + num_classes); nothing if ``num_classes`` is 0."""
    if num_classes == 0:
        return features
    one_hot = nn.functional.one_hot(checked_labels(labels, num_classes), num_classes).to(features)
    return torch.cat([features, one_hot], dim=1)


def checked_labels(labels: Tensor | None, num_classes: int) -> Tensor:
    """The labels (B,); raises InputError unless they are given and lie in 0 .. num_classes - 1."""
    if labels is None:
        raise InputError(f"This model is conditioned on {num_classes} classes: give it labels.")
    # On a GPU looking at the values would make every step wait; there the modules look once per epoch.
    if labels.is_cpu and (labels.min() < 0 or labels.max() >= num_classes):
        raise InputError(
            f"Labels must lie in 0 .. {num_classes - 1}, got {labels.min()} .. {labels.max()}: renumber the classes."
        )
    return labels


_FROZEN_LATER = ContextVar("frozen_later", default=False)


@contextmanager
def frozen_later(frozen: bool = True) -> Iterator[None]:
    """Weights that are built within need no memory for gradients and the optimiser's means, as most do not learn."""
    token = _FROZEN_LATER.set(frozen)
    try:
        yield
    finally:
        _FROZEN_LATER.reset(token)


def are_frozen_later() -> bool:
    """Whether weights are built within :func:`frozen_later`."""
    return _FROZEN_LATER.get()


def is_decayed(parameter: nn.Parameter) -> bool:
    """Whether weight decay and penalties act on a parameter: weight matrices and kernels, not biases and norms.

    A network spares others, such as centres or embeddings of positions, by ``parameter.no_decay = True``.
    """
    shape = getattr(parameter, "whole_shape", parameter.shape)  # that of a weight of which only a piece is here
    return len(shape) > 1 and not getattr(parameter, "no_decay", False)
