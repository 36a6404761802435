"""The recurrent encoder-decoder with attention, for sequences of tokens."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.nets.decoding import State as Rows
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.rnn import CELLS, Cell, SequenceEncoder, initialize_recurrent, valid_steps
from nnzoo.tokens import PAD

AttentionName = Literal["additive", "general", "none"]


class Attention(nn.Module):
    """Weights over a source's steps for every query, and the mean of the steps under these weights.

    The score of step s for a query q is v^T tanh(W q + U k_s) (additive: Bahdanau et al. 2014, arXiv:1409.0473) or
    q^T W k_s (general: Luong et al. 2015, arXiv:1508.04025); the weights are the softmax over the valid steps.

    Args:
        query_size: Size of a query, Q.
        key_size: Size of a step, K.
        score: additive | general.
    """

    def __init__(self, query_size: int, key_size: int, score: Literal["additive", "general"] = "additive") -> None:
        super().__init__()
        self.score = score
        self.query = nn.Linear(query_size, query_size if score == "additive" else key_size, bias=False)
        if score == "additive":
            self.key = nn.Linear(key_size, query_size)
            self.energy = nn.Linear(query_size, 1, bias=False)

    def forward(self, queries: Tensor, keys: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts (B, T, K) and weights (B, T, S).

        Args:
            queries: (B, T, Q).
            keys: (B, S, K).
            valid: Which steps exist (B, S). Where none does, weights and context are zero.
        """
        if self.score == "additive":
            scores = self.energy((self.query(queries)[:, :, None] + self.key(keys)[:, None]).tanh()).squeeze(-1)
        else:
            scores = self.query(queries) @ keys.transpose(1, 2)
        valid = valid[:, None]
        # A softmax over nothing but -inf is NaN, in its gradient too: such a row gets finite scores, then no weight.
        some = valid.any(dim=-1, keepdim=True)
        scores = at_least_float32(scores).masked_fill(~valid & some, -torch.inf)
        weights = scores.softmax(dim=-1) * some
        return weights.to(keys.dtype) @ keys, weights


class Memory(NamedTuple):
    """What a decoder reads of its sources.

    Attributes:
        keys: The encoder's outputs (B, S, K).
        valid: Which steps exist (B, S).
        state: The decoder's first state, each tensor (B, layers, H).
    """

    keys: Tensor
    valid: Tensor
    state: Rows

    def repeat(self, times: int) -> "Memory":
        """Each source ``times`` times in a row, as beam search lays out its beams."""
        keys, valid = (tensor.repeat_interleave(times, dim=0) for tensor in self[:2])
        return Memory(keys, valid, self.state)


class EncoderDecoder(nn.Module):
    """Reads source tokens (B, S), then writes target tokens one by one, each from those before it.

    The decoder's state starts from a linear map of the encoder's last state. At step t its recurrent layers take token
    t - 1 and the state; their output h_t asks the attention for a context c_t, and the scores of token t are
    W tanh(U [c_t; h_t]): the order of Luong et al. (arXiv:1508.04025), in which the context does not enter the
    recurrence, so that a known target is read in one call. Bahdanau et al. feed c_t into the recurrence instead.

    Args:
        num_tokens: Size of the vocabulary, V, which sources and targets share.
        embedding_dim: Size of a token's vector.
        hidden_size: Units of each recurrent layer (and direction of the encoder), H.
        num_layers: Recurrent layers of the encoder and of the decoder.
        cell: ``rnn`` | ``lstm`` | ``gru``.
        bidirectional: Whether the encoder also reads backwards.
        attention: additive | general | none: with none, the decoder knows the source by its first state only.
        dropout: Share of values dropped from the embeddings, between layers and before the scores.
    """

    def __init__(
        self,
        num_tokens: int,
        embedding_dim: int = 32,
        hidden_size: int = 128,
        num_layers: int = 1,
        cell: Cell = "lstm",
        bidirectional: bool = True,
        attention: AttentionName = "additive",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(embedding_dim=embedding_dim, hidden_size=hidden_size, num_layers=num_layers)
        if not 0 <= dropout < 1:
            raise InputError(f"dropout is a share from 0 to below 1, got {dropout}.")
        between = dropout if num_layers > 1 else 0.0
        self.embedding = nn.Embedding(num_tokens, embedding_dim, padding_idx=PAD)
        self.encoder = SequenceEncoder(embedding_dim, hidden_size, num_layers, cell, bidirectional, between)
        self.rnn = CELLS[cell](embedding_dim, hidden_size, num_layers, batch_first=True, dropout=between)
        initialize_recurrent(self.rnn)
        width = self.encoder.out_features
        self.bridges = nn.ModuleList(nn.Linear(width, hidden_size) for _ in range(2 if cell == "lstm" else 1))
        self.attention = None if attention == "none" else Attention(hidden_size, width, attention)
        self.combine = nn.Linear(hidden_size if self.attention is None else hidden_size + width, hidden_size)
        self.head = nn.Linear(hidden_size, num_tokens)
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """The memory of sources (B, S) of the given lengths (B,), which are best on the CPU."""
        keys, state = self.encoder.states(self.dropout(self.embedding(source)), lengths)
        states: Rows = (state,) if isinstance(state, Tensor) else state
        layers = self.encoder.num_layers
        # (layers * directions, B, H) to (B, layers, directions * H): a layer's directions stand side by side.
        sides = (h.unflatten(0, (layers, -1)).permute(2, 0, 1, 3).flatten(2) for h in states)
        # An LSTM's second tensor is its cell, which has no bounds; its h, like any other cell's, lies in (-1, 1).
        first = tuple(bridge(h) for bridge, h in zip(self.bridges, sides, strict=True))
        valid = valid_steps(lengths.to(keys.device, non_blocking=True), source.shape[1])
        return Memory(keys, valid, (first[0].tanh(), *first[1:]))

    def decode(self, tokens: Tensor, state: Rows, memory: Memory) -> tuple[Tensor, Rows, Tensor | None]:
        """Scores (B, T, V) of the tokens that follow ``tokens`` (B, T), the next state, and attention (B, T, S)."""
        inputs = self.dropout(self.embedding(tokens))
        hidden = tuple(tensor.transpose(0, 1).contiguous() for tensor in state)
        outputs, after = self.rnn(inputs, hidden if len(hidden) == 2 else hidden[0])
        following: Rows = (after,) if isinstance(after, Tensor) else after
        weights = None
        if self.attention is not None:
            context, weights = self.attention(outputs, memory.keys, memory.valid)
            outputs = torch.cat([context, outputs], dim=-1)
        scores = self.head(self.dropout(self.combine(outputs).tanh()))
        return at_least_float32(scores), tuple(tensor.transpose(0, 1) for tensor in following), weights

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor, teacher_forcing: float = 1.0) -> Tensor:
        """Scores (B, T - 1, V) of the target's tokens from the second on, each given those before it.

        Args:
            source: (B, S), padded.
            lengths: Valid tokens of each source (B,).
            target: (B, T): a start token, the text, an end token, padding.
            teacher_forcing: Probability with which a step reads the target's own token rather than the one that the
                decoder found most probable (scheduled sampling, arXiv:1506.03099): a coin for each step of each
                sequence, from the global generator.
        """
        memory = self.encode(source, lengths)
        inputs, state = target[:, :-1], memory.state
        if teacher_forcing >= 1:
            return self.decode(inputs, state, memory)[0]
        forced = torch.rand(inputs.shape, device=inputs.device) < teacher_forcing
        tokens, scores = inputs[:, :1], list[Tensor]()
        for position in range(inputs.shape[1]):
            if position:
                tokens = torch.where(forced[:, position], inputs[:, position], scores[-1].argmax(dim=-1)[:, 0])[:, None]
            step_scores, state, _ = self.decode(tokens, state, memory)
            scores.append(step_scores)
        return torch.cat(scores, dim=1)

    def step(self, tokens: Tensor, state: Rows, memory: Memory) -> tuple[Tensor, Rows]:
        """Log-probabilities (B, V) of the next tokens, for :mod:`nnzoo.nets.decoding`."""
        scores, state, _ = self.decode(tokens[:, None], state, memory)
        return scores[:, 0].log_softmax(dim=-1), state


def token_loss(scores: Tensor, target: Tensor, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each target, summed over its tokens (B,), in nats, and their number (B,).

    The start token is given and padding is not there: neither counts; the end token does. Without smoothing this is
    -log p(target | source).

    Args:
        scores: (B, T - 1, V), of the tokens from the second on.
        target: (B, T).
        label_smoothing: Share of the probability that is spread evenly over the vocabulary.
    """
    wanted = target[:, 1:]
    losses = F.cross_entropy(
        scores.transpose(1, 2), wanted, ignore_index=PAD, reduction="none", label_smoothing=label_smoothing
    )
    return losses.sum(dim=1), (wanted != PAD).sum(dim=1)


def same_tokens(found: Tensor, target: Tensor) -> Tensor:
    """Whether the outputs (B, N) are the targets (B, T) to the last token: (B,), 1 or 0.

    Args:
        found: Outputs without a start token.
        target: Targets with a start token.
    """
    wanted = target[:, 1:]
    length = max(found.shape[1], wanted.shape[1])
    found, wanted = (F.pad(tokens, (0, length - tokens.shape[1]), value=PAD) for tokens in (found, wanted))
    return (found == wanted).all(dim=1).float()
