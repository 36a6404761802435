"""Densities of points against closed forms and scikit-learn."""

import math

import lightning as L
import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from nnzoo import DensityBaselines, DensityDataModule, ImageDataModule, InputError, LawBaselines
from nnzoo.baselines.densities import fitted_densities
from nnzoo.data.facts import facts_of

ENTROPY = {  # of a Gaussian in two dimensions, and of the choice among them; of the area of the squares
    "eight_gaussians": math.log(8) + math.log(2 * math.pi * math.e) + 2 * math.log(0.02 / 1.414),
    "twenty_five_gaussians": math.log(25) + math.log(2 * math.pi * math.e) + 2 * math.log(0.05 / 2.828),
    "checkerboard": math.log(8 * (2 / 2.309) ** 2),
}


def data(dataset, num_samples=1500, **settings):
    return DensityDataModule(dataset=dataset, num_samples=num_samples, **settings)


def arrays(module, *parts):
    return [module.points(part).double().numpy() for part in parts]


@pytest.mark.parametrize("dataset", ["eight_gaussians", "twenty_five_gaussians", "swiss_roll", "checkerboard"])
def test_the_law_is_the_floor_and_its_likelihood_the_entropy(dataset):
    found = LawBaselines(max_samples=700).scores(None, data(dataset, 4000))
    assert set(found) == {"law", "kde", "mixture"}
    assert found["law"]["nll"] < min(found["kde"]["nll"], found["mixture"]["nll"])
    if dataset in ENTROPY:  # of 600 points; the variance of the log-density of a Gaussian in two dimensions is 1
        assert found["law"]["nll"] == pytest.approx(ENTROPY[dataset], abs=5 / math.sqrt(600))
    assert ("modes_found" in found["law"]) is dataset.endswith("gaussians")
    if dataset == "eight_gaussians":
        assert [scores["modes_found"] for scores in found.values()] == [8, 8, 8]
        share = 1 - math.exp(-4.5)
        error = math.sqrt(share * (1 - share) / 2500)
        assert found["law"]["high_quality"] == pytest.approx(share, abs=5 * error)
        assert found["kde"]["high_quality"] < found["law"]["high_quality"]


def test_models_are_scikit_learns_of_the_size_that_suits_the_validation_points():
    module = data("moons", 600)
    train, val, test = arrays(module, "train", "val", "test")
    found = LawBaselines().scores(None, module)
    sizes = [1, 2, 4, 8, 16, 25, 40, 64]
    mixtures = [GaussianMixture(size, random_state=0).fit(train) for size in sizes]
    best = max(mixtures, key=lambda model: model.score(val))
    assert found["mixture"]["nll"] == pytest.approx(-best.score(test))
    kernels = [KernelDensity(bandwidth=width).fit(train) for width in np.geomspace(0.003, 0.3, 12)]
    kernel = max(kernels, key=lambda model: model.score(val))
    assert 0.003 < kernel.bandwidth < 0.3, "not at an end of what is tried"
    assert found["kde"]["nll"] == pytest.approx(-kernel.score(test) / len(test), abs=2e-4)
    repeated = LawBaselines().scores(None, data("moons", 600))
    assert repeated == found


def test_models_never_see_the_test_points():
    module = data("swiss_roll", 300)
    train, val = arrays(module, "train", "val")
    module.setup()
    module.parts["test"].points += 100
    seen = fitted_densities(*arrays(module, "train", "val"))
    expected = fitted_densities(train, val)
    for name, model in expected.items():
        assert np.array_equal(model.score_samples(val), seen[name].score_samples(val))
    assert LawBaselines().scores(None, module)["mixture"]["nll"] > 100, "measured on the test points"


def test_a_part_of_the_points_is_said():
    baselines = LawBaselines(max_samples=100)
    baselines.scores(None, data("moons", 300))
    assert baselines.notes == ["kde, mixture: fitted on 100 of 210 points, chosen at random"]
    baselines.scores(None, data("moons", 100))
    assert baselines.notes == []


def test_a_single_training_point_still_gives_a_kernel_density():
    found = LawBaselines().scores(None, data("eight_gaussians", 3))
    assert set(found) == {"law", "kde"}
    assert all(math.isfinite(scores["nll"]) for scores in found.values())


def test_bad_sizes_and_what_the_data_must_have():
    with pytest.raises(InputError, match="max_samples must be positive"):
        LawBaselines(max_samples=0)
    known = {*facts_of(DensityDataModule), *vars(DensityDataModule)}
    assert set(LawBaselines.needs) <= known
    assert torch.is_tensor(data("moons").points("test"))


class Nothing(L.LightningModule):
    def test_step(self, batch, batch_idx):
        assert batch[0].shape[1] == 2


def test_they_stand_in_the_metrics_of_a_test(make_trainer):
    module = data("eight_gaussians", 300)
    trainer = make_trainer(callbacks=[LawBaselines()])
    trainer.test(Nothing(), datamodule=module, verbose=False)
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    expected = LawBaselines().scores(None, module)
    flat = {f"baseline/{name}/{metric}": value for name, scores in expected.items() for metric, value in scores.items()}
    assert logged == pytest.approx(flat)
    assert len(flat) == 9


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_images_have_no_law_and_laws_no_images(make_trainer):
    for baselines, module in ((LawBaselines(), ImageDataModule()), (DensityBaselines(), data("moons", 100))):
        module.prepare_data()
        module.setup()
        trainer = make_trainer(callbacks=[baselines])
        trainer.datamodule = module
        with pytest.warns(UserWarning, match=f"There are no {type(baselines).__name__}: the data have no"):
            baselines.on_test_epoch_end(trainer, Nothing())
