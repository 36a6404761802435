"""Greedy and beam search over any network that gives the next token's log-probabilities."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from nnzoo.errors import check_sizes
from nnzoo.tokens import EOS, PAD, SOS, UNK

NEVER_WRITTEN = [PAD, SOS, UNK]

State = tuple[Tensor, ...]
"""What a decoder remembers: tensors whose first dimension is the sequence."""

Step = Callable[[Tensor, State], tuple[Tensor, State]]
"""From the tokens before (N,) and a state to log-probabilities (N, V) of the next token and the next state."""


class Decoded(NamedTuple):
    """What a search found.

    Attributes:
        tokens: (B, max_length): each sequence with its end token, then padding; without an end token where
            ``max_length`` was reached first.
        log_prob: log p of the tokens (B,), in nats.
    """

    tokens: Tensor
    log_prob: Tensor


def written(log_probs: Tensor) -> Tensor:
    """Log-probabilities (N, V) with -inf for tokens that no output can hold: padding, start and unknown."""
    log_probs = log_probs.clone()
    log_probs[:, NEVER_WRITTEN] = -torch.inf
    return log_probs


@torch.no_grad()
def greedy_search(step: Step, state: State, max_length: int) -> Decoded:
    """Takes the most probable token at every step, until each sequence has ended.

    Args:
        step: The decoder.
        state: Its state before the first token; all its tensors have B rows.
        max_length: Longest output, the end token included.
    """
    check_sizes(max_length=max_length)
    device, batch = state[0].device, len(state[0])
    found = torch.full((batch, max_length), PAD, device=device)
    log_prob = torch.zeros(batch, device=device)
    tokens = torch.full((batch,), SOS, device=device)
    running = torch.ones(batch, dtype=torch.bool, device=device)
    for position in range(max_length):
        log_probs, state = step(tokens, state)
        best, tokens = written(log_probs).max(dim=1)
        found[:, position] = torch.where(running, tokens, PAD)
        log_prob = log_prob + torch.where(running, best, 0.0)
        running = running & (tokens != EOS)
        if not running.any():
            break
    return Decoded(found, log_prob)


@torch.no_grad()
def beam_search(step: Step, state: State, max_length: int, beam_size: int = 5, length_penalty: float = 0.0) -> Decoded:
    """Keeps the ``beam_size`` most probable beginnings at every step and returns the best output that ended.

    Outputs are ranked by log p / n^a, where n counts the tokens with the end and a is ``length_penalty``: 0 ranks by
    probability, which favours short outputs, and 1 by the mean per token. An output ends where the end token is among
    the ``beam_size`` best continuations; a search ends with as many outputs as that, or at ``max_length``. So a beam of
    one is greedy search, and one as wide as the number of all beginnings finds the best of all outputs.

    Args:
        step: The decoder.
        state: Its state before the first token; all its tensors have B rows.
        max_length: Longest output, the end token included.
        beam_size: Beginnings kept, K.
        length_penalty: a.
    """
    check_sizes(max_length=max_length, beam_size=beam_size)
    device, batch, beams = state[0].device, len(state[0]), beam_size
    state = tuple(tensor.repeat_interleave(beams, dim=0) for tensor in state)
    first_row = torch.arange(batch, device=device)[:, None] * beams
    prefixes = torch.full((batch, beams, max_length), PAD, device=device)
    scores = torch.full((batch, beams), -torch.inf, device=device)
    scores[:, 0] = 0.0  # the beams start alike: only one of them counts
    tokens = torch.full((batch, beams), SOS, device=device)
    best = Decoded(torch.full((batch, max_length), PAD, device=device), torch.full((batch,), -torch.inf, device=device))
    best_rank = best.log_prob.clone()
    ended = torch.zeros(batch, dtype=torch.int64, device=device)
    for position in range(max_length):
        log_probs, state = step(tokens.flatten(), state)
        candidates = scores[:, :, None] + written(log_probs).unflatten(0, (batch, beams))
        # A beginning has one way to end, so among twice as many candidates there are enough that go on.
        scores, chosen = candidates.flatten(1).topk(2 * beams, dim=1)
        parents, tokens = chosen // log_probs.shape[1], chosen % log_probs.shape[1]
        grown = prefixes.gather(1, parents[:, :, None].expand(-1, -1, max_length))
        grown[:, :, position] = tokens
        is_end = (tokens == EOS) & scores.isfinite()
        searching = ended < beams

        rank = scores[:, :beams] / (position + 1) ** length_penalty
        rank, index = rank.masked_fill(~(is_end[:, :beams] & searching[:, None]), -torch.inf).max(dim=1)
        better = rank > best_rank
        rows = torch.arange(batch, device=device)
        best_rank = torch.where(better, rank, best_rank)
        best = Decoded(
            torch.where(better[:, None], grown[rows, index], best.tokens),
            torch.where(better, scores[rows, index], best.log_prob),
        )
        ended = ended + is_end[:, :beams].sum(dim=1)

        # Stable, so the candidates that go on keep their order: the best first.
        going_on = is_end.to(torch.uint8).argsort(dim=1, stable=True)[:, :beams]
        scores, tokens = (tensor.gather(1, going_on) for tensor in (scores, tokens))
        prefixes = grown.gather(1, going_on[:, :, None].expand(-1, -1, max_length))
        state = tuple(t.index_select(0, (first_row + parents.gather(1, going_on)).flatten()) for t in state)
        if not (ended < beams).any():
            break
    # Where nothing ended in time, the best beginning is all there is.
    cut = ended == 0
    return Decoded(
        torch.where(cut[:, None], prefixes[:, 0], best.tokens), torch.where(cut, scores[:, 0], best.log_prob)
    )
