import functools
import gzip
import hashlib
import http.server
import os
import pickle
import random
import struct
import threading
from collections import Counter
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.utils.class_weight import compute_class_weight
from torchvision import datasets

from nnzoo.data.base import BatchIndex
from nnzoo.data.image import ImageDataModule, ImageDataset
from nnzoo.data.image_downloads import DOWNLOADS
from nnzoo.errors import InputError

PARTS = ("train", "val", "test")


@pytest.fixture(autouse=True)
def _one_thread():
    """Threads only slow the many small operations on tiny images down."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def prepared(**arguments):
    module = ImageDataModule(**arguments)
    module.prepare_data()
    module.setup()
    return module


def batches(module, part="train", epoch=0, step=0, world_size=1, rank=0):
    progress = SimpleNamespace(batch_progress=SimpleNamespace(current=SimpleNamespace(ready=step)))
    module.trainer = SimpleNamespace(
        world_size=world_size,
        global_rank=rank,
        training=True,
        current_epoch=epoch,
        fit_loop=SimpleNamespace(epoch_loop=progress),
    )
    return list(getattr(module, f"{part}_dataloader")())


def images(loaded):
    return torch.cat([batch[0] for batch in loaded])


def same(first, second):
    return len(first) == len(second) and all(
        torch.equal(a, b) for one, other in zip(first, second, strict=True) for a, b in zip(one, other, strict=True)
    )


def rows(images, labels):
    """Each image with its label, as something that can be counted."""
    pixels = np.ascontiguousarray(images).reshape(len(images), -1)
    return Counter((image.tobytes(), int(label)) for image, label in zip(pixels, labels, strict=True))


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def make_mnist(folder, train_labels=None, num_test=30):
    """Writes random images in MNIST's format; returns images and labels of the official parts."""
    generator = np.random.default_rng(0)
    labels = {"train": np.arange(200) % 10 if train_labels is None else train_labels, "t10k": np.arange(num_test) % 10}
    data = {part: generator.integers(0, 256, (len(y), 28, 28), dtype=np.uint8) for part, y in labels.items()}
    for part in labels:
        write_idx(folder / f"{part}-images-idx3-ubyte", data[part])
        write_idx(folder / f"{part}-labels-idx1-ubyte", labels[part])
    return {"train": (data["train"][:, None], labels["train"]), "test": (data["t10k"][:, None], labels["t10k"])}


def make_cifar(root, monkeypatch):
    generator = np.random.default_rng(0)
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    official = {}
    for part, name, count in (("train", "data_batch_1", 200), ("test", "test_batch", 30)):
        data, labels = generator.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8), np.arange(count) % 10
        (folder / name).write_bytes(pickle.dumps({"data": data.reshape(count, -1), "labels": labels.tolist()}))
        official[part] = (data, labels)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(i) for i in range(10)]}))
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(datasets.CIFAR10, "meta", {**datasets.CIFAR10.meta, "md5": None})
    return official


def make_official(name, root, monkeypatch):
    return make_cifar(root, monkeypatch) if name == "cifar10" else make_mnist(root / DOWNLOADS[name].files)


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


def test_colour_images_become_grey_by_their_luma(tmp_path, monkeypatch):
    official = make_cifar(tmp_path, monkeypatch)
    grey, _ = prepared(dataset="cifar10", root=str(tmp_path), color="grey").tensors("test")
    expected = np.einsum("nchw,c->nhw", official["test"][0] / 255, [0.299, 0.587, 0.114])
    assert grey.shape[1:] == (1, 32, 32)
    np.testing.assert_allclose(grey[:, 0], expected, atol=1.5 / 255)


def test_tensors_gives_the_first_samples_of_a_part_in_order():
    module = ImageDataModule()
    pixels, labels = module.tensors("test", limit=7)
    everything = module.tensors("test")
    assert torch.equal(pixels, everything[0][:7])
    assert torch.equal(labels, everything[1][:7])
    assert torch.equal(images(batches(module, "test")), everything[0])
    assert len(module.tensors("test", limit=10_000)[1]) == 270


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


def test_a_single_sample_can_be_fetched():
    module = prepared()
    pixels, label = module.parts["train"][3]
    expected = module.tensors("train", limit=4)
    assert torch.equal(pixels, expected[0][3])
    assert label == expected[1][3]


def dot(**arguments):
    """Augmented images of a single bright pixel in the middle."""
    pixels = torch.zeros(400, 1, 9, 9, dtype=torch.uint8)
    pixels[:, :, 4, 4] = 255
    dataset = ImageDataset(pixels, torch.zeros(400), augment=ImageDataModule(**arguments).augment)
    return dataset.__getitems__(BatchIndex(torch.arange(400), 0, slice(None), 400))[0]


def test_a_shift_moves_up_to_its_share_of_the_side_in_all_directions():
    places = {tuple(place) for place in dot(shift=0.23)[:, 0].nonzero()[:, 1:].tolist()}
    assert places == {(y, x) for y in range(2, 7) for x in range(2, 7)}


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


def test_dynamic_binarisation_draws_each_pixel_with_its_grey_value_as_probability():
    levels = torch.arange(17, dtype=torch.uint8).repeat(4).reshape(1, 1, 4, 17)
    dataset = ImageDataset(levels, torch.zeros(1), levels=17, binarize=True)
    draws = torch.cat(
        [dataset.__getitems__(BatchIndex(torch.tensor([0]), seed, slice(None), 1))[0] for seed in range(3000)]
    )
    assert draws.unique().tolist() == [0, 1]
    grey = levels[0] / 16
    error = (draws.mean(0) - grey).abs()
    assert (error <= 5 * (grey * (1 - grey) / len(draws)).sqrt()).all()
    twice = (draws[1:] * draws[:-1]).mean(0)
    assert ((twice - grey.square()).abs() < 0.06).all(), "draws of different batches are not independent"


@pytest.mark.parametrize(("binarize", "constant"), [("none", True), ("static", True), ("dynamic", False)])
def test_only_dynamic_binarisation_changes_the_training_images_between_epochs(binarize, constant):
    module = prepared(binarize=binarize, batch_size=419)  # 1257 images are three full batches
    first, second = (
        rows(torch.cat([pixels for pixels, _ in loaded]), torch.cat([labels for _, labels in loaded]))
        for loaded in (batches(module, epoch=0), batches(module, epoch=1))
    )
    assert sum(first.values()) == sum(second.values()) == 1257
    assert (first == second) is constant


@pytest.mark.parametrize("part", PARTS)
def test_static_binarisation_draws_with_the_grey_values_as_probabilities(part):
    grey, drawn = prepared().tensors(part)[0], prepared(binarize="static").tensors(part)[0]
    assert drawn.unique().tolist() == [0, 1]
    assert (drawn[grey == 0] == 0).all()
    assert (drawn[grey == 1] == 1).all()
    for level in range(1, 16):
        mask = grey * 16 == level
        assert abs(drawn[mask].mean() - level / 16) < 5 * (0.25 / mask.sum()).sqrt()


@pytest.mark.parametrize("binarize", ["dynamic", "static"])
@pytest.mark.parametrize("part", ["val", "test"])
def test_evaluation_images_are_binarised_once_for_all_batch_sizes_seeds_and_epochs(binarize, part):
    module = prepared(binarize=binarize, batch_size=128)
    once = images(batches(module, part))
    assert once.unique().tolist() == [0, 1]
    assert torch.equal(images(batches(module, part, epoch=5)), once)
    assert torch.equal(images(batches(prepared(binarize=binarize, batch_size=17, seed=3), part)), once)


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
        ({"crop_padding": -1}, "crop_padding"),
        ({"blur": -1.0}, "negative"),
        ({"exposure": -1.0}, "negative"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_before_training(arguments, message):
    with pytest.raises(InputError, match=message):
        ImageDataModule(**arguments)


@pytest.mark.parametrize(
    "arguments", [{"blur": 0.005}, {"blur": 1e-6}, {"blur": 10.0}, {"exposure": 3.0}, {"rotation": 720.0}]
)
def test_very_weak_and_very_strong_augmentations_work(arguments):
    pixels = images(batches(prepared(**FEW, **arguments)))
    assert pixels.min() >= 0
    assert pixels.max() <= 1


@pytest.mark.parametrize("arguments", [{}, {"shift": 0.2}, {"image_size": 6, "color": "rgb"}, {"binarize": "static"}])
def test_channel_statistics_are_those_of_the_training_pixels_without_augmentation(arguments):
    module = prepared(**arguments)
    pixels = module.tensors("train")[0].double()
    mean, std = module.channel_statistics
    torch.testing.assert_close(mean.double(), pixels.mean((0, 2, 3)), atol=1e-6, rtol=0)
    torch.testing.assert_close(std.double(), pixels.std((0, 2, 3), unbiased=False), atol=1e-6, rtol=0)
    everything = torch.cat([module.tensors(part)[0] for part in PARTS]).double()
    assert abs(mean[0].item() - everything[:, 0].mean()) > 1e-5, "the other parts must not count"


def test_fractions_that_leave_a_part_empty_are_refused(tmp_path):
    make_mnist(tmp_path / "MNIST" / "raw")
    with pytest.raises(InputError, match="none for val"):
        prepared(dataset="mnist", root=str(tmp_path), val_fraction=0.001)


@pytest.mark.parametrize("name", DOWNLOADS)
@pytest.mark.parametrize("error", [URLError("no network"), TimeoutError("timed out"), ConnectionResetError("reset")])
def test_without_a_network_the_message_names_the_folder_that_lacks_the_files(name, error, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    with pytest.raises(InputError) as caught:
        ImageDataModule(dataset=name, root=str(tmp_path / "new")).prepare_data()
    assert str(tmp_path / "new" / DOWNLOADS[name].files) in str(caught.value)
    assert "network" in str(caught.value)


def test_a_root_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file"):
        ImageDataModule(dataset="mnist", root=str(tmp_path / "file" / "data")).prepare_data()


def test_setup_without_the_files_names_the_folder(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        ImageDataModule(dataset="mnist", root=str(tmp_path)).setup()


@pytest.mark.parametrize("size", [500, 16, 3, 0])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_damaged_download_is_an_input_error_that_names_the_folder(name, size, tmp_path):
    make_mnist(tmp_path / "MNIST" / "raw", num_test=1000)
    path = tmp_path / "MNIST" / "raw" / name
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(InputError, match=str(tmp_path)):
        prepared(dataset="mnist", root=str(tmp_path))


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A local web server with MNIST's four archives; returns the official parts and the list of requested paths."""
    official = make_mnist(tmp_path / "plain")
    served = tmp_path / "served"
    served.mkdir()
    resources = []
    for path in (tmp_path / "plain").iterdir():
        archive = gzip.compress(path.read_bytes())
        (served / f"{path.name}.gz").write_bytes(archive)
        resources.append((f"{path.name}.gz", hashlib.md5(archive).hexdigest()))
    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            requests.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=served))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    yield SimpleNamespace(official=official, requests=requests, served=served)
    server.shutdown()
    server.server_close()


def test_a_missing_data_set_is_downloaded_once_and_only_by_prepare_data(tmp_path, mirror):
    root = tmp_path / "data" / "sets"
    module = ImageDataModule(dataset="mnist", root=str(root))
    assert module.in_shape == (1, 28, 28)
    assert not root.exists()
    module.prepare_data()
    count = len(mirror.requests)
    assert count >= 4
    module.setup()
    pixels, labels = module.tensors("test")
    np.testing.assert_array_equal((pixels * 255).round(), mirror.official["test"][0])
    np.testing.assert_array_equal(labels, mirror.official["test"][1])
    assert rows(torch.cat([module.tensors(part)[0] for part in PARTS[:2]]).mul(255).round().byte(), [0] * 200) == rows(
        mirror.official["train"][0], [0] * 200
    )
    prepared(dataset="mnist", root=str(root))
    assert len(mirror.requests) == count


def test_a_download_that_arrives_damaged_is_an_input_error_and_can_be_repeated(tmp_path, mirror):
    archive = mirror.served / "train-images-idx3-ubyte.gz"
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    module = ImageDataModule(dataset="mnist", root=str(tmp_path / "data"))
    with pytest.raises(InputError, match=str(tmp_path / "data")):
        module.prepare_data()
    archive.write_bytes(whole)
    module.prepare_data()
    assert len(module.tensors("test")[1]) == 30


def test_the_default_root_is_nnzoo_data(tmp_path, monkeypatch):
    make_mnist(tmp_path / "MNIST" / "raw")
    monkeypatch.setenv("NNZOO_DATA", str(tmp_path))
    assert len(prepared(dataset="mnist").tensors("test")[1]) == 30


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
