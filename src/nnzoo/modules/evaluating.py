"""Evaluation mode for a while: what a trained network is used for must not depend on how it was left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from torch import nn

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Without dropout, and with the statistics of batch norm as they are; each part is left in its mode.

    Lightning leaves a module that it has fitted, or loaded, in training mode.
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def in_evaluation(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """A method of a module that runs in evaluation mode and without gradients."""

    @wraps(method)
    def run(module: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        with evaluating(module), torch.no_grad():
            return method(module, *args, **kwargs)

    return run
