import os
import pickle
import re
from collections import Counter

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from nnzoo.data.image import ImageDataModule
from nnzoo.data.image_folder import CachedImages, ImageFolder
from nnzoo.errors import InputError

PARTS = ("train", "val", "test")


@pytest.fixture(autouse=True)
def _cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("NNZOO_DATA", raising=False)


def save(path, pixels=0, **options):
    """Saves an array (H, W[, C]), an image of PIL, or 6 x 4 pixels of one grey level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(pixels, int):
        pixels = np.full((4, 6), pixels, np.uint8)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **options)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def noise_folder(root, count=40, shape=(8, 8, 3)):
    """A folder with random images in two classes; returns them in the order of their paths."""
    pixels = noise(count, *shape)
    for index in range(count):
        save(root / "ab"[index >= count // 2] / f"{index:03}.png", pixels[index])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def read(root, image_size=None, color="auto"):
    return ImageFolder(root, image_size, color)


def prepared(root, **arguments):
    module = ImageDataModule(dataset="folder", root=str(root), **{"batch_size": 4, **arguments})
    module.prepare_data()
    module.setup()
    return module


def same_batches(first, second, part):
    loaded = [list(getattr(module, f"{part}_dataloader")()) for module in (first, second)]
    assert len(loaded[0]) == len(loaded[1]) > 0
    return all(torch.equal(a, b) for one, two in zip(*loaded, strict=True) for a, b in zip(one, two, strict=True))


def levels_of(module, part):
    return sorted(module.tensors(part)[0].mul(255).round().mean((1, 2, 3)).int().tolist())


def test_folders_inside_the_folder_are_classes_however_deep_their_images_lie(tmp_path):
    for name, level in (("dog/c.png", 3), ("cat/a.png", 1), ("cat/deep/deeper/b.png", 2), ("dog/d.png", 4)):
        save(tmp_path / name, level)
    folder = read(tmp_path)
    assert folder.classes == ["cat", "dog"]
    assert folder.labels.tolist() == [0, 0, 1, 1]
    assert folder.shape == (1, 4, 6)
    assert folder.load().float().mean((1, 2, 3)).tolist() == [1, 2, 3, 4]


def test_a_flat_folder_has_no_classes_and_still_gives_batches(tmp_path):
    for index in range(20):
        save(tmp_path / f"{index}.png", index)
    module = prepared(tmp_path)
    assert (module.classes, module.num_classes) == ([], 0)
    assert Counter(level for part in PARTS for level in levels_of(module, part)) == Counter(range(20))
    pixels, labels = next(iter(module.train_dataloader()))
    assert pixels.shape == (4, 1, 4, 6)
    assert labels.tolist() == [0] * 4


def test_a_folder_without_classes_has_no_class_weights_and_cannot_be_balanced(tmp_path):
    for index in range(20):
        save(tmp_path / f"{index}.png", index)
    with pytest.raises(InputError, match="class"):
        prepared(tmp_path, balanced=True).train_dataloader()
    assert prepared(tmp_path).class_weights.tolist() == []


@pytest.mark.parametrize(
    ("names", "sizes"),
    [
        ({"train": "train", "test": "test"}, [17, 3, 20]),
        ({"train": "train", "valid": "val"}, [17, 20, 3]),
        ({"train": "train", "validation": "val", "test": "test"}, [20, 20, 20]),
    ],
)
def test_official_parts_of_a_folder_are_kept(tmp_path, names, sizes):
    for number, name in enumerate(names):
        for index in range(20):
            save(tmp_path / name / "ab"[index % 2] / f"{index}.png", 100 * number + index)
    module = prepared(tmp_path)
    assert module.classes == ["a", "b"]
    levels = {part: levels_of(module, part) for part in PARTS}
    assert [len(levels[part]) for part in PARTS] == sizes
    taken_from_train = [part for part in PARTS if part == "train" or part not in names.values()]
    assert sorted(level for part in taken_from_train for level in levels[part]) == list(range(20))
    for number, part in enumerate(names.values()):
        assert part == "train" or levels[part] == list(range(100 * number, 100 * number + 20))
    for part in PARTS:
        pixels, labels = module.tensors(part)
        assert torch.equal((pixels[:, 0, 0, 0] * 255).round() % 2, labels.float())


def test_official_parts_may_hold_images_without_classes(tmp_path):
    for index in range(20):
        save(tmp_path / "train" / f"{index}.png", index)
        save(tmp_path / "test" / f"{index}.png", 100 + index)
    module = prepared(tmp_path)
    assert module.classes == []
    assert levels_of(module, "test") == list(range(100, 120))


@pytest.mark.parametrize("names", [("train", "plane"), ("train",), ("test", "val")])
def test_a_folder_called_train_is_a_class_where_there_are_no_parts(tmp_path, names):
    for name in names:
        save(tmp_path / name / "a.png")
    folder = read(tmp_path)
    assert folder.classes == sorted(names)
    assert set(folder.parts) == {""}


def test_official_parts_are_found_in_any_spelling_and_nothing_may_lie_beside_them(tmp_path):
    for name in ("Train/a", "TESTING/a"):
        save(tmp_path / name / "a.png")
    assert read(tmp_path).parts == ["test", "train"]
    save(tmp_path / "plane" / "a.png")
    with pytest.raises(InputError, match="holds plane beside"):
        read(tmp_path)


def test_a_lone_training_folder_with_classes_inside_is_the_training_part(tmp_path):
    for name in ("train/a/1.png", "train/b/2.png"):
        save(tmp_path / name)
    folder = read(tmp_path)
    assert (folder.parts, folder.classes) == (["train", "train"], ["a", "b"])


def test_upper_case_extensions_count_and_hidden_and_other_files_do_not(tmp_path):
    for name in ("A.PNG", "b.Jpg", "c.jpeg", "d.TIFF", "e.bmp"):
        save(tmp_path / name)
    for name in ("._b.jpg", ".hidden/f.png", ".DS_Store", "notes.txt", "labels.csv", "png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    assert [path.name for path in read(tmp_path).paths] == ["A.PNG", "b.Jpg", "c.jpeg", "d.TIFF", "e.bmp"]


def test_a_folder_inside_a_hidden_folder_is_read(tmp_path):
    save(tmp_path / ".cache" / "images" / "a.png")
    assert len(read(tmp_path / ".cache" / "images").paths) == 1


L, A, RGB = noise(5, 7), noise(5, 7, seed=1), noise(5, 7, 3)
RGBA = np.dstack([RGB, A])
BITS = (L > 127) * np.uint8(255)
PALETTE = Image.fromarray(L % 4).convert("P")
PALETTE.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 10, 20, 30])
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 20, 30]])


def over_white(pixels, alpha):
    alpha = alpha / 255
    return (pixels.T * alpha.T + 255 * (1 - alpha.T)).T


MODES = {
    "1": (Image.fromarray(BITS).convert("1"), BITS, ["png", "bmp", "tiff"], 0),
    "L": (Image.fromarray(L), L, ["png", "bmp", "tiff", "pgm", "webp"], 0),
    "LA": (Image.merge("LA", [Image.fromarray(L), Image.fromarray(A)]), over_white(L, A), ["png", "tiff"], 1),
    "P": (PALETTE, COLOURS[L % 4], ["png", "bmp", "tiff"], 0),
    "RGB": (Image.fromarray(RGB), RGB, ["png", "bmp", "tiff", "ppm"], 0),
    "RGBA": (Image.fromarray(RGBA), over_white(RGB, A), ["png", "tiff"], 1),
    "CMYK": (
        Image.merge("CMYK", Image.fromarray(RGBA).split()),
        (255.0 - RGB) * (255.0 - A[..., None]) / 255,
        ["tiff"],
        1,
    ),
    "I;16": (Image.fromarray(L.astype(np.uint16) * 256 + A), L, ["png", "tiff"], 1),
    "I": (Image.fromarray(L.astype(np.int32) * 256 + A), L, ["tiff"], 1),
    "F": (Image.fromarray(((L - 0.4) / 255).astype(np.float32)), L, ["tiff"], 0),
}
GREY = ("1", "L", "LA", "I;16", "I", "F")
FILES = [(mode, extension) for mode, (*_, extensions, _) in MODES.items() for extension in extensions]


@pytest.mark.parametrize(("mode", "extension"), FILES)
@pytest.mark.parametrize("color", ["auto", "rgb", "grey"])
def test_images_of_all_modes_decode_to_their_pixels(tmp_path, mode, extension, color):
    image, expected, _, tolerance = MODES[mode]
    save(tmp_path / f"a.{extension}", image, **({"lossless": True} if extension == "webp" else {}))
    is_grey = mode in GREY and extension != "webp"  # WebP has no grey mode
    channels = {"rgb": 3, "grey": 1, "auto": 1 if is_grey else 3}[color]
    folder = read(tmp_path, color=color)
    assert folder.shape == (channels, 5, 7)
    decoded = folder.decode(0)
    assert decoded.dtype == np.uint8
    if channels == 3:
        expected = expected.transpose(2, 0, 1) if expected.ndim == 3 else np.stack([expected] * 3)
    elif expected.ndim == 3:
        expected, tolerance = expected @ [0.299, 0.587, 0.114], tolerance + 1
    np.testing.assert_allclose(decoded, np.asarray(expected, float).reshape(folder.shape), atol=tolerance)


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (1, 2, 3)), ("P", 2)])
def test_a_transparent_colour_becomes_white(tmp_path, mode, key):
    image, expected, *_ = MODES[mode]
    pixels = np.array(image)
    if mode != "P":
        pixels[2, 3] = key
        image = Image.fromarray(pixels)
    save(tmp_path / "a.png", image, transparency=key)
    decoded = read(tmp_path, color="rgb").decode(0).transpose(1, 2, 0)
    hidden = pixels == key if pixels.ndim == 2 else (pixels == key).all(-1)
    assert 0 < hidden.sum() < hidden.size
    assert (decoded[hidden] == 255).all()
    shown = expected[~hidden] if expected.ndim == 3 else expected[~hidden][:, None]
    np.testing.assert_array_equal(decoded[~hidden], np.broadcast_to(shown, (len(shown), 3)))


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpegs_decode_close_to_their_pixels(tmp_path, mode):
    ramp = np.linspace(0, 255, 256).reshape(16, 16).astype(np.uint8)
    grey = Image.fromarray(ramp)
    save(tmp_path / "a.jpg", grey.convert("RGB").convert("CMYK") if mode == "CMYK" else grey.convert(mode), quality=95)
    folder = read(tmp_path)
    assert folder.shape == ({"L": 1}.get(mode, 3), 16, 16)
    assert np.abs(folder.decode(0).astype(int) - ramp).max() <= 6


def test_one_folder_may_mix_sizes_modes_and_formats(tmp_path):
    for index, (mode, extension) in enumerate(file for file in FILES if file[1] != "webp"):
        image = MODES[mode][0].resize((5 + index, 30 - index), Image.Resampling.NEAREST)
        save(tmp_path / f"{index:02}.{extension}", image)
    module = prepared(tmp_path, image_size=8)
    assert module.in_shape == (3, 8, 8)
    pixels = torch.cat([module.tensors(part)[0] for part in PARTS])
    assert pixels.shape == (len(FILES) - 1, 3, 8, 8)
    assert (pixels.flatten(1).std(1) > 0.05).all()
    assert prepared(tmp_path, image_size=8, color="grey").tensors("test")[0].shape[1:] == (1, 8, 8)


@pytest.mark.parametrize(("color", "channels"), [("auto", 1), ("grey", 1), ("rgb", 3)])
def test_grey_images_keep_one_channel_unless_rgb_is_asked_for(tmp_path, color, channels):
    for index in range(4):
        save(tmp_path / f"{index}.png", 50 * index)
    images = read(tmp_path, color=color).load()
    assert images.shape == (4, channels, 4, 6)
    assert images.float().mean((1, 2, 3)).tolist() == [0, 50, 100, 150]


def test_one_colour_image_makes_a_folder_rgb(tmp_path):
    save(tmp_path / "a.png", 7)
    save(tmp_path / "b.png", noise(4, 6, 3))
    assert read(tmp_path).shape == (3, 4, 6)
    assert read(tmp_path, color="grey").shape == (1, 4, 6)


TURNS = {  # EXIF's orientations, as what a viewer does to the stored pixels
    0: lambda a: a,
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: np.rot90,
    9: lambda a: a,  # not in the standard
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("extension", ["jpg", "png", "tiff", "webp"])
def test_photos_that_lie_on_their_side_are_turned_upright(tmp_path, orientation, extension):
    stored = np.kron(np.array([[0, 60, 120], [180, 240, 90]], np.uint8), np.ones((8, 8), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(tmp_path / f"a.{extension}", stored, exif=exif)
    upright = TURNS[orientation](stored)
    if extension == "tiff" and upright.shape != stored.shape:
        with pytest.raises(InputError, match=r"a\.tiff .*save it upright"):  # Pillow would garble it
            read(tmp_path)
        return
    folder = read(tmp_path, color="grey")
    assert folder.shape == (1, *upright.shape)
    assert np.abs(folder.decode(0)[0].astype(int) - upright).max() <= 8


def test_image_size_resizes_the_shorter_side_and_cuts_out_the_centre(tmp_path):
    pixels = noise(8, 16)
    save(tmp_path / "wide.png", pixels)
    save(tmp_path / "tall.png", pixels.T)
    save(tmp_path / "square.png", pixels[:, :8])
    folder = read(tmp_path, image_size=8)
    decoded = {path.stem: image[0] for path, image in zip(folder.paths, folder.decode_all(), strict=True)}
    np.testing.assert_array_equal(decoded["wide"], pixels[:, 4:12])
    np.testing.assert_array_equal(decoded["tall"], pixels[:, 4:12].T)
    np.testing.assert_array_equal(decoded["square"], pixels[:, :8])


def test_images_of_different_sizes_need_an_image_size(tmp_path):
    save(tmp_path / "small.png", noise(8, 8))
    save(tmp_path / "large.png", noise(16, 16))
    with pytest.raises(InputError, match=r"(?s)(?=.*large\.png)(?=.*small\.png)(?=.*8x8)(?=.*16x16).*image_size"):
        read(tmp_path)
    assert read(tmp_path, 4).shape == (1, 4, 4)


def test_a_folder_that_is_missing_or_a_file_is_refused(tmp_path):
    save(tmp_path / "a.png")
    for root in (tmp_path / "none", tmp_path / "a.png"):
        with pytest.raises(InputError, match=re.escape(str(root))):
            prepared(root)


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match="No images"):
        prepared(tmp_path)


def test_an_image_beside_class_folders_is_refused_by_name(tmp_path):
    save(tmp_path / "cat" / "a.png")
    save(tmp_path / "loose.png")
    with pytest.raises(InputError, match=r"loose\.png"):
        read(tmp_path)


def test_too_few_images_for_three_parts_are_refused(tmp_path):
    for index in range(3):
        save(tmp_path / f"{index}.png")
    with pytest.raises(InputError, match="3 samples leave none"):
        prepared(tmp_path)


@pytest.mark.parametrize("cache", ["none", "h5"])
@pytest.mark.parametrize("extension", ["png", "jpg", "bmp", "tiff", "webp"])
@pytest.mark.parametrize("share", [0, 0.1, 0.6])
def test_a_truncated_image_is_refused_by_name(tmp_path, extension, share, cache):
    for index in range(20):
        save(tmp_path / "images" / f"{index}.{extension}", noise(40, 40, 3, seed=index))
    path = tmp_path / "images" / f"13.{extension}"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=re.escape(str(path))):
        prepared(tmp_path / "images", cache=cache)


def test_a_text_file_called_png_is_refused_by_name(tmp_path):
    save(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("this is no image")
    with pytest.raises(InputError, match=r"b\.png"):
        prepared(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_float_image_that_is_not_finite_is_refused_by_name(tmp_path, value):
    for index in range(20):
        pixels = np.full((4, 4), 0.5, np.float32)
        pixels[2, 1] = value if index == 7 else 0
        save(tmp_path / f"{index}.tiff", pixels)
    with pytest.raises(InputError, match=r"7\.tiff.*NaN or infinite"):
        prepared(tmp_path)


def test_images_load_in_the_order_of_their_paths(tmp_path):
    expected = noise_folder(tmp_path, count=60)
    assert torch.equal(read(tmp_path).load(), expected)


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
    monkeypatch.setattr(ImageFolder, "decode", fail)
    if again == "setup":
        module.setup()
    else:
        module = prepared(tmp_path / "images", cache="h5")
    assert same_batches(plain, module, "train")


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


def test_other_sizes_and_colours_and_folders_have_caches_of_their_own(tmp_path):
    for root in ("one", "two"):
        noise_folder(tmp_path / root, count=6)
    settings = [("one", None, "auto"), ("one", 4, "auto"), ("one", 4, "grey"), ("two", None, "auto")]
    paths = [read(tmp_path / root, size, color).cache(tmp_path / "cache") for root, size, color in settings]
    assert len(set(paths)) == len(os.listdir(tmp_path / "cache")) == 4


def test_a_failure_while_the_cache_is_written_leaves_no_file(tmp_path, monkeypatch):
    expected = noise_folder(tmp_path / "images", count=20)
    folder, decode = read(tmp_path / "images"), ImageFolder.decode

    def fail_late(self, index):
        if index == 15:
            raise InputError("damaged")
        return decode(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(ImageFolder, "decode", fail_late)
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


def test_the_split_of_a_folder_is_stratified_and_does_not_depend_on_the_cache(tmp_path):
    noise_folder(tmp_path / "images", count=100)
    for cache in ("none", "h5"):
        module = prepared(tmp_path / "images", cache=cache)
        counts = [torch.bincount(module.tensors(part)[1]) for part in PARTS]
        assert [count.sum() for count in counts] == [70, 15, 15]
        assert all((count[0] - count[1]).abs() <= 2 for count in counts)
