"""Images of 16 and 32 bits have one scale, that of the training images."""

import numpy as np
import pytest
import torch
from PIL import Image

from nnzoo.data.images.module import ImageDataModule
from nnzoo.errors import InputError
from support.image_data import PARTS
from support.image_files import prepared, read, save

pytestmark = pytest.mark.usefixtures("cache_folder")
TYPES = {
    "I;16": (np.uint16, "png"),
    "I;16 tiff": (np.uint16, "tiff"),
    "I": (np.int32, "tiff"),
    "F": (np.float32, "tiff"),
}


def levels_of(module, parts=PARTS):
    """The grey level of every image of parts, of one level each."""
    return sorted((torch.cat([module.tensors(part)[0] for part in parts])[:, 0, 0, 0] * 255).round().int().tolist())


def scaled(values, low, high):
    """Bytes of values, by hand."""
    return sorted(int(np.round(255 * min(max((value - low) / (high - low), 0), 1))) for value in values)


def write(root, values, kind="I;16"):
    dtype, extension = TYPES[kind]
    for index, value in enumerate(values):
        save(root / f"{index:03}.{extension}", Image.fromarray(np.full((4, 4), value, dtype)))


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("cache", ["none", "h5"])
def test_twelve_bits_in_files_of_more_reach_from_black_to_white(tmp_path, kind, cache, caplog):
    values = np.arange(40) * 105  # up to 4,095
    write(tmp_path / "images", values, kind)
    for _ in range(2):  # the second time out of the cache
        module = prepared(tmp_path / "images", cache=cache)
        assert levels_of(module) == scaled(values, 0, 4095)
        assert module.grey_range == (0, 4095)
        assert caplog.text.count("40 of 40 images") == 1
        assert "have 16 or 32 bits: 0 becomes black, 4095 white" in caplog.text
        caplog.clear()


def test_pixels_within_an_image_keep_their_order_and_are_rounded(tmp_path):
    values = np.arange(4096, dtype=np.uint16).reshape(64, 64) + 300
    save(tmp_path / "a.png", Image.fromarray(values))
    expected = np.round((values - 300.0) * 255 / 4095)
    np.testing.assert_array_equal(read(tmp_path).decode(0)[0], expected)


def test_negative_and_float_values_are_scaled_too(tmp_path):
    write(tmp_path / "floats", [-1.5, 0.0, 0.25, 2.5], "F")
    assert read(tmp_path / "floats").load()[:, 0, 0, 0].tolist() == scaled([-1.5, 0, 0.25, 2.5], -1.5, 2.5)
    write(tmp_path / "whole", [-1000, 0, 100_000], "I")
    assert read(tmp_path / "whole").load()[:, 0, 0, 0].tolist() == scaled([-1000, 0, 100_000], -1000, 100_000)


def test_official_test_images_have_the_scale_of_the_training_images(tmp_path):
    train, test = np.arange(20) * 100, [0, 950, 1900, 60_000]
    write(tmp_path / "train", train)
    write(tmp_path / "test", test)
    module = prepared(tmp_path)
    assert module.grey_range == (0, 1900)
    assert levels_of(module, ["test"]) == scaled(test, 0, 1900) == [0, 128, 255, 255]


def test_new_images_have_the_scale_of_the_training_images(tmp_path):
    write(tmp_path / "images", np.arange(20) * 100)
    write(tmp_path / "new", [0, 475, 950])
    module = prepared(tmp_path / "images", predict_root=str(tmp_path / "new"))
    assert module._new.load()[:, 0, 0, 0].tolist() == scaled([0, 475, 950], 0, 1900)


def test_a_range_can_be_given(tmp_path):
    values = np.arange(20) * 100
    write(tmp_path, values)
    module = prepared(tmp_path, grey_range=(500, 1000))
    assert module.grey_range == (500, 1000)
    assert levels_of(module) == scaled(values, 500, 1000)


@pytest.mark.parametrize("given", [(3, 3), (5, 1), (0, float("nan")), (float("-inf"), 0)])
def test_a_range_that_is_none_is_refused(tmp_path, given):
    with pytest.raises(InputError, match="grey_range must be two rising numbers"):
        ImageDataModule(dataset="folder", root=str(tmp_path), grey_range=given)


def test_images_of_8_bits_have_no_scale_and_keep_their_levels_beside_others(tmp_path):
    save(tmp_path / "plain" / "a.png", 7)
    assert read(tmp_path / "plain").grey_range is None
    write(tmp_path / "mixed", [0, 1000])
    save(tmp_path / "mixed" / "z.png", np.full((4, 4), 7, np.uint8))
    assert read(tmp_path / "mixed").load()[:, 0, 0, 0].tolist() == [0, 255, 7]


def test_a_folder_of_one_value_is_black(tmp_path):
    write(tmp_path, [700, 700])
    assert read(tmp_path).load().unique().tolist() == [0]


def test_floats_beside_whole_numbers_have_no_common_scale(tmp_path):
    write(tmp_path, [0, 1000])
    save(tmp_path / "z.tiff", Image.fromarray(np.zeros((4, 4), np.float32)))
    with pytest.raises(InputError, match="floats beside images of whole numbers"):
        read(tmp_path).load()


def test_colours_of_16_bits_which_pillow_cuts_are_named(tmp_path):
    """A PNG of 4 x 4 pixels in RGB of 16 bits, written by hand: Pillow cannot."""
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + struct.pack(">12H", *[4095] * 12) for _ in range(4))
    header = struct.pack(">2I5B", 4, 4, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.warns(
        UserWarning, match=r"1 images in .* have colours of 16 bits, of which the upper 8 are used: a\.png"
    ):
        assert read(tmp_path).decode(0).max() == 4095 >> 8
