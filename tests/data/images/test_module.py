import numpy as np
import pytest
import torch
from PIL import Image

from nnzoo.data.images.module import ImageDataModule
from nnzoo.errors import InputError
from support.image_data import PARTS, batches, images, make_cifar, prepared, rows, same
from support.image_files import save

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("arguments", "shape", "levels"),
    [
        ({}, (1, 8, 8), 17),
        ({"image_size": 8, "color": "grey"}, (1, 8, 8), 17),
        ({"color": "rgb"}, (3, 8, 8), 17),
        ({"image_size": 12}, (1, 12, 12), 256),
        ({"image_size": 12, "color": "rgb"}, (3, 12, 12), 256),
        ({"binarize": "dynamic"}, (1, 8, 8), 2),
        ({"binarize": "static", "image_size": 12}, (1, 12, 12), 2),
    ],
)
def test_batches_of_digits_have_the_stated_shape_and_grey_levels(arguments, shape, levels):
    module = ImageDataModule(batch_size=100, **arguments)
    assert (module.in_shape, module.levels) == (shape, levels)
    assert (module.classes, module.num_classes) == ([str(digit) for digit in range(10)], 10)
    module.setup()
    for part in PARTS:
        for pixels, labels in batches(module, part):
            assert (pixels.shape[1:], pixels.dtype, labels.dtype) == (shape, torch.float32, torch.int64)
            steps = pixels.double() * (levels - 1)
            assert (steps - steps.round()).abs().max() < 1e-4
            assert pixels.min() == 0
            assert 0.95 < pixels.max() <= 1


def test_grey_images_become_colour_by_repeating_and_larger_by_smooth_resizing():
    grey, labels = prepared().tensors("val")
    rgb, rgb_labels = prepared(color="rgb").tensors("val")
    assert torch.equal(rgb, grey.expand(-1, 3, -1, -1))
    assert torch.equal(rgb_labels, labels)
    large, _ = prepared(image_size=12).tensors("val")
    for image, resized in zip((grey * 255).round().byte()[:50, 0], large[:, 0], strict=False):
        expected = Image.fromarray(image.numpy()).resize((12, 12), Image.Resampling.BILINEAR)
        np.testing.assert_allclose(resized * 255, np.asarray(expected), atol=1.01)


def test_colour_images_become_grey_by_their_luma(tmp_path, monkeypatch):
    official = make_cifar(tmp_path, monkeypatch)
    grey, _ = prepared(dataset="cifar10", root=str(tmp_path), color="grey").tensors("test")
    expected = np.einsum("nchw,c->nhw", official["test"][0] / 255, [0.299, 0.587, 0.114])
    assert grey.shape[1:] == (1, 32, 32)
    np.testing.assert_allclose(grey[:, 0], expected, atol=1.5 / 255)


def test_tensors_gives_a_part_in_order_or_some_samples_at_random():
    module = ImageDataModule()
    everything = module.tensors("test")
    assert torch.equal(images(batches(module, "test")), everything[0])
    for limit in (270, 10_000):
        assert torch.equal(module.tensors("test", limit)[0], everything[0])
    pixels, labels = module.tensors("test", limit=40)
    assert same([module.tensors("test", 40)], [(pixels, labels)])
    assert sum((rows(pixels, labels) & rows(*everything)).values()) == 40
    assert not torch.equal(pixels, everything[0][:40])


def test_some_samples_of_a_folder_are_of_all_its_classes(tmp_path):
    for name in "abcde":
        for index in range(20):
            save(tmp_path / name / f"{index}.png", index)
    module = prepared(dataset="folder", root=str(tmp_path))
    assert set(module.tensors("train", 5 * 4)[1].tolist()) == set(range(5))


def test_a_single_sample_can_be_fetched():
    module = prepared()
    pixels, label = module.parts["train"][3]
    expected = module.tensors("train")
    assert torch.equal(pixels, expected[0][3])
    assert label == expected[1][3]


@pytest.mark.parametrize("arguments", [{}, {"shift": 0.2}, {"image_size": 6, "color": "rgb"}, {"binarize": "static"}])
def test_channel_statistics_are_those_of_the_training_pixels_without_augmentation(arguments):
    module = prepared(**arguments)
    pixels = module.tensors("train")[0].double()
    mean, std = module.channel_statistics
    torch.testing.assert_close(mean.double(), pixels.mean((0, 2, 3)), atol=1e-6, rtol=0)
    torch.testing.assert_close(std.double(), pixels.std((0, 2, 3), unbiased=False), atol=1e-6, rtol=0)
    everything = torch.cat([module.tensors(part)[0] for part in PARTS]).double()
    assert abs(mean[0].item() - everything[:, 0].mean()) > 1e-5, "the other parts must not count"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dataset": "imagenet"}, "imagenet.*digits"),
        ({"color": "blue"}, "blue"),
        ({"binarize": "yes"}, "yes"),
        ({"dataset": "folder", "root": ".", "cache": "hdf5"}, "hdf5"),
        ({"dataset": "folder"}, r"--data\.root"),
        ({"cache": "h5"}, r"--data\.cache"),
        ({"dataset": "folder", "root": ".", "cache": "h5", "binarize": "static"}, "binarize"),
        ({"image_size": 0}, "image_size"),
        ({"image_size": -8}, "image_size"),
        ({"batch_size": 0}, "batch_size"),
        ({"val_fraction": 0.0}, "val_fraction"),
        ({"test_fraction": -0.1}, "test_fraction"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "leave something"),
        ({"val_fraction": float("nan")}, "val_fraction"),
        ({"test_fraction": float("nan")}, "test_fraction"),
        ({"shift": -0.1}, "negative"),
        ({"shift": 1.0}, "below 1"),
        ({"shift": float("nan")}, "shift"),
        ({"rotation": -1.0}, "negative"),
        ({"rotation": 180.5}, r"up to 180 degrees, got 180\.5: set --data\.rotation"),
        ({"crop_padding": -1}, "crop_padding"),
        ({"blur": -1.0}, "negative"),
        ({"exposure": -1.0}, "negative"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_before_training(arguments, message):
    with pytest.raises(InputError, match=message):
        ImageDataModule(**arguments)
