"""The likelihood of large tests is estimated on images chosen at random, as many as sizes alone say."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from nnzoo import VAE, ImageDataModule, InputError
from nnzoo.data.sampler import GlobalBatchSampler
from nnzoo.metrics.means import StageMeans
from nnzoo.modules.base import ZooModule
from support.forked import run_ranks
from support.quiet import QUIET
from support.runs import run_folder

pytestmark = pytest.mark.filterwarnings("ignore:.*")
IMAGES, PIXELS, SAMPLES = 270, 64, 3
WORK = 50 * SAMPLES * PIXELS
"""Of fifty images."""


def digits_vae(**settings):
    torch.manual_seed(0)
    return VAE(**{"in_shape": (1, 8, 8), "levels": 17, "hidden": [8], "num_nll_samples": SAMPLES, **settings})


def measured(model, monkeypatch, batch_size=128, **trainer):
    """The test's metrics, and the values of every image of which a likelihood was estimated."""
    values, update = [], StageMeans.update

    def spy(self, stage, terms, *weights):
        values.extend(terms.get("nll", torch.empty(0)).tolist())
        update(self, stage, terms, *weights)

    with monkeypatch.context() as patch:
        patch.setattr(StageMeans, "update", spy)
        metrics = L.Trainer(**{**QUIET, **trainer}).test(model, ImageDataModule(batch_size=batch_size), verbose=False)
    return metrics[0], values


def test_the_value_is_that_of_the_chosen_images_which_are_not_the_first(monkeypatch):
    whole, values = measured(digits_vae(max_nll_values=None), monkeypatch)
    assert len(values) == IMAGES
    part, chosen = measured(digits_vae(max_nll_values=WORK), monkeypatch)
    assert len(chosen) == 50
    numbers = [min(range(IMAGES), key=lambda i: abs(values[i] - value)) for value in chosen]
    assert chosen == pytest.approx([values[number] for number in numbers], rel=1e-5)
    assert numbers == sorted(set(numbers))
    assert sum(number < IMAGES // 2 for number in numbers) in range(10, 41), "from the whole part"
    assert part["test/nll"] == pytest.approx(sum(chosen) / 50, rel=1e-6)
    assert part["test/bits_per_dim"] == pytest.approx(part["test/nll"] / PIXELS / torch.tensor(2.0).log().item())
    assert (part["test/loss"], part["test/elbo"]) == (whole["test/loss"], whole["test/elbo"]), "of all images"


@pytest.mark.parametrize("batch_size", [50, 7])
def test_the_choice_is_the_same_for_batches_of_any_size(monkeypatch, batch_size):
    _, values = measured(digits_vae(max_nll_values=WORK), monkeypatch)
    assert measured(digits_vae(max_nll_values=WORK), monkeypatch, batch_size)[1] == pytest.approx(values, rel=1e-5)


@pytest.mark.parametrize("world", [2, 3])
def test_processes_measure_the_samples_that_one_would(world):
    def chosen(rank, world):
        module, sampler = ZooModule(), GlobalBatchSampler(70, 16, rank=rank, world_size=world, train=False)
        loader = DataLoader(range(70), batch_sampler=sampler)
        module._trainer = SimpleNamespace(testing=True, test_dataloaders=loader, num_test_batches=[len(sampler)])
        batches = [index.samples for index in sampler]
        rows = [module.tested_rows(number, len(samples), 20) for number, samples in enumerate(batches)]
        return [sample for samples, few in zip(batches, rows, strict=True) for sample in samples[few].tolist()]

    parts = [chosen(rank, world) for rank in range(world)]
    assert sorted(itertools.chain(*parts)) == chosen(0, 1)
    assert len(chosen(0, 1)) == 20


def test_two_processes_report_the_likelihood_of_one(in_tmp):
    flags = [
        *("--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--trainer.accelerator", "cpu"),
        *("--model.hidden", "[8]", "--model.lr", "1e-12", "--baselines", "null", "--figures.draw", "false"),
        *("--model.num_nll_samples", str(SAMPLES), "--model.max_nll_values", str(WORK)),
    ]
    found = []
    for count in (1, 2):
        own = ["--trainer.devices", str(count), "--trainer.default_root_dir", str(count)]
        results = run_ranks(["nnzoo.recipes.vae", *flags, *own, *["--trainer.strategy", "ddp"][: 2 * count - 2]], count)
        assert all(result.returncode == 0 for result in results), results
        assert "nll and bits_per_dim: of 50 of 270 test images, chosen at random" in results[0].stdout
        metrics = json.loads((run_folder(Path(str(count))) / "result.json").read_text())["metrics"]
        found.append({name: value for name, value in metrics.items() if name.startswith("test/")})
    assert found[0] == pytest.approx(found[1], rel=1e-5)


@pytest.mark.parametrize(
    ("work", "trainer", "images", "note"),
    [
        (WORK, {}, 50, "nll and bits_per_dim: of 50 of 270 test images, chosen at random; of all with "
                   "--model.max_nll_values null"),
        (WORK, {"limit_test_batches": 1}, 50, "of 50 of 90 test images"),
        (1, {}, 1, "of 1 of 270 test images"),
        (IMAGES * SAMPLES * PIXELS - 1, {}, 269, "of 269 of 270 test images"),
        (IMAGES * SAMPLES * PIXELS, {}, IMAGES, ""),
        (None, {}, IMAGES, ""),
    ],
)  # fmt: skip
def test_the_note_says_how_many_of_how_many_images(monkeypatch, work, trainer, images, note):
    model = digits_vae(max_nll_values=work)
    _, values = measured(model, monkeypatch, **trainer)
    assert note in model.metric_note
    assert len(values) == images
    assert bool(model.metric_note) == bool(note)


def test_a_note_does_not_outlive_its_test(monkeypatch):
    model = digits_vae(max_nll_values=WORK)
    measured(model, monkeypatch)
    L.Trainer(**QUIET).test(model, ImageDataModule(test_fraction=0.02), verbose=False)
    assert model.metric_note == ""


def test_the_digits_are_within_what_is_taken_by_default():
    model = VAE(in_shape=(1, 8, 8), levels=17, hidden=[8])
    assert model.max_nll_images > IMAGES
    assert VAE(in_shape=(1, 28, 28), levels=2, likelihood="bernoulli", hidden=[8]).max_nll_images == 171


@pytest.mark.parametrize("work", [0, -1])
def test_a_bound_below_one_is_refused(work):
    with pytest.raises(InputError, match="max_nll_values must be positive"):
        digits_vae(max_nll_values=work)
