"""How much attention each node of a graph gives its neighbours."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


def attends(convolution: nn.Module) -> bool:
    """Whether a layer gives attention to the neighbours of a node and can tell of it, as PyG's do."""
    return "return_attention_weights" in inspect.signature(convolution.forward).parameters


@torch.no_grad()
def attention_weights(convolution: nn.Module, run: Callable[[], Any]) -> tuple[Tensor, Tensor]:
    """Ends (2, E) of the edges as a layer sees them, with its self-loops, and the weights (E, H) of its heads.

    A node's weights, of the edges into it, sum to 1 in each head; the network should be in evaluation mode, or dropout
    acts on them.

    Args:
        convolution: One of PyG's layers that attend.
        run: Runs the network of which it is a layer.
    """
    seen: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    hook = convolution.register_forward_pre_hook(
        lambda _, inputs, further: seen.append((inputs, further)), with_kwargs=True
    )
    try:
        run()
    finally:
        hook.remove()
    inputs, further = seen[-1]
    _, (edge_index, weights) = convolution(*inputs, **further, return_attention_weights=True)
    return edge_index, weights
