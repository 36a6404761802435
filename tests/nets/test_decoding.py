import itertools
import math

import pytest
import torch

from nnzoo.errors import InputError
from nnzoo.nets.decoding import beam_search, greedy_search
from nnzoo.tokens import EOS, PAD, SOS, UNK

CHARACTERS = [4, 5, 6]
VOCABULARY = 7
MAX_LENGTH = 4
BATCH = 6


class Tables:
    """A decoder whose log-probabilities are drawn at random for every sample and everything written so far."""

    def __init__(self, sharpness=1.5, seed=0):
        generator = torch.Generator().manual_seed(seed)
        shape = (BATCH, VOCABULARY**MAX_LENGTH, VOCABULARY)
        self.log_probs = (sharpness * torch.randn(shape, generator=generator)).double().log_softmax(dim=-1)

    def start(self):
        """Which sample a row decodes, and what it has written so far, as one number."""
        return torch.arange(BATCH), torch.zeros(BATCH, dtype=torch.long)

    def __call__(self, tokens, state):
        sample, prefix = state
        # The start token counts as 0; any other token as a digit.
        prefix = prefix * VOCABULARY + torch.where(tokens == SOS, 0, tokens)
        return self.log_probs[sample, prefix], (sample, prefix)

    def score(self, sample, output):
        """Log-probability of an output, added up token by token."""
        prefix, total = 0, 0.0
        for token in output:
            total += self.log_probs[sample, prefix, token].item()
            prefix = prefix * VOCABULARY + token
        return total


def all_outputs():
    """Every output that ends within MAX_LENGTH tokens."""
    for length in range(MAX_LENGTH):
        for characters in itertools.product(CHARACTERS, repeat=length):
            yield (*characters, EOS)


def as_row(output):
    return [*output, *[PAD] * (MAX_LENGTH - len(output))]


def beam_by_hand(tables, sample, beams, penalty):
    """The search as its docstring states it, one sample and one candidate at a time."""
    alive, ended = [()], []
    for _ in range(MAX_LENGTH):
        options = [(*prefix, token) for prefix in alive for token in (EOS, *CHARACTERS)]
        options.sort(key=lambda output: -tables.score(sample, output))
        ended += [output for output in options[:beams] if output[-1] == EOS]
        alive = [output for output in options if output[-1] != EOS][:beams]
        if len(ended) >= beams:
            break
    if not ended:
        return alive[0]
    return max(ended, key=lambda output: tables.score(sample, output) / len(output) ** penalty)


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_beam_as_wide_as_all_beginnings_finds_the_best_of_all_outputs(penalty, seed):
    tables = Tables(seed=seed)
    found = beam_search(tables, tables.start(), MAX_LENGTH, 3**MAX_LENGTH, penalty)
    for sample in range(BATCH):
        best = max(all_outputs(), key=lambda output: tables.score(sample, output) / len(output) ** penalty)
        assert found.tokens[sample].tolist() == as_row(best)
        assert found.log_prob[sample].item() == pytest.approx(tables.score(sample, best))


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("beams", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_the_batched_search_is_the_search_done_by_hand(beams, penalty, seed):
    tables = Tables(seed=seed)
    found = beam_search(tables, tables.start(), MAX_LENGTH, beams, penalty)
    for sample in range(BATCH):
        output = beam_by_hand(tables, sample, beams, penalty)
        assert found.tokens[sample].tolist() == as_row(output)
        assert found.log_prob[sample].item() == pytest.approx(tables.score(sample, output))


@pytest.mark.parametrize("penalty", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(10))
def test_a_beam_of_one_is_greedy_search(penalty, seed):
    tables = Tables(seed=seed)
    greedy = greedy_search(tables, tables.start(), MAX_LENGTH)
    beam = beam_search(tables, tables.start(), MAX_LENGTH, 1, penalty)
    assert torch.equal(greedy.tokens, beam.tokens)
    torch.testing.assert_close(greedy.log_prob.double(), beam.log_prob.double())


def test_greedy_search_takes_the_most_probable_token_at_every_step():
    tables = Tables()
    found = greedy_search(tables, tables.start(), MAX_LENGTH)
    for sample in range(BATCH):
        output, prefix = [], 0
        while len(output) < MAX_LENGTH and EOS not in output:
            scores = tables.log_probs[sample, prefix].tolist()
            output.append(max((EOS, *CHARACTERS), key=lambda token: scores[token]))
            prefix = prefix * VOCABULARY + output[-1]
        assert found.tokens[sample].tolist() == as_row(output)
        assert found.log_prob[sample].item() == pytest.approx(tables.score(sample, output))


def test_the_length_penalty_makes_outputs_longer():
    lengths = []
    for penalty in (0.0, 1.0, 3.0):
        searched = (Tables(seed=seed) for seed in range(9))
        tokens = [beam_search(tables, tables.start(), MAX_LENGTH, 81, penalty).tokens for tables in searched]
        lengths.append((torch.cat(tokens) != PAD).sum().item())
    assert lengths[0] < lengths[1] < lengths[2]


@pytest.mark.parametrize("search", [greedy_search, lambda *args: beam_search(*args, beam_size=3)])
def test_what_never_ends_is_cut_at_the_maximal_length(search):
    def endless(tokens, state):
        log_probs = torch.full((len(tokens), VOCABULARY), -torch.inf)
        log_probs[:, CHARACTERS] = torch.tensor([0.6, 0.3, 0.1]).log()
        return log_probs, state

    found = search(endless, (torch.zeros(2, 1),), 3)
    assert found.tokens.tolist() == [[4, 4, 4]] * 2
    assert found.log_prob.tolist() == pytest.approx([3 * math.log(0.6)] * 2)


@pytest.mark.parametrize("token", [PAD, SOS, UNK])
@pytest.mark.parametrize("search", [greedy_search, lambda *args: beam_search(*args, beam_size=3)])
def test_padding_start_and_unknown_are_never_written(search, token):
    def tempting(tokens, state):
        log_probs = torch.full((len(tokens), VOCABULARY), -5.0)
        log_probs[:, token] = -0.1
        return log_probs, state

    written = search(tempting, (torch.zeros(2, 1),), 5).tokens[:, :1].flatten().tolist()
    assert token not in written


def test_samples_do_not_influence_each_other():
    tables = Tables()
    together = beam_search(tables, tables.start(), MAX_LENGTH, 3)
    for sample in range(BATCH):
        alone = beam_search(tables, tuple(t[sample : sample + 1] for t in tables.start()), MAX_LENGTH, 3)
        assert torch.equal(alone.tokens[0], together.tokens[sample])
        assert alone.log_prob[0] == together.log_prob[sample]


def test_a_search_needs_a_beam_and_a_length():
    tables = Tables()
    with pytest.raises(InputError, match="beam_size must be positive"):
        beam_search(tables, tables.start(), MAX_LENGTH, 0)
    with pytest.raises(InputError, match="max_length must be positive"):
        greedy_search(tables, tables.start(), 0)
