import pytest
import torch
from scipy import stats

from nnzoo.data.sampler import GlobalBatchSampler
from nnzoo.data.text.sampler import LengthGroupedSampler

LENGTHS = torch.from_numpy(stats.geom(0.04).rvs(3001, random_state=0)) + 2


def samples(**settings):
    return [index.samples for index in LengthGroupedSampler(LENGTHS, 32, **settings)]


def test_each_sample_comes_once_an_epoch_but_for_those_that_do_not_fill_a_batch():
    left_out = set()
    for epoch in range(8):
        batches = samples(position=lambda epoch=epoch: (epoch, 0))
        seen = torch.cat(batches)
        assert [len(batch) for batch in batches] == [32] * (3001 // 32)
        assert len(seen.unique()) == len(seen) == 3001 // 32 * 32
        left_out |= set(range(3001)) - set(seen.tolist())
    assert len(left_out) > 25 * 6, "others each time"
    assert LENGTHS[list(left_out)].float().mean() < 1.3 * LENGTHS.float().mean(), "and not the longest"


def test_several_devices_see_the_batches_of_one():
    whole = samples(seed=3)
    halves = [samples(seed=3, rank=rank, world_size=2) for rank in (0, 1)]
    for batch, first, second in zip(whole, *halves, strict=True):
        assert torch.equal(batch[0::2], first)
        assert torch.equal(batch[1::2], second)


def test_an_epoch_goes_on_where_it_stopped():
    assert all(map(torch.equal, samples(position=lambda: (2, 0))[40:], samples(position=lambda: (2, 40))))


def test_epochs_and_seeds_have_batches_of_their_own():
    first = [set(batch.tolist()) for batch in samples(seed=0)]
    for other in (samples(seed=1), samples(seed=0, position=lambda: (1, 0))):
        shared = [max(len(batch & set(new.tolist())) for new in other) for batch in first]
        assert sum(shared) / len(shared) < 16, "no batch of 32 comes again"


def test_little_is_padding_and_the_order_of_lengths_is_random():
    def padded(batches):
        return sum(int(LENGTHS[batch].max()) * len(batch) for batch in batches) / sum(
            int(LENGTHS[batch].sum()) for batch in batches
        )

    plain = [index.samples for index in GlobalBatchSampler(3001, 32)]
    batches = samples()
    assert padded(batches) < 1.2 < 3 < padded(plain)
    means = torch.stack([LENGTHS[batch].float().mean() for batch in batches])
    assert abs(stats.spearmanr(range(len(means)), means).statistic) < 0.3
    for other in (samples(seed=1), samples(position=lambda: (1, 0))):
        theirs = torch.stack([LENGTHS[batch].float().mean() for batch in other])
        assert abs(stats.spearmanr(means, theirs).statistic) < 0.4, "in an order of their own"


@pytest.mark.parametrize("balanced", [False, True])
def test_weights_and_evaluation(balanced):
    if balanced:
        weights = torch.where(torch.arange(3001) < 100, 100.0, 1.0)
        seen = torch.cat(samples(weights=weights))
        assert 0.7 < (seen < 100).float().mean() < 0.85
    else:
        assert torch.equal(torch.cat(samples(train=False)), torch.arange(3001))
