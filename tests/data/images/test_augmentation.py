import random
from collections import Counter

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.datasets import load_digits

from nnzoo.data.images.augment import NUM_DRAWS
from nnzoo.data.images.module import ImageDataModule, ImageDataset
from nnzoo.data.sampler import BatchIndex
from nnzoo.errors import InputError
from support.image_data import PARTS, batches, images, prepared, same
from support.image_files import save

pytestmark = pytest.mark.usefixtures("one_thread")
AUGMENTATIONS = {
    "shift": {"shift": 0.3},
    "rotation": {"rotation": 40.0},
    "blur": {"blur": 1.0},
    "exposure": {"exposure": 0.5},
    "crop": {"crop_padding": 2},
    "all": {"shift": 0.2, "rotation": 20.0, "blur": 1.0, "exposure": 0.3, "crop_padding": 1, "flip": True},
}
FEW = {"batch_size": 24, "val_fraction": 0.48, "test_fraction": 0.48}  # 71 training images
RANDOM = {**AUGMENTATIONS, "dynamic": {"binarize": "dynamic"}, "both": {"binarize": "dynamic", "shift": 0.2}}


@pytest.mark.parametrize("arguments", RANDOM.values(), ids=RANDOM)
def test_random_changes_are_a_function_of_seed_epoch_and_step(arguments):
    module = prepared(**FEW, **arguments)
    first = batches(module, epoch=3)
    torch.manual_seed(1)
    assert same(batches(module, epoch=3), first)
    assert same(batches(prepared(**FEW, **arguments), epoch=3), first)
    assert same(batches(module, epoch=3, step=1), first[1:])
    assert not same(batches(module, epoch=4), first)
    assert not same(batches(prepared(**FEW, **arguments, seed=1), epoch=3), first)


@pytest.mark.parametrize("arguments", RANDOM.values(), ids=RANDOM)
@pytest.mark.parametrize("world_size", [2, 3])
def test_random_changes_do_not_depend_on_the_number_of_devices(arguments, world_size):
    module = prepared(**FEW, **arguments)
    whole = batches(module, epoch=1)
    for rank in range(world_size):
        share = batches(module, epoch=1, world_size=world_size, rank=rank)
        assert same(share, [(pixels[rank::world_size], labels[rank::world_size]) for pixels, labels in whole])


@pytest.mark.parametrize("arguments", AUGMENTATIONS.values(), ids=AUGMENTATIONS)
def test_augmentation_changes_every_training_image_and_no_other(arguments):
    plain, augmented = prepared(**FEW), prepared(**FEW, **arguments)
    before, after = images(batches(plain)), images(batches(augmented))
    assert after.min() >= 0
    assert after.max() <= 1
    changed = (before != after).flatten(1).any(1)
    assert changed.float().mean() > 0.7  # a shift of less than half a pixel is none
    for part in PARTS[1:]:
        assert same(batches(augmented, part), batches(plain, part))
    assert same([augmented.tensors("train")], [plain.tensors("train")])


def twins(**arguments):
    """A training set of 64 copies of one digit, and a batch of them all."""
    augment = ImageDataModule(**arguments).augment
    image = torch.from_numpy(load_digits().images[0]).byte().expand(64, 1, 8, 8)
    dataset = ImageDataset(
        image, torch.zeros(64, dtype=torch.int64), 17, augment, arguments.get("binarize") == "dynamic"
    )
    return dataset, BatchIndex(torch.arange(64), 5, slice(None), 64)


@pytest.mark.parametrize("arguments", RANDOM.values(), ids=RANDOM)
def test_copies_of_an_image_in_one_batch_are_changed_differently(arguments):
    dataset, batch = twins(**arguments)
    distinct = dataset.__getitems__(batch)[0].flatten(1).unique(dim=0)
    few = arguments in (AUGMENTATIONS["shift"], AUGMENTATIONS["crop"])  # 25 places
    assert len(distinct) > (10 if few else 50)


def dot(count=400, **arguments):
    """Augmented images of a single bright pixel in the middle."""
    pixels = torch.zeros(count, 1, 9, 9, dtype=torch.uint8)
    pixels[:, :, 4, 4] = 255
    dataset = ImageDataset(pixels, torch.zeros(count), augment=ImageDataModule(**arguments, image_size=9).augment)
    return dataset.__getitems__(BatchIndex(torch.arange(count), 0, slice(None), count))[0]


def test_a_shift_moves_up_to_its_share_of_the_side_in_all_directions():
    places = {tuple(place) for place in dot(shift=0.23)[:, 0].nonzero()[:, 1:].tolist()}
    assert places == {(y, x) for y in range(2, 7) for x in range(2, 7)}


@pytest.mark.parametrize(("shift", "most"), [(0.125, 1), (0.06, 1), (0.2, 2), (0.14, 1), (0.42, 4)])
def test_every_shift_is_as_likely_as_any_other(shift, most):
    """Of 9 pixels, shares are rounded to whole ones: chi-square over all places at once."""
    places = dot(count=20_000, shift=shift)[:, 0].nonzero()[:, 1:].tolist()
    counts = Counter(map(tuple, places))
    around = range(4 - most, 4 + most + 1)
    assert set(counts) == {(y, x) for y in around for x in around}
    assert scipy.stats.chisquare(list(counts.values())).pvalue > 0.001


def test_a_shift_is_rounded_for_each_side_apart():
    pixels = torch.zeros(500, 1, 3, 20)
    pixels[:, :, 1, 10] = 1
    moved = ImageDataModule(shift=0.1).augment(pixels, torch.rand(500, NUM_DRAWS))[:, 0].nonzero()[:, 1:]
    assert moved[:, 0].unique().tolist() == [1]
    assert moved[:, 1].unique().tolist() == [8, 9, 10, 11, 12]


@pytest.mark.parametrize(
    ("size", "arguments", "message"),
    [
        ((8, 8), {"shift": 0.06}, r"shift 0\.06 is less than half a pixel of 8x8 .* set --data\.shift 0\.0625 or more"),
        ((8, 8), {"blur": 0.1}, r"blur 0\.1 changes no grey level of images of 8x8"),
        ((1, 1), {"blur": 2.0}, r"blur 2 changes no grey level of images of 1x1"),
        ((6, 1), {"flip": True}, "flip does nothing to images one pixel wide"),
    ],
)
def test_a_change_that_does_nothing_is_refused(tmp_path, size, arguments, message):
    for index in range(20):
        save(tmp_path / f"{index}.png", np.full(size, 10 * index, np.uint8))
    with pytest.raises(InputError, match=message):
        prepared(dataset="folder", root=str(tmp_path), **arguments)


def test_the_smallest_shift_and_blur_that_are_taken_change_images():
    plain = batches(prepared(**FEW))
    assert not same(batches(prepared(**FEW, shift=0.0625)), plain)
    pixels = torch.zeros(400, 1, 9, 9)
    pixels[:, :, 4, 4] = 1
    blurred = ImageDataModule(blur=0.3).augment(pixels, torch.rand(400, NUM_DRAWS))
    assert (blurred[:, 0, 4, 5] * 255).max() > 0.5


def test_a_rotation_keeps_the_centre_and_exposure_scales_up_to_its_share():
    assert (dot(rotation=90.0)[:, 0, 4, 4] > 0.99).all()
    pixels = torch.full((400, 1, 2, 2), 128, dtype=torch.uint8)
    dataset = ImageDataset(pixels, torch.zeros(400), augment=ImageDataModule(exposure=0.5).augment)
    factors = dataset.__getitems__(BatchIndex(torch.arange(400), 0, slice(None), 400))[0].amax((1, 2, 3)) * 255 / 128
    assert 0.5 <= factors.min() < 0.52
    assert 1.48 < factors.max() <= 1.5


def test_blur_spreads_a_dot_by_at_most_its_standard_deviation_and_keeps_the_sum():
    blurred = dot(blur=1.0)
    torch.testing.assert_close(blurred.sum((1, 2, 3)), torch.ones(400), atol=1e-4, rtol=0)
    offsets = torch.arange(9.0) - 4
    deviations = (blurred.sum((1, 2)) * offsets.square()).sum(1).sqrt()
    assert deviations.min() < 0.3
    assert 0.9 < deviations.max() <= 1


@pytest.mark.parametrize(
    "arguments", [{"blur": 0.3}, {"rotation": 1e-6}, {"blur": 10.0}, {"exposure": 3.0}, {"rotation": 180.0}]
)
def test_very_weak_and_very_strong_augmentations_work(arguments):
    pixels = images(batches(prepared(**FEW, **arguments)))
    assert pixels.min() >= 0
    assert pixels.max() <= 1


@pytest.mark.parametrize("arguments", [{}, {"binarize": "static"}, RANDOM["both"], AUGMENTATIONS["all"]])
def test_loading_leaves_the_global_random_numbers_alone(arguments):
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    module = prepared(**FEW, **arguments)
    for part in PARTS:
        batches(module, part)
        assert torch.equal(torch.get_rng_state(), states[0]), part
    assert np.random.get_state()[1].tolist() == states[1]  # noqa: NPY002
    assert random.getstate() == states[2]


def test_two_workers_load_the_same_batches_and_leave_the_global_random_numbers_alone():
    expected, module = prepared(**FEW, **RANDOM["both"]), prepared(**FEW, **RANDOM["both"], num_workers=2)
    state = torch.get_rng_state()
    for part in ("train", "val"):
        assert same(batches(module, part, epoch=1), batches(expected, part, epoch=1))
    assert torch.equal(torch.get_rng_state(), state)
