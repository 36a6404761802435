"""Precision under autocast."""

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """Undoes the low precision of autocast: sums over pixels and exponentials need more than bfloat16."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def full_precision(device: torch.device) -> torch.autocast:
    """A context without autocast, for what overflows or loses too much in half precision."""
    return torch.autocast(device.type, enabled=False)
