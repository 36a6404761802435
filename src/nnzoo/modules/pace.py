"""How many tokens a second training takes."""

import time

import torch
from torch import Tensor


class Pace:
    """Tokens and seconds of training, loading of batches included and validation left out.

    The first step, in which kernels are chosen and memory is reserved, is not counted.
    """

    def __init__(self) -> None:
        self._tokens: Tensor | None = None
        self._seconds, self._started = 0.0, 0.0
        self._ready = self._runs = False

    def start(self) -> None:
        """Starts the clock, once a first step has been made."""
        self._runs, self._started = True, time.monotonic()

    def stop(self) -> None:
        """Stops the clock."""
        if self._runs:
            if self._tokens is not None and self._tokens.is_cuda:
                torch.cuda.synchronize(self._tokens.device)
            self._seconds += (time.monotonic() - self._started) * self._ready
            self._runs = False

    def count(self, attention_mask: Tensor) -> None:
        """Counts a batch's tokens, padding left out; without waiting for a GPU."""
        if not self._ready:
            self._ready, self._started = True, time.monotonic()
            self._tokens = torch.zeros_like(attention_mask.sum())
            return
        self._tokens = self._tokens + attention_mask.sum()  # type: ignore[operator]

    def per_second(self) -> float | None:
        """Tokens per second on this device; None before the second step."""
        return float(self._tokens) / self._seconds if self._seconds and self._tokens is not None else None
