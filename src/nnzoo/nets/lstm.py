"""PyTorch's LSTM, where its fast kernel for CPUs lacks the precision of autocast."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn


@cache
def has_kernel(dtype: torch.dtype) -> bool:
    """Whether PyTorch's LSTM learns in a precision on this CPU, found by a step of a small one.

    What oneDNN says of a CPU (AVX-512 or AMX) does not tell: some run a kernel forwards, and none in training.
    """
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), torch.autocast("cpu", dtype):
        try:
            nn.LSTM(8, 8)(torch.zeros(2, 1, 8))[0].float().sum().backward()
        except RuntimeError:
            return False
    return True


def lacks_kernel(inputs: Tensor) -> bool:
    """Whether autocast asks for a precision of these inputs in which this CPU's LSTM does not learn."""
    asked = inputs.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    return asked and not has_kernel(torch.get_autocast_dtype("cpu"))


class LSTM(nn.LSTM):
    """``torch.nn.LSTM``, in float32 where autocast asks for a precision for which this CPU has no kernel.

    There PyTorch raises "could not create a primitive descriptor for the LSTM forward propagation primitive" for
    sequences that are not packed; its RNN and GRU fall back by themselves. torch.compile runs it as it is, as it does
    PyTorch's.
    """

    @torch.compiler.disable
    def forward(self, input: Any, hx: Any = None) -> Any:
        """What ``torch.nn.LSTM`` returns."""
        if not isinstance(input, Tensor) or not lacks_kernel(input):
            return super().forward(input, hx)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float(), None if hx is None else tuple(state.float() for state in hx))
