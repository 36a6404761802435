import re

import numpy as np
import pytest
import torch
from PIL import Image

from nnzoo.data.images.folder import ImageFolder
from nnzoo.errors import InputError
from support.image_data import PARTS
from support.image_files import noise, prepared, read, save

pytestmark = pytest.mark.usefixtures("cache_folder")
L, A, RGB = noise(5, 7), noise(5, 7, seed=1), noise(5, 7, 3)
FULL = L.copy()  # from black to white
FULL[0, :2] = 0, 255
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
    "I;16": (Image.fromarray(FULL.astype(np.uint16) * 16), FULL, ["png", "tiff"], 0),
    "I": (Image.fromarray(FULL.astype(np.int32) * 16), FULL, ["tiff"], 0),
    "F": (Image.fromarray((FULL / 1000 - 3).astype(np.float32)), FULL, ["tiff"], 0),
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
    files = [file for file in FILES if file[1] != "webp" and file[0] != "F"]
    for index, (mode, extension) in enumerate(files):
        image = MODES[mode][0].resize((5 + index, 30 - index), Image.Resampling.NEAREST)
        save(tmp_path / f"{index:02}.{extension}", image)
    module = prepared(tmp_path, image_size=8)
    assert module.in_shape == (3, 8, 8)
    pixels = torch.cat([module.tensors(part)[0] for part in PARTS])
    assert pixels.shape == (len(files), 3, 8, 8)
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


@pytest.mark.parametrize("cache", ["none", "h5"])
@pytest.mark.parametrize("extension", ["png", "jpg", "bmp", "tiff", "webp"])
@pytest.mark.parametrize("share", [0, 0.1, 0.6])
def test_a_truncated_image_is_refused_by_name(tmp_path, extension, share, cache):
    for index in range(20):
        save(tmp_path / "images" / f"{index}.{extension}", noise(40, 40, 3, seed=index))
    path = tmp_path / "images" / f"13.{extension}"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(InputError, match=rf"1 of 20 images in {re.escape(str(path.parent))} .* 13\.{extension} \("):
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


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_an_image_that_is_not_square_is_cropped_padded_or_squashed(tmp_path, fit):
    """16 pixels wide and 8 high: white at both ends, otherwise grey; two by two pixels remain."""
    pixels = np.full((8, 16), 90, np.uint8)
    pixels[:, :2] = pixels[:, 14:] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    image = ImageFolder(tmp_path, 2, "auto", fit).decode(0)[0]
    if fit == "crop":
        assert (image == 90).all(), "the ends are cut off"
    elif fit == "squash":
        assert image.min() > 90, "both halves hold white and grey"
        assert (image[0] == image[1]).all()
    else:
        assert image.shape == (2, 2)
        assert image.min() == 0, "bars above or below"
