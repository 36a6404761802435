import os

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.utils.class_weight import compute_class_weight

from nnzoo.errors import InputError
from support.image_data import DOWNLOADS, PARTS, batches, make_mnist, make_official, prepared, rows, same
from support.image_files import save

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_parts_of_digits_together_are_scikit_learns_images():
    module = prepared()
    parts = [module.tensors(part) for part in PARTS]
    assert [len(labels) for _, labels in parts] == [1257, 270, 270]
    pixels = torch.cat([images for images, _ in parts]) * 16
    expected = load_digits()
    found = rows(pixels.numpy().astype(np.uint8), torch.cat([labels for _, labels in parts]))
    assert found == rows(expected.images.astype(np.uint8), expected.target)


def test_each_part_has_its_own_fraction():
    module = prepared(val_fraction=0.1, test_fraction=0.3)
    assert [len(module.tensors(part)[1]) for part in PARTS] == [1078, 180, 539]


@pytest.mark.parametrize("binarize", ["none", "static"])
def test_a_second_setup_and_a_second_module_have_the_same_tensors(binarize):
    module = prepared(binarize=binarize)
    before = [module.tensors(part) for part in PARTS]
    module.setup("test")
    torch.manual_seed(1)
    assert same([module.tensors(part) for part in PARTS], before)
    assert same([prepared(binarize=binarize, seed=9).tensors(part) for part in PARTS], before)
    assert not same([prepared(binarize=binarize, split_seed=1).tensors(part) for part in PARTS], before)


@pytest.mark.parametrize("name", DOWNLOADS)
def test_the_official_test_part_is_untouched_and_validation_is_taken_from_the_training_part(
    name, tmp_path, monkeypatch
):
    official = make_official(name, tmp_path, monkeypatch)
    module = prepared(dataset=name, root=str(tmp_path), val_fraction=0.1)
    assert module.in_shape == official["test"][0].shape[1:]
    assert module.levels == 256
    assert module.num_classes == len(set(module.classes)) == 10
    parts = {part: ((images * 255).round().byte(), labels) for part, (images, labels) in all_tensors(module)}
    np.testing.assert_array_equal(parts["test"][0], official["test"][0])
    np.testing.assert_array_equal(parts["test"][1], official["test"][1])
    assert len(parts["val"][1]) == 20
    assert torch.bincount(parts["val"][1]).tolist() == [2] * 10
    assert rows(*parts["train"]) + rows(*parts["val"]) == rows(*official["train"])


def all_tensors(module):
    return [(part, module.tensors(part)) for part in PARTS]


def test_fractions_that_leave_a_part_empty_are_refused(tmp_path):
    make_mnist(tmp_path / "MNIST" / "raw")
    with pytest.raises(InputError, match="none for val"):
        prepared(dataset="mnist", root=str(tmp_path), val_fraction=0.001)


UNEVEN = np.repeat(np.arange(10), [200, 100, 60, 40, 30, 20, 15, 10, 5, 20])


def test_class_weights_are_scikit_learns_for_the_training_part(tmp_path):
    make_mnist(tmp_path / "MNIST" / "raw", UNEVEN)
    module = prepared(dataset="mnist", root=str(tmp_path))
    labels = module.tensors("train")[1].numpy()
    expected = compute_class_weight("balanced", classes=np.arange(10), y=labels)
    np.testing.assert_allclose(module.class_weights, expected, rtol=1e-6)


@pytest.mark.parametrize("balanced", [True, False])
def test_balanced_sampling_makes_all_classes_equally_frequent(tmp_path, balanced):
    make_mnist(tmp_path / "MNIST" / "raw", UNEVEN)
    module = prepared(dataset="mnist", root=str(tmp_path), balanced=balanced, batch_size=25)
    drawn = torch.cat([labels for epoch in range(8) for _, labels in batches(module, epoch=epoch)])
    share = torch.bincount(drawn, minlength=10) / len(drawn)
    assert len(drawn) == 8 * 425
    assert bool((share - 0.1).abs().max() < 5 * (0.09 / len(drawn)) ** 0.5) is balanced
    val = torch.cat([labels for _, labels in batches(module, "val")])
    assert len(val) == 75


def test_classes_without_a_training_image_are_named(tmp_path):
    for part, names in (("train", "ad"), ("test", "abcd")):
        for name in names:
            for index in range(6):
                save(tmp_path / part / name / f"{index}.png")
    with pytest.warns(UserWarning, match="No training image is of the class b, c: it cannot be learned"):
        prepared(dataset="folder", root=str(tmp_path))


@pytest.mark.realdata
@pytest.mark.skipif("NNZOO_DATA" not in os.environ, reason="$NNZOO_DATA, the folder of the real data, is not set")
def test_real_mnist_has_its_official_parts_and_all_classes_in_proportion():
    module = prepared(dataset="mnist")
    parts = {part: module.tensors(part)[1] for part in PARTS}
    assert {part: len(labels) for part, labels in parts.items()} == {"train": 51_000, "val": 9_000, "test": 10_000}
    official = torch.tensor([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    assert torch.equal(torch.bincount(parts["train"]) + torch.bincount(parts["val"]), official)
    assert (torch.bincount(parts["val"]) - 0.15 * official).abs().max() <= 1
    assert torch.bincount(parts["test"]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert module.tensors("train")[0].mean() == pytest.approx(0.1307, abs=0.001)
