"""PyTorch's recurrent layers on padded sequences, as packing reads them, by the kernels for whole batches.

``pack_padded_sequence`` takes a CPU off its fast kernels: an LSTM's of oneDNN, and for every cell one product for the
inputs of all steps. Here sequences stay padded. What a forward direction reads after a sequence's end changes nothing
before it; a backward direction reads each sequence with its valid steps in reverse. Outputs, final states and gradients
are those of packing up to rounding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnzoo.nets.lstm import LSTM, lacks_kernel

KERNELS = {"RNN_TANH": torch.rnn_tanh, "GRU": torch.gru}
SATURATED = 1e4
"""What a sigmoid turns into 0 or 1 to the last bit, with a slope of 0, and float16 can hold."""
LEAST_VALID = 1 / 8
"""Share of valid steps below which packing, which leaves the others out, is faster (7 to 13 % were measured)."""

States = tuple[Tensor, ...]


def pays(rnn: nn.RNNBase, inputs: Tensor, lengths: Tensor) -> bool:
    """Whether :func:`read_padded` can run these layers, and is faster than packing.

    It is on a CPU, unless nearly all is padding.

    Args:
        rnn: A class derived from PyTorch's may have a forward of its own: it is called as it is, on packed sequences.
            So is an RNN with ReLU, whose state could grow without bounds in the padding.
        inputs: (B, T, D).
        lengths: Valid steps of each sequence (B,), on the CPU.
    """
    known = type(rnn) in (nn.RNN, nn.LSTM, LSTM, nn.GRU) and (rnn.mode == "LSTM" or rnn.mode in KERNELS)
    known = known and rnn.batch_first and not rnn.proj_size
    return known and inputs.device.type == "cpu" and int(lengths.sum()) >= LEAST_VALID * inputs[..., 0].numel()


def read_padded(rnn: nn.RNNBase, inputs: Tensor, lengths: Tensor, state: States | None = None) -> tuple[Tensor, States]:
    """Outputs and final state of recurrent layers for padded sequences.

    In training, dropout between layers draws for the steps of the padding too: the numbers are others than packing's.

    Args:
        rnn: ``torch.nn``'s RNN (tanh), LSTM (without projections) or GRU, with ``batch_first``.
        inputs: (B, T, D); what stands after a sequence's end is not read.
        lengths: Valid steps of each sequence (B,), from 1 to T.
        state: What each direction starts from: (h,), or (h, c) of an LSTM, each (layers * directions, B, H); zeros if
            None.

    Returns:
        Outputs (B, T, H * directions), zero after a sequence's end, and the state after the last step that each
        direction reads, as ``state``.
    """
    (batch, steps), directions = inputs.shape[:2], 2 if rnn.bidirectional else 1
    step, row = torch.arange(steps)[:, None], torch.arange(batch)
    padding = step >= lengths  # (T, B): time comes first, as in the kernels
    backwards = (torch.where(padding, step, lengths - 1 - step) * batch + row).flatten()
    last = (lengths - 1) * batch + row
    # Zeros instead of what stands in the padding: a NaN times a gradient of 0 would reach the weights.
    x = inputs.transpose(0, 1).contiguous().masked_fill(padding[..., None], 0.0)
    ends: list[States] = []
    for layer in range(rnn.num_layers):
        if layer and rnn.dropout:
            x = F.dropout(x, rnn.dropout, rnn.training)
        outputs = []
        for direction in range(directions):
            first = None if state is None else tuple(tensor[len(ends)][None] for tensor in state)
            read = chosen(x, backwards).view_as(x) if direction else x
            y, *c = one_direction(rnn, weights_of(rnn, layer, direction), read, padding, first)
            ends.append((chosen(y, last), *c))
            outputs.append(chosen(y, backwards).view_as(y) if direction else y)
        x = torch.cat(outputs, dim=2) if len(outputs) > 1 else outputs[0]
    final = tuple(torch.stack(tensors) for tensors in zip(*ends, strict=True))
    return x.masked_fill(padding[..., None], 0.0).transpose(0, 1), final


def chosen(steps: Tensor, places: Tensor) -> Tensor:
    """Some of the steps (T, B, D), by their places (N,) among all T * B: (N, D)."""
    return steps.flatten(0, 1).index_select(0, places)


def weights_of(rnn: nn.RNNBase, layer: int, direction: int) -> list[Tensor]:
    """A layer's weights for one direction, in the order of PyTorch's kernels."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[: 4 if rnn.bias else 2]
    return [getattr(rnn, f"{name}_l{layer}{'_reverse' if direction else ''}") for name in names]


def one_direction(
    rnn: nn.RNNBase, weights: list[Tensor], x: Tensor, padding: Tensor, first: States | None
) -> tuple[Tensor, ...]:
    """Outputs (T, B, H) of one layer that reads x (T, B, D) forwards, and of an LSTM its last valid c (B, H).

    The kernel tells c after step T only. One more input, 1 in the padding, shuts the input gate and opens the forget
    gate there, so that c stays what it was.
    """
    if rnn.mode != "LSTM":
        first = first or (x.new_zeros(1, x.shape[1], rnn.hidden_size),)
        return KERNELS[rnn.mode](x, first[0], weights, rnn.bias, 1, 0.0, rnn.training, False, False)[:1]
    gates = weights[0].new_tensor([-SATURATED, SATURATED, 0.0, 0.0])  # input, forget, cell, output
    weights = [torch.cat([weights[0], gates.repeat_interleave(rnn.hidden_size)[:, None]], dim=1), *weights[1:]]
    x = torch.cat([x, padding[..., None].to(x.dtype)], dim=2)
    first = first or (x.new_zeros(1, x.shape[1], rnn.hidden_size),) * 2
    if lacks_kernel(x):
        with torch.autocast("cpu", enabled=False):
            x, first = x.float(), tuple(tensor.float() for tensor in first)
            y, _, c = torch.lstm(x, first, weights, rnn.bias, 1, 0.0, rnn.training, False, False)
    else:
        y, _, c = torch.lstm(x, first, weights, rnn.bias, 1, 0.0, rnn.training, False, False)
    return y, c[0]
