"""Quality of drawn images: what is drawn, what it is compared with, and what classical models draw."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from nnzoo import VAE, ImageDataModule, SampleQuality
from nnzoo.baselines.base import OWN
from nnzoo.baselines.features import shipped, trained
from nnzoo.baselines.images import dequantized
from nnzoo.baselines.sample_quality import PixelModel, drawn_images, gaussian_images, mixture_images, on_levels
from nnzoo.errors import InputError
from nnzoo.metrics.samples import sample_metrics
from support.found import recipe
from support.runs import SMOKE

pytestmark = pytest.mark.filterwarnings("ignore:.*")
SHAPE, LEVELS = (1, 2, 3), 17


@pytest.fixture(scope="module")
def digits():
    data = ImageDataModule()
    data.setup()
    return data


class Drawer:
    """Draws given images in turn, a little off the grey levels, and draws from the global generator besides."""

    device, num_conditions = torch.device("cpu"), 0

    def __init__(self, images, off=0.0):
        self.images, self.off, self.calls = images, off, []

    def sample(self, num_samples, labels=None, generator=None):
        torch.rand(3)
        start = sum(number for number, *_ in self.calls)
        self.calls.append((num_samples, labels, generator))
        images = self.images[start : start + num_samples]
        noise = torch.rand(images.shape, generator=generator)
        return (images + self.off * noise).clamp(0, 1)


class Asked(Drawer):
    """Draws images of the classes that it is asked for, each image once."""

    num_conditions = 10

    def __init__(self, images, labels, shift=0):
        super().__init__(images)
        self.left, self.shift = [list(images[labels == label]) for label in range(10)], shift

    def sample(self, num_samples, labels=None, generator=None):
        return torch.stack([self.left[(int(label) + self.shift) % 10].pop() for label in labels])


def features_of(images):
    return shipped("digits")(images)


@pytest.fixture
def no_classical(monkeypatch):
    """Leaves out what is tested elsewhere, and slow."""
    for name in ("gaussian_images", "mixture_images"):
        monkeypatch.setattr(f"nnzoo.baselines.sample_quality.{name}", lambda *arguments: torch.zeros(270, 1, 8, 8))


def by_hand(real, drawn):
    metrics = sample_metrics(32)
    metrics.update(features_of(real), real=True)
    metrics.update(features_of(drawn), real=False)
    return {name: pytest.approx(float(value)) for name, value in metrics.compute().items()}


def test_a_module_that_draws_the_test_images_is_perfect_and_others_are_measured_beside_it(digits, no_classical):
    test, quality = digits.tensors("test")[0], SampleQuality()
    before = torch.get_rng_state()
    found = quality.scores(Drawer(test, off=0.4 / 16), digits)
    assert torch.equal(torch.get_rng_state(), before)
    assert found[OWN] == {"frechet": pytest.approx(0, abs=1e-3), "precision": 1, "recall": 1}
    assert found["training_images"] == by_hand(test, digits.tensors("train", 270)[0])
    assert found["pca"] == found["mixture"] == by_hand(test, torch.zeros(270, 1, 8, 8))
    assert found["training_images"]["frechet"] < 0.1 * found["pca"]["frechet"]
    assert quality.notes == [
        "frechet, precision, recall: of 270 images each, by 32 features of nnzoo's classifier of digits"
    ]
    few = SampleQuality(max_samples=100, max_fitted=200)
    few.scores(Drawer(torch.rand(100, 1, 8, 8)), digits)
    assert few.notes[0].startswith("frechet, precision, recall: of 100 images each")
    assert few.notes[1] == "pca, mixture (sampled): fitted on 200 of 1,257 images, chosen at random"


def test_of_a_conditional_module_the_share_is_told_that_looks_like_the_class_asked_for(digits, no_classical):
    images, labels = digits.tensors("test")
    network, quality = shipped("digits"), SampleQuality()
    right = pytest.approx(float((network.classifier(images).argmax(dim=1) == labels).double().mean()))
    found = quality.scores(Asked(images, labels), digits)
    assert found[OWN]["class_share"] == right
    assert found["test_images"] == {"class_share": right}
    assert quality.notes[0].startswith("frechet, precision, recall, class_share: of 270 images each")
    train, train_labels = digits.tensors("train")
    wrong = quality.scores(Asked(train, train_labels, shift=1), digits)
    assert wrong[OWN]["class_share"] < 0.02
    assert wrong["test_images"] == {"class_share": right}, "real images have the classes that they have"


def test_without_classes_there_is_no_such_share(digits, no_classical, monkeypatch):
    images, labels = digits.tensors("test")
    assert "class_share" not in str(SampleQuality().scores(Drawer(images), digits))
    untrained = trained(images, labels, 0, 0)
    monkeypatch.setattr("nnzoo.baselines.sample_quality.feature_network", lambda data: untrained)
    quality = SampleQuality()
    assert "class_share" not in str(quality.scores(Asked(images, labels), digits))
    assert "class_share" not in quality.notes[0]


def test_a_conditional_module_draws_the_classes_of_the_test_images(digits):
    images, labels = digits.tensors("test")
    drawer = Drawer(images)
    drawn_images(drawer, labels, (1, 8, 8))
    assert all(given is None for _, given, _ in drawer.calls)
    conditional = Drawer(images)
    conditional.num_conditions = 10
    assert torch.equal(drawn_images(conditional, labels, (1, 8, 8)), images)
    assert torch.equal(torch.cat([given for _, given, _ in conditional.calls]), labels)
    assert [number for number, *_ in conditional.calls] == [250, 20]
    assert len({id(generator) for *_, generator in conditional.calls}) == 1, "or all parts would be the same"


def test_the_same_images_are_drawn_whatever_was_drawn_before():
    module, labels = VAE(in_shape=(1, 8, 8), hidden=(8,)).eval(), torch.zeros(300)
    first = drawn_images(module, labels, (1, 8, 8))
    torch.rand(7)
    assert torch.equal(drawn_images(module, labels, (1, 8, 8)), first)
    assert len(first.unique(dim=0)) == 300


@pytest.mark.parametrize("wrong", [float("nan"), -1.0, 255.0])
def test_samples_that_are_no_images_are_refused(wrong):
    drawer = Drawer(torch.full((4, *SHAPE), wrong))
    drawer.sample = lambda number, generator: drawer.images
    with pytest.raises(InputError, match=r"NaN|must lie in"):
        drawn_images(drawer, torch.zeros(4), SHAPE)


def test_images_are_rounded_to_grey_levels_and_binary_ones_drawn():
    images = torch.tensor([0.0, 0.4, 0.6, 1.0, 15.4, 15.6]) / 16
    torch.testing.assert_close(on_levels(images, 17) * 16, torch.tensor([0.0, 0, 1, 1, 15, 16]))
    torch.testing.assert_close(on_levels(torch.tensor([0.501 / 255]), 256), torch.tensor([1 / 255]))
    drawn = on_levels(torch.full((10_000,), 0.3), 2)
    assert set(drawn.tolist()) == {0.0, 1.0}
    assert float(drawn.mean()) == pytest.approx(0.3, abs=0.02)


def grey(rows, seed=0):
    """Correlated levels in the middle of the range."""
    rng = np.random.default_rng(seed)
    values = 8 + rng.normal(size=(rows, 2)) @ np.random.default_rng(9).normal(size=(2, 6)) + rng.normal(size=(rows, 6))
    return torch.from_numpy(np.round(values).clip(0, 16) / 16).float().view(rows, *SHAPE)


def test_pixels_come_back_from_all_principal_components():
    images = grey(50)
    model = PixelModel(images, LEVELS)
    torch.testing.assert_close(model.images(model.codes(images)), images)
    assert PixelModel(torch.rand(60, 3, 10, 10), 256).pca.n_components_ == 50
    assert PixelModel(torch.rand(60, 1, 16, 16), 256).pca.n_components_ == 59


def test_a_gaussian_has_the_mean_and_covariance_of_the_training_images():
    images = grey(3000)
    drawn = gaussian_images(images, LEVELS, 20_000)
    assert torch.equal(drawn, on_levels(drawn, LEVELS))
    first, second = ((part * 16).flatten(1).numpy() for part in (images, drawn))
    np.testing.assert_allclose(second.mean(axis=0), first.mean(axis=0), atol=0.1)
    # Their sums of levels with uniform noise have its variance, 1 / 12, besides.
    extra = np.eye(6) / 12
    np.testing.assert_allclose(np.cov(second.T), np.cov(first.T) + extra, atol=0.25)


def test_a_mixture_is_chosen_on_validation_images_and_draws_from_every_component():
    dark, light = on_levels(grey(200) * 0.3, LEVELS), on_levels(grey(100, 1) * 0.3 + 0.7, LEVELS)
    train, val = torch.cat([dark, light]), torch.cat([dark[:60], light[:30]])
    drawn = mixture_images(train, val, LEVELS, 300)
    means = drawn.flatten(1).mean(dim=1)
    assert float((means > 0.5).float().mean()) == pytest.approx(1 / 3, abs=0.1)
    assert not ((means > 0.35) & (means < 0.65)).any(), "a Gaussian would draw these"
    pixels = [dequantized(part, LEVELS) for part in (train, val)]
    scores = {n: GaussianMixture(n, reg_covar=1e-3, random_state=0).fit(pixels[0]).score(pixels[1]) for n in (1, 2)}
    assert scores[2] > scores[1]


def test_too_few_images_and_a_module_that_draws_nothing_are_said(digits):
    with pytest.warns(UserWarning, match="32 features it needs more images than that .*, got 32"):
        assert SampleQuality(max_samples=32).scores(Drawer(torch.rand(32, 1, 8, 8)), digits) == {}
    with pytest.warns(UserWarning, match="object has no sample"):
        assert SampleQuality().scores(object(), digits) == {}


def test_a_recipe_logs_it_and_all_else_stays_the_same(in_tmp):
    with_it = recipe("vae").main([*SMOKE[:-2], "--baselines", "nnzoo.SampleQuality", "--figures.draw", "false"])
    without = recipe("vae").main([*SMOKE, "--figures.draw", "false"])
    added = with_it.keys() - without.keys()
    names = {f"test/{metric}" for metric in ("frechet", "precision", "recall")}
    names |= {
        name.replace("test", f"baseline/{model}") for name in names for model in ("training_images", "pca", "mixture")
    }
    assert added == names
    assert without.items() <= with_it.items()
    assert with_it["test/frechet"] > with_it["baseline/mixture/frechet"] > with_it["baseline/training_images/frechet"]
    assert Path("runs").is_dir()
