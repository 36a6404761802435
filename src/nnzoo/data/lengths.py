"""Batches of padded sequences, whose lengths stay on the CPU."""

import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from torch import Tensor


def move_all_but_lengths(batch: tuple[Tensor, ...], device: torch.device) -> tuple[Tensor, ...]:
    """A batch (values, lengths, ...) on a device, but for the lengths.

    Recurrent networks read lengths on the CPU at every step, to pack sequences or to choose a kernel: asking a GPU for
    them would wait for all that it has still to compute.
    """
    values, lengths, *others = batch
    return move_data_to_device(values, device), lengths, *move_data_to_device(others, device)
