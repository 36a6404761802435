"""PyTorch's LSTM, where its fast kernel for CPUs lacks the precision of autocast."""

from typing import Any

import torch
from torch import Tensor, nn


def _has_kernel(name: str) -> bool:
    """Whether oneDNN's kernels of a precision run on this CPU; a PyTorch without oneDNN has kernels of its own."""
    check = getattr(torch.ops.mkldnn, f"_is_mkldnn_{name}_supported", None)
    return check is None or bool(check())


KERNELS = {torch.bfloat16: _has_kernel("bf16"), torch.float16: _has_kernel("fp16")}
"""The low precisions of autocast, and whether this CPU has oneDNN's kernels for them (AVX-512 or AMX)."""


class LSTM(nn.LSTM):
    """``torch.nn.LSTM``, in float32 where autocast asks for a precision for which this CPU has no kernel.

    There PyTorch raises "could not create a primitive descriptor for the LSTM forward propagation primitive" for
    sequences that are not packed; its RNN and GRU fall back by themselves. torch.compile runs it as it is, as it does
    PyTorch's.
    """

    @torch.compiler.disable
    def forward(self, input: Any, hx: Any = None) -> Any:
        """What ``torch.nn.LSTM`` returns."""
        if not isinstance(input, Tensor) or input.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(input, hx)
        if KERNELS.get(torch.get_autocast_dtype("cpu"), True):
            return super().forward(input, hx)
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float(), None if hx is None else tuple(state.float() for state in hx))
