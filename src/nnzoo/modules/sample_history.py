"""What a model drew from the same noise while it was trained: a few frames, kept in its checkpoints."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from nnzoo.seeds import mix_seed

MOST_FRAMES = 32
"""Frames that are kept at most: where there are more, every second one is dropped, and half as many are taken then."""


class SampleHistory:
    """Frames evenly spaced over the validations of a fit; a resumed one goes on with them.

    Attributes:
        frames: Samples (N, *shape) of each, on the CPU: images of 256 levels, or points in half precision.
        batches: How many training batches the model had seen at each.
    """

    def __init__(self) -> None:
        self.frames: list[Tensor] = []
        self.batches: list[int] = []
        self.asked, self.stride = 0, 1

    def offer(self, draw: Callable[[], Tensor], batches: int) -> None:
        """Keeps what ``draw`` returns, if a frame is due.

        Args:
            draw: Draws the samples, always from the same noise.
            batches: How many training batches the model has seen.
        """
        if self.asked % self.stride == 0:
            self.frames.append(packed(draw()))
            self.batches.append(batches)
        self.asked += 1
        if len(self.frames) > MOST_FRAMES:
            self.frames, self.batches = self.frames[::2], self.batches[::2]
            self.stride *= 2

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes the place of another history."""
        vars(self).update(state)


def packed(samples: Tensor) -> Tensor:
    """Samples as they are kept: images in [0, 1] as bytes, points in half precision."""
    samples = samples.detach().float().cpu()
    return (samples * 255).round().byte() if samples.dim() == 4 else samples.half()


def unpacked(frame: Tensor) -> Tensor:
    """Samples that were kept."""
    return frame.float() / 255 if frame.dtype == torch.uint8 else frame.float()


def same_noise(count: int) -> list[torch.Generator]:
    """A source of noise for each of a number of samples: the same ones at every call, in every run."""
    return [torch.Generator().manual_seed(mix_seed(number)) for number in range(count)]
