"""The networks that drawn images are compared by: shipped, trained once, or left as they are."""

import hashlib
import os
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch
from sklearn.linear_model import LogisticRegression

from nnzoo import ImageDataModule
from nnzoo.baselines import features
from nnzoo.baselines.features import SHIPPED, WEIGHTS, Features, feature_network, shipped, trained
from nnzoo.data.images.sources import SOURCES
from nnzoo.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.*")
ROOT = Path(__file__).parents[2]


class Data:
    """Images of two classes, a dark and a light one."""

    dataset, num_classes = "folder", 2

    def __init__(self, in_shape=(1, 12, 20)):
        generator = torch.Generator().manual_seed(0)
        self.in_shape, self.labels = in_shape, torch.arange(60) % 2
        self.images = (torch.rand(60, *in_shape, generator=generator) + self.labels.view(-1, 1, 1, 1)) / 2

    def tensors(self, part, limit=None):
        assert part == "train"
        return self.images[:limit], self.labels[:limit]


@pytest.fixture
def runs(monkeypatch, in_tmp):
    """Short trainings, which are counted."""
    done = []

    def counted(*arguments):
        done.append(arguments)
        return trained(*arguments)

    monkeypatch.setattr(features, "STEPS", 5)
    monkeypatch.setattr(features, "trained", counted)
    return done


def same(first, second):
    first, second = first.weights(), second.weights()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_comes_with_the_package_is_whole_small_and_of_that_data_set(name):
    content = (WEIGHTS / f"{name}.pt").read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHIPPED[name].sha256
    assert len(content) < 300_000
    assert SHIPPED[name].in_shape == SOURCES[name].shape
    network = shipped(name)
    assert network(torch.rand(3, *SHIPPED[name].in_shape)).shape == (3, network.num_features)


def test_the_weights_are_in_the_wheel():
    tomllib = pytest.importorskip("tomllib")  # from Python 3.11 on
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    names = [str(path.relative_to(WEIGHTS.parent)) for path in WEIGHTS.iterdir()]
    assert sorted(names) == sorted(f"weights/{name}.pt" for name in SHIPPED)
    assert all(any(fnmatch(name, pattern) for pattern in patterns["nnzoo.baselines"]) for name in names)


def test_digits_can_be_told_apart_by_their_features():
    data = ImageDataModule()
    network = feature_network(data)
    (train, labels), (test, wanted) = data.tensors("train"), data.tensors("test")
    model = LogisticRegression(max_iter=1000).fit(network(train), labels)
    assert model.score(network(test), wanted) > 0.95
    assert not network.training
    torch.testing.assert_close(network(test[:3]), network(test)[:3])


def test_the_classifier_of_digits_is_right_where_its_docstring_says():
    data = ImageDataModule()
    network, (test, wanted) = feature_network(data), data.tensors("test")
    assert network.num_classes == 10
    assert float((network.classes(network(test)) == wanted).float().mean()) == pytest.approx(0.9815, abs=5e-5)
    torch.testing.assert_close(network.classes(network(test)), network.classifier(test).argmax(dim=1))


@pytest.mark.realdata
@pytest.mark.skipif("NNZOO_DATA" not in os.environ, reason="needs MNIST under $NNZOO_DATA")
def test_so_is_that_of_mnist():
    data = ImageDataModule(dataset="mnist")
    network, (test, wanted) = feature_network(data), data.tensors("test")
    assert float((network.classes(network(test)) == wanted).float().mean()) == pytest.approx(0.9914, abs=5e-5)


def test_a_file_that_was_changed_is_refused(in_tmp, monkeypatch):
    monkeypatch.setattr(features, "WEIGHTS", in_tmp)
    Path("digits.pt").write_bytes((WEIGHTS / "digits.pt").read_bytes()[:-1] + b"x")
    for name in ("digits", "mnist"):
        with pytest.raises(InputError, match="not the file that came with nnzoo"):
            shipped(name)


def test_other_data_train_a_classifier_once_inside_a_test_too(runs):
    data, before = Data(), torch.get_rng_state()
    with torch.inference_mode():
        first = feature_network(data)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.origin == "a classifier of the training images"
    assert not same(first, trained(data.images, data.labels, 2, 0)), "it has learned"
    torch.testing.assert_close(first(data.images[:3]), first(data.images)[:3])  # batch norm has stopped learning
    torch.rand(5)
    again = feature_network(data)
    assert same(again, first)
    assert len(runs) == 1
    dark, light = torch.full((2, 1, 12, 20), 0.25), torch.full((2, 1, 12, 20), 0.75)
    found = again.classes(again(torch.cat([dark, light])))
    assert again.num_classes == 2
    assert found.tolist() == [0, 0, 1, 1], "the last layer is kept too"
    (path,) = Path("cache").rglob("*.pt")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match="is damaged"):
        assert same(feature_network(data), first), "the same images give the same weights"
    assert len(runs) == 2
    assert same(feature_network(data), first)
    assert len(runs) == 2


@pytest.mark.parametrize("change", ["a pixel", "a label", "the order of images", "the network", "the training"])
def test_another_one_is_trained_where_anything_is_different(change, runs, monkeypatch):
    data = Data()
    feature_network(data)
    if change == "a pixel":
        data.images[-1, 0, 0, 0] = 0.25
    elif change == "a label":
        data.labels[-1] = 0
    elif change == "the order of images":
        data.images = data.images[torch.arange(60).roll(2)]
    else:
        monkeypatch.setattr(features, *(("CHANNELS", (8, 8)) if change == "the network" else ("LR", 0.01)))
    feature_network(data)
    assert len(runs) == 2


def test_resized_digits_have_a_classifier_of_their_own(runs):
    assert feature_network(ImageDataModule()).origin == "nnzoo's classifier of digits"
    assert not runs
    assert feature_network(ImageDataModule(image_size=9)).origin == "a classifier of the training images"
    assert len(runs) == 1


def test_without_classes_the_network_stays_as_it_begins(runs):
    data = Data((3, 40, 40))
    data.num_classes = 0
    network = feature_network(data)
    assert network.origin == "an untrained network, as the data have no classes"
    assert network.num_classes == 0
    assert same(network, feature_network(data))
    found = network(data.images)
    assert found.shape == (60, 32)
    assert found.std(dim=0).count_nonzero() > 16, "it sees differences"


def test_large_images_are_shrunk_and_others_keep_their_size():
    images = torch.rand(2, 3, 64, 64)
    blocks = images.unflatten(3, (32, 2)).unflatten(2, (32, 2)).mean(dim=(3, 5))
    torch.testing.assert_close(Features((3, 64, 64)).shrunk(images), blocks)
    digits = torch.rand(2, 1, 8, 8)
    assert torch.equal(Features((1, 8, 8)).shrunk(digits), digits)
