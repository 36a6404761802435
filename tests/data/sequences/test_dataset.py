import math

import numpy as np
import pytest
import torch
from scipy import stats

from nnzoo.data.sampler import BatchIndex
from nnzoo.data.sequences.dataset import SequenceDataset
from nnzoo.data.sequences.problems import adding_problem, copy_memory
from nnzoo.tokens import IGNORED


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(*samples):
    return BatchIndex(torch.tensor(samples), 0, slice(None), len(samples))


@pytest.fixture
def ragged():
    return [torch.arange(1, 1 + 2 * length).view(length, 2).float() + 100 * length for length in (3, 1, 4)]


def test_a_batch_holds_its_sequences_padded_to_the_longest_of_them(ragged):
    data = SequenceDataset(torch.cat(ragged), torch.tensor([3, 1, 4]), torch.tensor([7, 8, 9]))
    values, lengths, targets = data.__getitems__(batch(1, 0))
    assert values.shape == (2, 3, 2)
    assert torch.equal(values[0], torch.cat([ragged[1], torch.zeros(2, 2)]))
    assert torch.equal(values[1], ragged[0])
    assert lengths.tolist() == [1, 3]
    assert targets.tolist() == [8, 7]
    assert torch.equal(data[2][0], ragged[2])


@pytest.mark.parametrize("labels", [(), (2,)])
def test_targets_per_step_follow_their_steps_and_are_ignored_after_the_end(ragged, labels):
    targets = torch.randint(5, (8, *labels))
    data = SequenceDataset(torch.cat(ragged), torch.tensor([3, 1, 4]), targets, per_step=True)
    _, _, padded = data.__getitems__(batch(2, 1))
    assert torch.equal(padded[0], targets[4:])
    assert torch.equal(padded[1, 0], targets[3])
    assert (padded[1, 1:] == IGNORED).all()


def test_bytes_are_scaled():
    data = SequenceDataset(
        torch.tensor([[0], [255]], dtype=torch.uint8), torch.tensor([2]), torch.tensor([0]), scale=1 / 255
    )
    assert data[0][0].flatten().tolist() == [0.0, 1.0]


def test_the_sum_is_that_of_two_marked_values():
    inputs, sums = adding_problem(500, 20, seeded())
    values, markers = inputs.unbind(dim=2)
    assert inputs.shape == (500, 20, 2)
    assert ((markers == 0) | (markers == 1)).all()
    assert (markers.sum(dim=1) == 2).all()
    torch.testing.assert_close((values * markers).sum(dim=1), sums)


def test_values_are_uniform_and_every_pair_of_positions_is_equally_likely():
    inputs, _ = adding_problem(30_000, 5, seeded())
    assert stats.kstest(inputs[..., 0].flatten().numpy(), "uniform").pvalue > 1e-3
    pairs = [tuple(row.nonzero().flatten().tolist()) for row in inputs[..., 1]]
    counts = [pairs.count(pair) for pair in sorted(set(pairs))]
    assert len(counts) == math.comb(5, 2)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_always_saying_one_has_a_squared_error_of_a_sixth():
    _, sums = adding_problem(100_000, 150, seeded())
    error = (sums - 1).square()
    assert float(error.mean()) == pytest.approx(1 / 6, abs=4 * float(error.std()) / math.sqrt(len(sums)))


def test_copy_memory_asks_for_the_symbols_after_the_blank():
    inputs, target = copy_memory(200, 12, 4, seeded())
    assert inputs.shape == (200, 20, 10)
    assert (inputs.sum(dim=2) == 1).all()
    symbols = inputs.argmax(dim=2)
    assert ((symbols[:, :4] >= 1) & (symbols[:, :4] <= 8)).all()
    assert (symbols[:, 4:15] == 0).all()  # length - 1 blanks
    assert (symbols[:, 15:] == 9).all()  # memory + 1 signals
    assert (target[:, :16] == 0).all()
    assert torch.equal(target[:, 16:], symbols[:, :4])


def test_symbols_to_copy_are_uniform():
    _, target = copy_memory(5000, 1, 10, seeded())
    assert stats.chisquare(np.bincount(target[:, -10:].flatten().numpy())[1:]).pvalue > 1e-3


@pytest.mark.parametrize("problem", [lambda g: adding_problem(10, 8, g), lambda g: copy_memory(10, 8, 3, g)])
def test_problems_depend_on_their_seed_alone(problem):
    state = torch.get_rng_state()
    first, again, other = problem(seeded(1)), problem(seeded(1)), problem(seeded(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
