import numpy as np
import pytest
import scipy.ndimage
import torch
from torchvision.transforms import v2

from nnzoo.data.images.augment import NUM_DRAWS, Augmentation, blur, rotate, translate
from nnzoo.data.images.dataset import ImageDataset
from nnzoo.data.images.module import ImageDataModule
from nnzoo.data.sampler import BatchIndex


def uniform(count):
    return torch.rand(count, NUM_DRAWS, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 7, 12)])
def test_a_rotation_equals_torchvisions(shape):
    images, degrees = torch.rand(6, *shape), torch.tensor([0.0, 5.0, -20.0, 90.0, 133.0, -180.0])
    bilinear = v2.InterpolationMode.BILINEAR
    expected = [
        v2.functional.rotate(image, -float(angle), bilinear) for image, angle in zip(images, degrees, strict=True)
    ]
    torch.testing.assert_close(rotate(images, degrees), torch.stack(expected), atol=1e-4, rtol=0)


def test_a_translation_equals_torchvisions():
    images = torch.rand(5, 3, 6, 9)
    offsets = torch.tensor([[0, 0], [2, -3], [-1, 4], [6, 0], [0, -9]])
    expected = [
        v2.functional.affine(image, 0.0, [int(right), int(down)], 1.0, [0.0, 0.0])
        for image, (down, right) in zip(images, offsets, strict=True)
    ]
    torch.testing.assert_close(translate(images, offsets), torch.stack(expected))
    assert torch.equal(translate(images, torch.zeros(5, 2, dtype=torch.int64)), images)


@pytest.mark.parametrize("shape", [(64, 1, 28, 28), (7, 3, 5, 9), (1, 2, 1, 1)])
@pytest.mark.parametrize("reach", [0, 1, 12])
def test_each_pixel_of_a_translation_has_the_bits_of_the_one_it_comes_from(shape, reach):
    generator = torch.Generator().manual_seed(reach)
    images = torch.rand(shape, generator=generator)
    offsets = torch.randint(-reach, reach + 1, (shape[0], 2), generator=generator)
    expected = [
        scipy.ndimage.shift(image, (0, *offset), order=0) for image, offset in zip(images, offsets, strict=True)
    ]
    moved = translate(images, offsets)
    assert moved.is_contiguous()
    assert torch.equal(moved, torch.from_numpy(np.stack(expected)))


def test_a_blur_equals_torchvisions():
    images, sigma = torch.rand(4, 3, 9, 11), torch.tensor([0.05, 0.5, 1.0, 1.7])
    expected = [
        v2.functional.gaussian_blur(image, [9, 9], [float(s)] * 2) for image, s in zip(images, sigma, strict=True)
    ]
    torch.testing.assert_close(blur(images, sigma, reach=4), torch.stack(expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", [(1, 1, 9), (2, 9, 1), (1, 2, 3), (3, 4, 5)])
def test_a_blur_of_few_pixels_mirrors_the_border_as_often_as_it_needs(shape):
    images, sigma, reach = torch.rand(4, *shape, dtype=torch.float64), torch.tensor([0.3, 0.8, 1.5, 4.0]), 12
    expected = [
        scipy.ndimage.gaussian_filter(image, (0, s, s), mode="mirror", radius=(0, reach, reach))
        for image, s in zip(images.numpy(), sigma.tolist(), strict=True)
    ]
    torch.testing.assert_close(blur(images, sigma.double(), reach), torch.from_numpy(np.stack(expected)))


def test_crops_are_torchvisions_padded_crops_each_as_likely():
    pixels = torch.arange(1.0, 26).reshape(1, 1, 5, 5).expand(5000, 1, 5, 5) / 25
    crops = Augmentation(crop_padding=2)(pixels, uniform(5000))
    padded = v2.functional.pad(pixels[0], [2, 2, 2, 2])
    possible = {tuple(padded[0, y : y + 5, x : x + 5].flatten().tolist()) for y in range(5) for x in range(5)}
    distinct, counts = crops.flatten(1).unique(dim=0, return_counts=True)
    assert {tuple(crop) for crop in distinct.tolist()} == possible
    assert (counts - 200).abs().max() < 5 * 200**0.5


def test_half_of_the_images_are_mirrored():
    pixels = torch.rand(1, 2, 4, 6).expand(1000, 2, 4, 6)
    flipped = Augmentation(flip=True)(pixels, uniform(1000))
    mirrored = (flipped == pixels.flip(-1)).flatten(1).all(1)
    assert torch.equal(flipped[~mirrored], pixels[~mirrored])
    assert 420 < mirrored.sum() < 580


def test_the_border_that_a_crop_adds_is_black_before_standardisation_and_not_grey():
    images = ImageDataset(
        torch.full((200, 1, 6, 6), 255, dtype=torch.uint8), torch.zeros(200), augment=Augmentation(crop_padding=1)
    ).__getitems__(BatchIndex(torch.arange(200), 0, slice(None), 200))[0]
    assert images.unique().tolist() == [0, 1]


def test_no_augmentation_is_none():
    assert ImageDataModule().augment is None
    assert ImageDataModule(flip=True).augment == Augmentation(flip=True)
