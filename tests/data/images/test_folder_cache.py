import os
import pickle

import h5py
import numpy as np
import pytest
import torch

from nnzoo.data.images.cache import CachedImages
from nnzoo.data.images.folder import ImageFolder
from nnzoo.data.images.module import ImageDataModule
from nnzoo.errors import InputError
from support.image_data import PARTS
from support.image_files import noise, noise_folder, prepared, read, save

pytestmark = pytest.mark.usefixtures("cache_folder")


def same_batches(first, second, part):
    loaded = [list(getattr(module, f"{part}_dataloader")()) for module in (first, second)]
    assert len(loaded[0]) == len(loaded[1]) > 0
    return all(torch.equal(a, b) for one, two in zip(*loaded, strict=True) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("arguments", [{}, {"shift": 0.2, "exposure": 0.2}, {"balanced": True}])
@pytest.mark.parametrize("part", PARTS)
def test_cached_batches_have_the_same_bits_as_decoded_ones(tmp_path, arguments, part):
    noise_folder(tmp_path / "images")
    plain, cached = (prepared(tmp_path / "images", cache=cache, **arguments) for cache in ("none", "h5"))
    assert same_batches(plain, cached, part)
    assert all(torch.equal(a, b) for a, b in zip(plain.tensors(part), cached.tensors(part), strict=True))


def test_the_cache_holds_float16_between_0_and_1_that_round_to_every_level(tmp_path):
    for level in range(256):
        save(tmp_path / "images" / f"{level:03}.png", level)
    path = read(tmp_path / "images").cache(tmp_path / "cache")
    with h5py.File(path) as file:
        images = file["images"]
        assert (images.dtype, images.shape) == (np.float16, (256, 1, 4, 6))
        np.testing.assert_allclose(images[:, 0, 0, 0], np.arange(256) / 255, atol=2**-11)
    cached = CachedImages(path, torch.arange(256))
    assert cached[torch.arange(256)].float().mean((1, 2, 3)).tolist() == list(range(256))


@pytest.mark.parametrize("which", [[3], [5, 0, 5, 3, 3], [7, 6, 5, 4, 3, 2, 1, 0], [0, 0]])
def test_cached_images_are_read_in_any_order_and_repeatedly(tmp_path, which):
    expected = noise_folder(tmp_path / "images", count=20)
    rows = torch.tensor([11, 2, 19, 7, 0, 5, 3, 18])
    cached = CachedImages(read(tmp_path / "images").cache(tmp_path / "cache"), rows)
    assert len(cached) == 8
    for _ in range(2):
        images = cached[torch.tensor(which)]
        assert images.dtype == torch.uint8
        assert torch.equal(images, expected[rows[which]])


def test_open_cached_images_can_be_sent_to_another_process(tmp_path):
    expected = noise_folder(tmp_path / "images", count=20)
    cached = CachedImages(read(tmp_path / "images").cache(tmp_path / "cache"), torch.arange(20))
    everything = torch.arange(20)
    assert torch.equal(cached[everything], expected)
    assert torch.equal(pickle.loads(pickle.dumps(cached))[everything], expected)


def fail(*args):
    raise AssertionError("decoded again")


@pytest.mark.parametrize("again", ["setup", "new module"])
def test_cached_images_are_decoded_only_once(tmp_path, monkeypatch, again):
    noise_folder(tmp_path / "images")
    module = ImageDataModule(dataset="folder", root=str(tmp_path / "images"), cache="h5", batch_size=4)
    module.prepare_data()
    plain = prepared(tmp_path / "images")
    monkeypatch.setattr(ImageFolder, "_decoded", fail)
    if again == "setup":
        module.setup()
    else:
        module = prepared(tmp_path / "images", cache="h5")
    assert same_batches(plain, module, "train")


def test_a_failure_while_the_cache_is_written_leaves_no_file(tmp_path, monkeypatch):
    expected = noise_folder(tmp_path / "images", count=20)
    folder, decode = read(tmp_path / "images"), ImageFolder._decoded

    def fail_late(self, path):
        if path == self.paths[15]:
            raise InputError("damaged")
        return decode(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(ImageFolder, "_decoded", fail_late)
        with pytest.raises(InputError, match="damaged"):
            folder.cache(tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == []
    cached = CachedImages(folder.cache(tmp_path / "cache"), torch.arange(20))
    assert torch.equal(cached[torch.arange(20)], expected)


def test_the_module_keeps_its_caches_in_the_cache_folder(tmp_path):
    noise_folder(tmp_path / "images")
    prepared(tmp_path / "images", cache="h5")
    assert [path.suffix for path in (tmp_path / "xdg" / "nnzoo").rglob("*") if path.is_file()] == [".h5"]


def test_two_workers_read_the_same_cached_batches(tmp_path):
    noise_folder(tmp_path / "images")
    plain = prepared(tmp_path / "images")
    cached = prepared(tmp_path / "images", cache="h5", num_workers=2)
    cached.tensors("train")  # the file is open here before the workers start
    assert same_batches(plain, cached, "train")
    assert same_batches(plain, cached, "val")


def test_a_cached_folder_is_read_batch_by_batch(tmp_path, monkeypatch):
    noise_folder(tmp_path / "images", count=100)
    sizes, getitem = [], h5py.Dataset.__getitem__

    def counted(self, *args, **kwargs):
        result = getitem(self, *args, **kwargs)
        sizes.append(len(result))
        return result

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    module = prepared(tmp_path / "images", cache="h5", batch_size=5)
    assert sizes == []
    assert len(list(module.train_dataloader())) == 14
    assert sizes == [5] * 14
    assert len(list(module.val_dataloader())) == 3
    assert sizes == [5] * 17
    list(module.train_dataloader())
    assert sizes == [5] * 31


def test_images_fitted_in_another_way_have_a_cache_of_their_own(tmp_path):
    save(tmp_path / "images" / "wide.png", noise(4, 8, 3))
    folders = [ImageFolder(tmp_path / "images", 4, "auto", fit) for fit in ("crop", "pad", "squash")]
    paths = [folder.cache(tmp_path / "cache") for folder in folders]
    assert len(set(paths)) == 3
    for folder, path in zip(folders, paths, strict=True):
        assert torch.equal(CachedImages(path, torch.arange(1))[torch.arange(1)], folder.load())
