"""A recurrent network that writes a series row by row, from a vector."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.rnn import CELLS, Cell, State, initialize_recurrent


class SequenceGenerator(nn.Module):
    """From a vector (B, V) and the rows before it, the parameters of the distribution of every row of (B, C, H, W).

    The recurrent layers start from a linear map of the vector and read it again at every step, beside the row before;
    the first row follows zeros. Given the rows before, the values of a row are independent of each other.

    Args:
        in_shape: (C, H, W): a series of H rows of C * W values.
        vector_size: Size of the vector, V.
        params_per_value: Parameters of the distribution of one value.
        hidden_size: Units per layer.
        num_layers: Recurrent layers.
        cell: ``rnn`` | ``lstm`` | ``gru``.
        dropout: Share of values dropped between layers and before the output.
    """

    def __init__(
        self,
        in_shape: Sequence[int],
        vector_size: int,
        params_per_value: int,
        hidden_size: int = 128,
        num_layers: int = 1,
        cell: Cell = "lstm",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(vector_size=vector_size, hidden_size=hidden_size, num_layers=num_layers)
        if not 0 <= dropout < 1:
            raise InputError(f"dropout is a share from 0 to below 1, got {dropout}.")
        self.channels, self.height, self.width = in_shape
        self.params_per_value, self.num_layers, self.cell = params_per_value, num_layers, cell
        row = self.channels * self.width
        self.start = nn.Linear(vector_size, num_layers * hidden_size * (2 if cell == "lstm" else 1))
        between = dropout if num_layers > 1 else 0.0
        self.rnn = CELLS[cell](row + vector_size, hidden_size, num_layers, batch_first=True, dropout=between)
        initialize_recurrent(self.rnn)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden_size, params_per_value * row)

    def first_state(self, vectors: Tensor) -> State:
        """The state before the first row: h, or (h, c) of an LSTM, each (layers, B, H)."""
        tensors = self.start(vectors).unflatten(1, (-1, self.num_layers, self.rnn.hidden_size)).permute(1, 2, 0, 3)
        first = [tensor.contiguous() for tensor in tensors]
        return (first[0].tanh(), first[1]) if self.cell == "lstm" else first[0].tanh()

    def read(self, rows: Tensor, vectors: Tensor, state: State) -> tuple[Tensor, State]:
        """Parameters (B, n C, T, W) of the rows after ``rows`` (B, T, C W), and the next state."""
        repeated = vectors[:, None].expand(-1, rows.shape[1], -1)
        outputs, state = self.rnn(torch.cat([rows, repeated], dim=2), state)
        params = self.head(self.dropout(outputs)).unflatten(2, (self.params_per_value * self.channels, self.width))
        return params.transpose(1, 2), state

    def forward(self, images: Tensor, vectors: Tensor) -> Tensor:
        """Parameters (B, n C, H, W) of all rows of images (B, C, H, W), each from the rows above it."""
        before = F.pad(images.transpose(1, 2).flatten(2), (0, 0, 1, 0))[:, :-1]
        return self.read(before, vectors, self.first_state(vectors))[0]

    @torch.no_grad()
    def generate(self, vectors: Tensor, draw: Callable[[Tensor], Tensor]) -> Tensor:
        """Images (B, C, H, W), row after row, each from the rows that were drawn before.

        Args:
            vectors: (B, V).
            draw: From the parameters (B, n C, 1, W) of a row to the row (B, C, 1, W).
        """
        state = self.first_state(vectors)
        rows = [vectors.new_zeros(len(vectors), self.channels, 1, self.width)]
        for _ in range(self.height):
            params, state = self.read(rows[-1].transpose(1, 2).flatten(2), vectors, state)
            rows.append(draw(params).to(vectors.dtype))
        return torch.cat(rows[1:], dim=2)
