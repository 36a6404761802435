"""Which cache belongs to which images, and what becomes of a damaged one."""

import os
import re

import h5py
import numpy as np
import pytest
import torch

from nnzoo.data.images.cache import CachedImages
from nnzoo.data.images.folder import ImageFolder
from nnzoo.errors import InputError
from support.image_files import noise, noise_folder, read, save


def change(path):
    save(path, noise(8, 8, 3, seed=99))
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize(
    "edit",
    [
        lambda root: save(root / "a" / "new.png", noise(8, 8, 3)),
        lambda root: (root / "a" / "000.png").unlink(),
        lambda root: change(root / "a" / "000.png"),
        lambda root: (root / "a" / "000.png").rename(root / "b" / "000.png"),
    ],
    ids=["added", "removed", "changed", "moved"],
)
def test_a_changed_folder_gets_a_new_cache(tmp_path, edit):
    root, cache = tmp_path / "images", tmp_path / "cache"
    noise_folder(root, count=10)
    old = read(root).cache(cache)
    assert read(root).cache(cache) == old
    edit(root)
    new = read(root).cache(cache)
    assert new != old
    folder = read(root)
    images = CachedImages(new, torch.arange(len(folder.paths)))
    assert torch.equal(images[torch.arange(len(folder.paths))], folder.load())


OPTIONS = {
    "nothing": {},
    "size": {"image_size": 4},
    "colour": {"color": "grey"},
    "fit": {"fit": "pad"},
    "other fit": {"fit": "squash"},
    "range": {"grey_range": (0, 100)},
    "broken": {"skip_broken": True},
}


def test_other_options_have_caches_of_their_own(tmp_path):
    noise_folder(tmp_path / "images", count=6)
    both = {"image_size": None, "color": "auto"}
    paths = [ImageFolder(tmp_path / "images", **both | o).cache(tmp_path / "cache") for o in OPTIONS.values()]
    assert len(set(paths)) == len(os.listdir(tmp_path / "cache")) == len(OPTIONS)


def test_an_image_that_is_not_square_is_cached_as_it_is_fitted(tmp_path):
    save(tmp_path / "images" / "wide.png", noise(8, 16))
    for fit in ("crop", "pad", "squash"):
        folder = ImageFolder(tmp_path / "images", 8, "auto", fit)
        cached = CachedImages(folder.cache(tmp_path / "cache"), torch.arange(1))
        assert torch.equal(cached[torch.arange(1)], folder.load())


def test_two_folders_alike_in_names_sizes_and_times_have_caches_of_their_own(tmp_path):
    for level, place in enumerate(("here", "there")):
        save(tmp_path / place / "images" / "a.bmp", 100 * level)
        os.utime(tmp_path / place / "images" / "a.bmp", ns=(1, 1))
    for level, place in enumerate(("here", "there")):
        path = read(tmp_path / place / "images").cache(tmp_path / "cache")
        assert CachedImages(path, torch.arange(1))[torch.arange(1)].unique().tolist() == [100 * level]


def test_a_link_that_leads_elsewhere_now_gets_a_new_cache(tmp_path):
    for level, place in enumerate(("here", "there")):
        save(tmp_path / place / "a.bmp", 100 * level)
        os.utime(tmp_path / place / "a.bmp", ns=(1, 1))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "cat").symlink_to(tmp_path / "here")
    old = read(tmp_path / "images").cache(tmp_path / "cache")
    (tmp_path / "images" / "cat").unlink()
    (tmp_path / "images" / "cat").symlink_to(tmp_path / "there")
    assert read(tmp_path / "images").cache(tmp_path / "cache") != old


def test_a_time_that_differs_by_a_nanosecond_and_another_pillow_get_a_new_cache(tmp_path, monkeypatch):
    save(tmp_path / "images" / "a.png")
    paths = []
    for time in (1_000_000_000, 1_000_000_001):
        os.utime(tmp_path / "images" / "a.png", ns=(time, time))
        paths.append(read(tmp_path / "images").cache(tmp_path / "cache"))
    monkeypatch.setattr("PIL.__version__", "99.0")
    paths.append(read(tmp_path / "images").cache(tmp_path / "cache"))
    assert len(set(paths)) == 3


def scramble(path):
    """Other bytes in the middle of the pixels, which is where most of the file is."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40] = bytes(40)
    path.write_bytes(content)


def edit(change):
    def edited(path):
        with h5py.File(path, "r+") as file:
            change(file)

    return edited


def replace_images(file, images):
    del file["images"]
    file["images"] = images


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "end cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "scrambled": scramble,
    "not HDF5": lambda path: path.write_text("no cache"),
    "NaN": edit(lambda file: file["images"].write_direct(np.full((1, 3, 8, 8), np.nan, "f2"), dest_sel=np.s_[7:8])),
    "beyond 1": edit(lambda file: file["images"].write_direct(np.full((1, 3, 8, 8), 2, "f2"), dest_sel=np.s_[7:8])),
    "too few": edit(lambda file: file["images"].resize(19, axis=0)),
    "another shape": edit(lambda file: replace_images(file, np.zeros((20, 3, 8, 4), np.float16))),
    "another type": edit(lambda file: replace_images(file, np.zeros((20, 3, 8, 8), np.float32))),
    "no images": edit(lambda file: file.pop("images")),
    "no facts": edit(lambda file: file.pop("facts")),
    "wrong facts": edit(lambda file: (file.pop("facts"), file.create_dataset("facts", data="[]"))),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_cache_is_made_again(tmp_path, damage):
    expected = noise_folder(tmp_path / "images", count=20)
    path = read(tmp_path / "images").cache(tmp_path / "cache")
    damage(path)
    with pytest.warns(UserWarning, match=f"{re.escape(str(path))} is damaged: decoding the images again"):
        assert read(tmp_path / "images").cache(tmp_path / "cache") == path
    assert torch.equal(CachedImages(path, torch.arange(20))[torch.arange(20)], expected)
    assert os.listdir(tmp_path / "cache") == [path.name]


def test_a_cache_that_is_damaged_while_it_is_in_use_is_named(tmp_path):
    noise_folder(tmp_path / "images", count=20)
    path = read(tmp_path / "images").cache(tmp_path / "cache")
    scramble(path)
    with pytest.raises(InputError, match=f"Cannot read the cache {re.escape(str(path))} .* delete it"):
        CachedImages(path, torch.arange(20))[torch.arange(20)]
