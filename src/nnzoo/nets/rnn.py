"""Recurrent networks on padded sequences: plain RNN, LSTM and GRU; their losses and the flow of their gradients."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.lstm import LSTM
from nnzoo.nets.padded import pays, read_padded
from nnzoo.nets.precision import at_least_float32

Cell = Literal["rnn", "lstm", "gru"]
State = Tensor | tuple[Tensor, Tensor]
"""What a recurrent layer of PyTorch takes and returns: h, or (h, c) of an LSTM, each (layers * directions, B, H)."""

CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": LSTM, "gru": nn.GRU}


class SequenceEncoder(nn.Module):
    """Maps sequences (B, T, D) to the states of a recurrent network at every step.

    Padding is never read: a backward direction starts at the last valid step, and further padding changes no output but
    by rounding. On a CPU sequences stay padded (:mod:`nnzoo.nets.padded`), unless so few steps are valid that packing
    is faster; elsewhere they are packed. The GRU is PyTorch's, which applies the reset gate after the recurrent
    product; that of the paper (arXiv:1406.1078) applies it before, and their weights cannot be exchanged.

    Args:
        num_inputs: Values per step, D.
        hidden_size: Units per layer and direction, H.
        num_layers: Layers, one above the other.
        cell: ``rnn`` (tanh), ``lstm`` or ``gru``.
        bidirectional: Whether a second network reads each sequence backwards; outputs are then of size 2 H.
        dropout: Share of the values dropped between layers; it needs two layers or more.
        input_mean: Mean of each of the D values, to be subtracted from the inputs; none if empty.
        input_std: Standard deviation of each, to divide by.

    Raises:
        InputError: If a size is not positive, or dropout is out of range or would do nothing.
    """

    input_mean: Tensor
    input_std: Tensor

    def __init__(
        self,
        num_inputs: int,
        hidden_size: int,
        num_layers: int = 1,
        cell: Cell = "lstm",
        bidirectional: bool = False,
        dropout: float = 0.0,
        input_mean: Sequence[float] = (),
        input_std: Sequence[float] = (),
    ) -> None:
        super().__init__()
        check_sizes(num_inputs=num_inputs, hidden_size=hidden_size, num_layers=num_layers)
        if not 0 <= dropout < 1:
            raise InputError(f"dropout is a share from 0 to below 1, got {dropout}.")
        if dropout and num_layers == 1:
            raise InputError("dropout acts between recurrent layers: set --model.num_layers 2 or --model.dropout 0.")
        self.num_inputs, self.hidden_size, self.num_layers, self.cell = num_inputs, hidden_size, num_layers, cell
        self.bidirectional, self.dropout = bidirectional, dropout
        self.num_directions = 2 if bidirectional else 1
        if not len(input_mean) == len(input_std) in (0, num_inputs):
            raise InputError(f"Give a mean and a standard deviation for each of the {num_inputs} inputs, or none.")
        self.register_buffer("input_mean", torch.tensor(list(input_mean), dtype=torch.float32))
        self.register_buffer("input_std", torch.tensor(list(input_std), dtype=torch.float32))
        self.rnn = self.build_cell()
        initialize_recurrent(self.rnn)

    @property
    def out_features(self) -> int:
        """Size of the outputs: H, or 2 H where both directions are read."""
        return self.hidden_size * self.num_directions

    def build_cell(self) -> nn.RNNBase:
        """The recurrent layers; override it for others with the same inputs and outputs as PyTorch's."""
        return CELLS[self.cell](
            self.num_inputs,
            self.hidden_size,
            self.num_layers,
            batch_first=True,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
        )

    def standardized(self, inputs: Tensor) -> Tensor:
        """Inputs (B, T, D) less the mean, divided by the standard deviation, where these were given."""
        return (inputs - self.input_mean) / self.input_std if len(self.input_mean) else inputs

    def states(self, inputs: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, State]:
        """Outputs at every step, and the final state as a decoder takes it.

        Args:
            inputs: (B, T, D); what stands after a sequence's end is not read.
            lengths: Valid steps of each sequence (B,), from 1 to T; all T if None. Best on the CPU, where they are read
                at every call: asking a GPU for them waits for it.

        Returns:
            Outputs (B, T, H * directions), zero after a sequence's end, and PyTorch's state after its last valid step:
            h, or (h, c) of an LSTM, each (layers * directions, B, H).
        """
        if inputs.shape[2] != self.num_inputs:
            raise InputError(f"The network takes {self.num_inputs} values per step, got {inputs.shape[2]}.")
        inputs = self.standardized(inputs)
        return self.rnn(inputs) if lengths is None else self._read(inputs, lengths.cpu())

    @torch.compiler.disable  # decisions by the values of lengths, and kernels that it would unroll step by step
    def _read(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        steps = inputs.shape[1]
        if int(lengths.min()) < 1 or int(lengths.max()) > steps:
            raise InputError(
                f"Sequences must have 1 to {steps} valid steps, got {int(lengths.min())} to {int(lengths.max())}: "
                "remove empty sequences."
            )
        if int(lengths.min()) == steps:
            return self.rnn(inputs)
        if pays(self.rnn, inputs, lengths):
            outputs, final = read_padded(self.rnn, inputs, lengths)
            return outputs, final[0] if len(final) == 1 else (final[0], final[1])
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        outputs, state = self.rnn(packed)
        return pad_packed_sequence(outputs, batch_first=True, total_length=steps)[0], state

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Outputs at every step and the last valid state of the top layer.

        Args:
            inputs: (B, T, D).
            lengths: Valid steps of each sequence (B,); all T if None.

        Returns:
            Outputs (B, T, H * directions), zero after a sequence's end, and (B, H * directions): the forward network
            after the last valid step beside the backward network after the first.
        """
        outputs, state = self.states(inputs, lengths)
        return outputs, last_state(state, self.num_directions)


def last_state(state: State | tuple[Tensor, ...], num_directions: int) -> Tensor:
    """The top layer's h of a final state, its directions side by side: (B, H * directions)."""
    h = state if isinstance(state, Tensor) else state[0]
    return torch.cat(list(h[-num_directions:]), dim=1)


def valid_steps(lengths: Tensor, steps: int) -> Tensor:
    """Which of ``steps`` belong to sequences of the given lengths (B,): a mask (B, steps)."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


class SequenceNet(nn.Module):
    """An encoder and a linear layer: one output per sequence, or one per step.

    Args:
        encoder: Reads the sequences.
        num_outputs: Values per output, K; None for a single number, without a dimension of its own.
        per_step: Whether to read out every step, rather than the last valid state.
        dropout: Share of the values dropped before the linear layer.
    """

    def __init__(
        self, encoder: SequenceEncoder, num_outputs: int | None, per_step: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.encoder, self.num_outputs, self.per_step = encoder, num_outputs, per_step
        linear = nn.Linear(encoder.out_features, num_outputs or 1)
        self.head = nn.Sequential(nn.Dropout(dropout), linear, *([nn.Flatten(-2)] if num_outputs is None else []))

    def forward(self, inputs: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Outputs (B, K), or (B, T, K) per step, of sequences (B, T, D) with lengths (B,); without K for one number."""
        outputs, last = self.encoder(inputs, lengths)
        return self.head(outputs if self.per_step else last)


def step_losses(logits: Tensor, target: Tensor, ignored: int) -> Tensor:
    """Negative log-likelihood of every step, 0 where the target is ``ignored``: (B, T), in nats.

    Args:
        logits: Scores (B, T, K).
        target: Classes (B, T), or K labels of 0 or 1 at each step (B, T, K), whose likelihoods are multiplied.
        ignored: Target of the steps that do not count.
    """
    logits = at_least_float32(logits)
    if target.dim() == 2:
        return F.cross_entropy(logits.transpose(1, 2), target, reduction="none", ignore_index=ignored)
    valid = target[..., 0] != ignored
    losses = F.binary_cross_entropy_with_logits(logits, target.clamp(min=0.0), reduction="none").sum(dim=2)
    return losses.masked_fill(~valid, 0.0)


def gradient_norms(net: SequenceNet, inputs: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Norm of the gradient of the loss with respect to the state after each step, mean over the batch: (T,).

    The state is all that a network carries on: h of every layer, and the c of an LSTM. The network runs step by step,
    since PyTorch's whole-sequence kernels keep the states between the steps to themselves.

    Args:
        net: A network that reads in one direction.
        inputs: Sequences of one length (B, T, D).
        loss: From the network's outputs, (B, K) or (B, T, K), to losses (B,).
    """
    states: list[tuple[Tensor, ...]] = []
    state: State | None = None
    # cuDNN has no gradients of a network in evaluation mode.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        for step in net.encoder.standardized(inputs).split(1, dim=1):
            _, state = net.encoder.rnn(step, state)
            states.append((state,) if isinstance(state, Tensor) else state)
        tops = [last_state(state, 1) for state in states]
        read = torch.stack(tops, dim=1) if net.per_step else tops[-1]
        flat = [tensor for parts in states for tensor in parts]
        # The last c of an LSTM is read by nothing: its gradient is 0.
        gradients = torch.autograd.grad(loss(net.head(read)).sum(), flat, materialize_grads=True, allow_unused=True)
    size = len(states[0])
    # In float64, which not every device has: the square of a gradient that has nearly vanished would be 0 in float32.
    squares = torch.stack([gradient.cpu().double().square().sum(dim=(0, 2)) for gradient in gradients])
    return squares.view(-1, size, len(inputs)).sum(dim=1).sqrt().mean(dim=1)


@torch.no_grad()
def initialize_recurrent(rnn: nn.RNNBase) -> None:
    """Orthogonal recurrent weights, Xavier-uniform input weights, zero biases, but an LSTM's forget gate at 1.

    Each gate has a matrix of its own, so each is initialised by itself. An orthogonal matrix keeps the norm of what
    flows through it, forwards and backwards; a forget gate open at the start lets an LSTM remember over many steps
    (Gers et al. 2000; Jozefowicz et al. 2015). PyTorch adds two biases: one is 1 and the other 0, or their sum would
    be 2.
    """
    size = rnn.hidden_size
    for name, parameter in rnn.named_parameters():
        if name.startswith("weight_hh"):
            for gate in parameter.split(size):
                nn.init.orthogonal_(gate)
        elif name.startswith("weight_ih"):
            for gate in parameter.split(size):
                nn.init.xavier_uniform_(gate)
        elif name.startswith("bias"):
            parameter.zero_()
            if isinstance(rnn, nn.LSTM) and name.startswith("bias_ih"):
                parameter[size : 2 * size] = 1.0  # the gates are stacked: input, forget, cell, output
