"""The noise of evaluation belongs to the sample: neither batches nor devices change what is measured."""

from types import SimpleNamespace

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from nnzoo import VAE, Autoencoder, ImageDataModule
from nnzoo.data.sampler import GlobalBatchSampler
from nnzoo.modules.base import ZooModule
from nnzoo.nets.noise import normal, uniform
from support.quiet import QUIET

pytestmark = pytest.mark.filterwarnings("ignore:.*")


def draws(batch_idx, size, module=None):
    module = module or ZooModule()
    return [torch.rand(3, generator=generator).tolist() for generator in module.evaluation_noise(batch_idx, size)]


def test_every_sample_has_noise_of_its_own_that_is_the_same_every_time():
    before = torch.get_rng_state()
    first = draws(0, 40)
    assert first == draws(0, 40) == draws(0, 20) + draws(1, 20)
    assert len(set(map(tuple, first))) == 40
    assert torch.equal(torch.get_rng_state(), before), "the training's noise is left alone"


@pytest.mark.parametrize(("batch_size", "world"), [(16, 1), (7, 1), (16, 2), (10, 3)])
def test_noise_goes_by_the_number_of_the_sample(batch_size, world):
    whole, found = draws(0, 50), {}
    for rank in range(world):
        module = ZooModule()
        sampler = GlobalBatchSampler(50, batch_size, rank=rank, world_size=world, train=False)
        loader = DataLoader(range(50), batch_sampler=sampler)
        module._trainer = SimpleNamespace(testing=True, test_dataloaders=loader)
        for number, index in enumerate(sampler):
            found |= zip(index.samples.tolist(), draws(number, len(index.samples), module), strict=True)
    assert [found[sample] for sample in range(50)] == whole


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_sample_draws_the_same_alone_and_among_others(count):
    like = torch.zeros(1)
    generators = lambda: [torch.Generator().manual_seed(seed) for seed in range(count)]  # noqa: E731
    first = torch.Generator().manual_seed(0)
    assert torch.equal(
        normal((40, count, 7), like, generators(), dim=1)[:, 0], torch.empty(40, 7).normal_(generator=first)
    )
    first = torch.Generator().manual_seed(0)
    drawn = uniform((count, 2, 33), like, generators(), -0.5, 0.5)
    assert torch.equal(drawn[0], torch.empty(2, 33).uniform_(-0.5, 0.5, generator=first))
    assert drawn.shape == (count, 2, 33)


def test_noise_of_samples_comes_to_the_device_and_type_of_the_model():
    generators = [torch.Generator(), torch.Generator()]
    for draw in (normal, uniform):
        drawn = draw((2, 3), torch.empty(1, device="meta", dtype=torch.float64), generators)
        assert (drawn.device.type, drawn.dtype) == ("meta", torch.float64)


@pytest.mark.parametrize(
    "model",
    [
        lambda: VAE(in_shape=(1, 8, 8), levels=17, hidden=[8], num_nll_samples=230),
        lambda: VAE(in_shape=(1, 8, 8), levels=17, hidden=[8], num_nll_samples=3, likelihood="gaussian"),
        lambda: Autoencoder(in_shape=(1, 8, 8), hidden=[8], noise="gaussian"),
        lambda: Autoencoder(in_shape=(1, 8, 8), hidden=[8], noise="salt_and_pepper"),
    ],
)
def test_the_size_of_batches_changes_no_metric(model):
    torch.manual_seed(0)
    model = model()
    first, other = (
        L.Trainer(**QUIET).test(model, ImageDataModule(batch_size=size), verbose=False)[0] for size in (128, 50)
    )
    assert first == pytest.approx(other, rel=1e-5)
