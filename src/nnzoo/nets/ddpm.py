"""A denoiser of vectors: for laws of few dimensions, where no neighbourhood of pixels helps."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.layers import checked_labels
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.unet import time_embedding

MOST_FREQUENCIES = 16
"""Beyond, float32 does not tell phases apart."""


class MLPDenoiser(nn.Module):
    """From noised data and times to an output of the same shape, through layers that are each told the time.

    The last layer begins at zero, as that of :class:`nnzoo.nets.unet.UNet`.

    Args:
        in_shape: Shape of a sample.
        outputs_per_channel: Values for each entry of the first dimension.
        hidden: Widths of the layers.
        num_classes: Classes to condition on; 0 for none. Class ``num_classes`` stands for none given.
        time_size: Sines and cosines of the time.
        frequencies: Sines and cosines of each value at pi / 2 times 1, 2, 4 and so on, so many, beside it: layers learn
            what changes over short distances late or not at all (Tancik et al. 2020, arXiv:2006.10739).
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        outputs_per_channel: int = 1,
        hidden: Sequence[int] = (256, 256, 256),
        num_classes: int = 0,
        time_size: int = 64,
        frequencies: int = 0,
    ) -> None:
        super().__init__()
        check_sizes(in_shape=in_shape, hidden=hidden)
        if frequencies not in range(MOST_FREQUENCIES + 1):
            raise InputError(
                f"frequencies go from 0 to {MOST_FREQUENCIES}, got {frequencies}: set --model.frequencies."
            )
        if not hidden:
            raise InputError("A denoiser needs a layer or more: set --model.hidden, such as [256, 256].")
        self.out_shape = (outputs_per_channel * in_shape[0], *in_shape[1:])
        self.num_classes, self.time_size = num_classes, time_size
        self.time = nn.Sequential(
            nn.Linear(time_size, hidden[0]), nn.SiLU(), nn.Linear(hidden[0], hidden[0]), nn.SiLU()
        )
        self.classes = nn.Embedding(num_classes + 1, hidden[0]) if num_classes else None
        size = torch.Size(in_shape).numel()
        self.frequencies, seen = frequencies, size * (1 + 2 * frequencies)
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in zip([seen, *hidden[:-1]], hidden, strict=True)])
        self.states = nn.ModuleList([nn.Linear(hidden[0], width) for width in hidden])
        self.last = nn.Linear(hidden[-1], outputs_per_channel * size)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, noised: Tensor, times: Tensor, labels: Tensor | None = None) -> Tensor:
        """Outputs (B, outputs_per_channel C, ...) of noised data (B, C, ...) at times (B,) from 0 to 1,000."""
        state = self.time(time_embedding(times, self.time_size).to(noised.dtype))
        if self.classes is not None:
            state = state + self.classes(checked_labels(labels, self.num_classes + 1))
        features = with_waves(noised.flatten(1), self.frequencies)
        for layer, shift in zip(self.layers, self.states, strict=True):
            features = nn.functional.silu(layer(features) + shift(state))
        return self.last(features).unflatten(1, self.out_shape)


def with_waves(values: Tensor, frequencies: int) -> Tensor:
    """Values (B, D) beside their sines and cosines at pi / 2 times 1, 2, 4 and so on: (B, D (1 + 2 frequencies))."""
    if not frequencies:
        return values
    # In float32 or more: the phase of a high frequency is lost in half precision.
    factors = math.pi / 2 * 2.0 ** torch.arange(frequencies, device=values.device)
    phases = (at_least_float32(values)[:, :, None] * factors).flatten(1)
    return torch.cat([values, phases.sin().to(values.dtype), phases.cos().to(values.dtype)], dim=1)
