import itertools
from pathlib import Path
from types import SimpleNamespace

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import Dataset

from nnzoo.data.base import GlobalBatchDataModule, data_root
from nnzoo.data.sampler import GlobalBatchSampler
from nnzoo.errors import InputError
from nnzoo.seeds import mix_seed

SAMPLERS = [{"train": True}, {"train": False}, {"train": True, "weights": torch.arange(1.0, 104.0)}]


def listed(*args, epoch=0, step=0, **kwargs):
    return [
        (batch.samples.tolist(), batch.seed, batch.rows, batch.size)
        for batch in GlobalBatchSampler(*args, position=lambda: (epoch, step), **kwargs)
    ]


def samples(batches):
    return [batch[0] for batch in batches]


@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", SAMPLERS)
def test_the_rows_of_all_ranks_rebuild_the_global_batches_of_one_device(kind, world_size):
    whole = listed(103, 12, seed=5, epoch=3, **kind)
    shares = [listed(103, 12, seed=5, epoch=3, rank=r, world_size=world_size, **kind) for r in range(world_size)]
    assert [len(share) for share in shares] == [len(whole)] * world_size
    for (expected, seed, _, size), *ranks in zip(whole, *shares, strict=True):
        rebuilt = [None] * size
        for rank, (chosen, rank_seed, rows, rank_size) in enumerate(ranks):
            assert (rank_seed, rank_size) == (seed, size)
            assert rows == slice(rank, None, world_size)
            rebuilt[rank::world_size] = chosen
        assert rebuilt == expected


@pytest.mark.parametrize("kind", SAMPLERS)
def test_starting_at_a_step_gives_exactly_the_tail_of_the_epoch(kind):
    whole = listed(103, 12, epoch=2, **kind)
    for step in range(len(whole) + 1):
        assert listed(103, 12, epoch=2, step=step, **kind) == whole[step:]


def test_batches_depend_on_seed_and_epoch_and_not_on_the_global_generator():
    torch.manual_seed(0)
    first = listed(50, 5, seed=1, epoch=1)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert listed(50, 5, seed=1, epoch=1) == first
    assert torch.equal(torch.get_rng_state(), state)
    for other in (listed(50, 5, seed=2, epoch=1), listed(50, 5, seed=1, epoch=2)):
        assert samples(other) != samples(first)
        assert not {seed for _, seed, *_ in other} & {seed for _, seed, *_ in first}


def test_every_batch_of_an_epoch_has_a_seed_of_its_own():
    """By which it is augmented: two batches with one seed would be turned and shifted alike."""
    for train in (True, False):
        seeds = [seed for _, seed, *_ in listed(50, 5, seed=1, epoch=1, train=train)]
        assert len(set(seeds)) == len(seeds) == 10


def test_a_sampler_asks_for_the_position_each_time_it_is_iterated():
    epochs = iter([0, 1, 0])
    sampler = GlobalBatchSampler(20, 4, position=lambda: (next(epochs), 0))
    first, second, third = ([batch.samples.tolist() for batch in sampler] for _ in range(3))
    assert first == third != second


@pytest.mark.parametrize(("num_samples", "batch_size"), [(1, 1), (10, 3), (12, 3), (12, 12), (100, 64), (103, 1)])
def test_training_leaves_out_only_the_incomplete_batch(num_samples, batch_size):
    batches = samples(listed(num_samples, batch_size))
    assert [len(batch) for batch in batches] == [batch_size] * (num_samples // batch_size)
    seen = [index for batch in batches for index in batch]
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(range(num_samples))
    assert len(GlobalBatchSampler(num_samples, batch_size)) == len(batches)


def test_every_sample_is_equally_likely_to_be_left_out():
    left_out = np.zeros(5)
    for epoch in range(2000):
        left_out[list(set(range(5)) - set(GlobalBatchSampler(5, 4).order(epoch)[:4].tolist()))] += 1
    assert np.abs(left_out - 400).max() < 5 * np.sqrt(2000 * 0.2 * 0.8)


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 8])
def test_evaluation_visits_every_sample_once_in_equally_many_batches_on_all_ranks(world_size):
    for num_samples, share in itertools.product([*range(world_size, 40), 97, 100, 360], [1, 2, 3, 7, 64]):
        batch_size = share * world_size
        sampler = GlobalBatchSampler(num_samples, batch_size, world_size=world_size, train=False)
        ranks = [samples(listed(num_samples, batch_size, 0, r, world_size, train=False)) for r in range(world_size)]
        assert [len(rank) for rank in ranks] == [len(sampler)] * world_size
        assert all(batch for rank in ranks for batch in rank)
        assert sorted(index for rank in ranks for batch in rank for index in batch) == list(range(num_samples))
        sizes = [sum(len(batch) for batch in batches) for batches in zip(*ranks, strict=True)]
        assert max(sizes) - min(sizes) <= 1
        # A device may have to take one more than its share where there are fewer than two batches of samples.
        assert max(sizes) <= max(batch_size, 2 * world_size - 1)


def test_evaluation_keeps_the_order_and_is_the_same_in_every_epoch():
    batches = samples(listed(23, 5, train=False))
    assert [index for batch in batches for index in batch] == list(range(23))
    assert samples(listed(23, 5, train=False, seed=4, epoch=9)) == batches


def test_weighted_draws_have_the_frequencies_of_the_weights():
    weights = torch.tensor([0.0, 1.0, 3.0, 6.0]).repeat(10_000)
    drawn = torch.tensor(samples(listed(len(weights), 100, weights=weights))).flatten() % 4
    share = torch.bincount(drawn, minlength=4) / len(drawn)
    expected = torch.tensor([0.0, 0.1, 0.3, 0.6])
    assert share[0] == 0
    assert ((share - expected).abs() <= 5 * (expected * (1 - expected) / len(drawn)).sqrt()).all()


def test_mixed_seeds_are_all_different_and_fit_a_generator():
    triples = [mix_seed(*numbers) for numbers in itertools.product(range(12), repeat=3)]
    pairs = [mix_seed(*numbers) for numbers in itertools.product(range(12), repeat=2)]
    assert len(set(triples)) == len(triples)
    assert all(0 <= seed < 2**63 for seed in triples)
    assert not set(pairs) & set(triples), "the order of an epoch shares the seed of one of its batches"


def test_the_seed_of_a_sample_is_worked_out_once(monkeypatch):
    made = [mix_seed(2**40), mix_seed(2**40, 1)]
    monkeypatch.setattr(np.random, "SeedSequence", None)
    assert [mix_seed(2**40), mix_seed(2**40, 1)] == made


def test_the_data_root_is_the_argument_or_nnzoo_data_or_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NNZOO_DATA", "/data")
    assert data_root("~/mine") == Path.home() / "mine"
    assert data_root(None) == Path("/data")
    monkeypatch.delenv("NNZOO_DATA")
    assert data_root(None) == tmp_path / "nnzoo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data_root(None) == Path.home() / ".cache" / "nnzoo"


class Numbers(Dataset):
    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitems__(self, batch):
        return batch.samples


class NumbersModule(GlobalBatchDataModule):
    def __init__(self, batch_size=4, sizes=(22, 7, 5), world_size=1, rank=0, seed=0):
        super().__init__(batch_size=batch_size, seed=seed)
        self.parts = {part: Numbers(size) for part, size in zip(("train", "val", "test"), sizes, strict=True)}
        progress = SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=0)))
        self.trainer = SimpleNamespace(
            world_size=world_size,
            global_rank=rank,
            training=True,
            current_epoch=0,
            fit_loop=SimpleNamespace(epoch_loop=progress),
        )


PARTS = ("train", "val", "test", "predict")


def loaded(module, part):
    return [batch.tolist() for batch in getattr(module, f"{part}_dataloader")()]


@pytest.mark.parametrize("part", PARTS)
def test_the_loaders_of_two_devices_share_the_batches_of_one(part):
    whole = loaded(NumbersModule(), part)
    ranks = [loaded(NumbersModule(world_size=2, rank=rank), part) for rank in range(2)]
    assert [len(loaded) for loaded in ranks] == [len(whole)] * 2
    assert all(batch[rank::2] == share for rank in range(2) for batch, share in zip(whole, ranks[rank], strict=True))


@pytest.mark.parametrize("part", PARTS)
def test_a_batch_size_that_does_not_divide_over_the_devices_is_refused_with_one_that_does(part):
    with pytest.raises(InputError, match=r"--data\.batch_size 6\b"):
        loaded(NumbersModule(batch_size=4, world_size=3), part)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_with_fewer_samples_than_devices_is_refused(part):
    with pytest.raises(InputError, match="3 samples"):
        loaded(NumbersModule(sizes=(3, 3, 3), world_size=4), part)


@pytest.mark.parametrize(("world_size", "batch_size", "steps"), [(1, 4, 5), (4, 4, 5), (3, 6, 3)])
def test_a_batch_larger_than_the_training_part_is_made_smaller_with_a_warning(world_size, batch_size, steps):
    """Several steps an epoch, on any number of devices."""
    ranks = []
    for rank in range(world_size):
        with pytest.warns(UserWarning, match=f"Only 22 training samples: using batches of {batch_size}, not 120"):
            ranks.append(loaded(NumbersModule(batch_size=120, world_size=world_size, rank=rank), "train"))
    assert [len(batches) for batches in ranks] == [steps] * world_size
    assert len({index for batches in ranks for batch in batches for index in batch}) == batch_size * steps


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_size_that_is_not_positive_is_refused(batch_size):
    with pytest.raises(InputError, match=r"--data\.batch_size"):
        NumbersModule(batch_size=batch_size)


@pytest.mark.parametrize("part", PARTS)
def test_iterating_a_loader_leaves_the_global_generator_alone(part):
    state = torch.get_rng_state()
    loaded(NumbersModule(), part)
    assert torch.equal(torch.get_rng_state(), state)


def test_sample_weights_are_used_in_training_only(monkeypatch):
    monkeypatch.setattr(NumbersModule, "sample_weights", lambda self: torch.eye(22)[13])
    assert loaded(NumbersModule(), "train") == [[13] * 4] * 5
    assert [index for batch in loaded(NumbersModule(), "val") for index in batch] == list(range(7))


class Recorder(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append((self.current_epoch, batch_idx, batch.tolist()))
        return self.weight * 1.0

    def validation_step(self, batch, batch_idx):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def trained(tmp_path, ckpt_path=None):
    recorder = Recorder()
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=3,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=ModelCheckpoint(tmp_path, filename="{step}", save_top_k=-1, every_n_train_steps=1),
    )
    trainer.fit(recorder, datamodule=NumbersModule(), ckpt_path=ckpt_path)
    return recorder.seen


def test_a_run_resumed_after_any_step_continues_with_the_next_batch(tmp_path):
    whole = trained(tmp_path / "whole")
    assert [(epoch, step) for epoch, step, _ in whole] == list(itertools.product(range(3), range(5)))
    assert [batch for *_, batch in whole] == [batch for e in range(3) for batch in samples(listed(22, 4, epoch=e))]
    for step in (1, 4, 5, 8, 10, 14):
        assert trained(tmp_path / "resumed", tmp_path / "whole" / f"step={step}.ckpt") == whole[step:]
