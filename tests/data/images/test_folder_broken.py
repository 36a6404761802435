"""Images that cannot be read: named all at once, or left out if that is asked for."""

import re
import struct

import numpy as np
import pytest
import torch
from PIL.PngImagePlugin import PngImageFile

from nnzoo.data.images.decoding import TURNS
from nnzoo.errors import InputError
from support.image_data import PARTS, images
from support.image_files import noise, prepared, save

pytestmark = pytest.mark.usefixtures("cache_folder")


def broken_folder(root, count=30):
    """Images of one grey level each in two classes; 3 is no image, 14 and 25 are cut."""
    for index in range(count):
        pixels = noise(40, 40)
        pixels[0, 0] = index
        save(root / "ab"[index % 2] / f"{index:02}.png", pixels)
    (root / "b" / "03.png").write_text("no image")
    for name in ("a/14.png", "b/25.png"):
        (root / name).write_bytes((root / name).read_bytes()[:800])


@pytest.mark.parametrize("cache", ["none", "h5"])
def test_all_unreadable_images_are_named_at_once(tmp_path, cache):
    root = tmp_path / "images"
    broken_folder(root)
    with pytest.raises(InputError) as caught:
        prepared(root, cache=cache)
    assert re.fullmatch(
        rf"3 of 30 images in {re.escape(str(root))} cannot be read: a/14\.png \(.+\), b/03\.png \(.+\), "
        r"b/25\.png \(.+\): repair, replace or remove them, or go on without them by --data\.skip_broken true\.",
        str(caught.value),
    )
    (root / "b" / "03.png").unlink()  # of those that are left the headers are whole
    with pytest.raises(InputError, match=r"2 of 29 images .* a/14\.png .*, b/25\.png"):
        prepared(root, cache=cache)


def test_of_many_unreadable_images_the_first_are_named(tmp_path):
    for index in range(12):
        save(tmp_path / f"{index:02}.png")
        if index:
            (tmp_path / f"{index:02}.png").write_text("no image")
    with pytest.raises(InputError, match=r"11 of 12 .* 01\.png .* 05\.png \([^,]*\) and 6 more: repair"):
        prepared(tmp_path)


@pytest.mark.parametrize("cache", ["none", "h5", "h5 again"])
def test_skip_broken_goes_on_without_them_and_keeps_images_labels_and_names_together(tmp_path, cache):
    root = tmp_path / "images"
    broken_folder(root)
    for _ in range(2 if cache == "h5 again" else 1):
        with pytest.warns(UserWarning, match="cannot be read") as caught:
            module = prepared(root, cache=cache.split()[0], skip_broken=True)
    said = " ".join(str(warning.message) for warning in caught)
    assert all(name in said for name in ("a/14.png", "b/03.png", "b/25.png", "going on without them"))
    numbers = []
    for part in PARTS:
        pixels, labels = module.tensors(part)
        found = (pixels[:, 0, 0, 0] * 255).round().int()
        assert torch.equal(found % 2, labels.int())
        numbers += found.tolist()
    assert sorted(numbers) == sorted(set(range(30)) - {3, 14, 25})
    files = module.predicted_rows()["file"]
    tested = (images(module.predict_dataloader())[:, 0, 0, 0] * 255).round().int().tolist()
    assert [int(name[-6:-4]) for name in files] == tested


def test_skip_broken_acts_on_images_to_predict(tmp_path):
    broken_folder(tmp_path / "new")
    with pytest.raises(InputError, match="3 of 30"):
        prepared_digits(tmp_path / "new")
    with pytest.warns(UserWarning, match="going on without them"):
        module = prepared_digits(tmp_path / "new", skip_broken=True)
    assert len(module.predicted_rows()) == len(images(module.predict_dataloader())) == 27


def prepared_digits(new, **arguments):
    from support.image_data import prepared

    return prepared(predict_root=str(new), **arguments)


def test_a_folder_of_unreadable_images_alone_is_refused_all_the_same(tmp_path):
    for index in range(3):
        save(tmp_path / f"{index}.png")
        (tmp_path / f"{index}.png").write_text("no image")
    with pytest.raises(InputError, match=r"3 of 3 images .* repair, replace or remove them\.$"):
        prepared(tmp_path, skip_broken=True)


@pytest.mark.parametrize("error", [struct.error, TypeError, ZeroDivisionError, KeyError, AttributeError, OSError])
def test_whatever_pillow_raises_names_the_file(tmp_path, monkeypatch, error):
    for index in range(4):
        save(tmp_path / f"{index}.png")
    load = PngImageFile.load

    def fail(self):
        if getattr(self, "filename", "").endswith("2.png"):
            raise error("in the decoder")
        return load(self)

    monkeypatch.setattr(PngImageFile, "load", fail)
    with pytest.raises(InputError, match=r"1 of 4 images .* 2\.png \(.*in the decoder"):
        prepared(tmp_path)


def exif(entries):
    """An EXIF block of one directory, in little-endian order, of raw entries (tag, type, count, value)."""
    packed = b"".join(struct.pack("<HHI4s", tag, kind, count, value) for tag, kind, count, value in entries)
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + b"\0\0\0\0"


DAMAGED_NOTES = {
    "cut": exif([(0x0112, 3, 1, b"\x06\0\0\0")])[:15],
    "noise": b"Exif\0\0" + bytes(range(40)),
    "a text": exif([(0x0112, 2, 4, b"six\0")]),
    "no number": exif([(0x0112, 3, 0, b"\0\0\0\0")]),
    "far away": exif([(0x0112, 3, 1000, b"\xff\xff\xff\x7f")]),
    "fraction by zero": exif([(0x0112, 5, 1, b"\x08\0\0\0")]),
    "infinity": exif([(0x0112, 11, 1, struct.pack("<f", float("inf")))]),
}


@pytest.mark.parametrize("note", DAMAGED_NOTES.values(), ids=DAMAGED_NOTES)
@pytest.mark.parametrize("extension", ["jpg", "png", "webp"])
def test_an_image_with_a_damaged_exif_note_is_used_as_it_is_stored(tmp_path, note, extension):
    ramp = np.kron(np.array([[0, 60, 120], [180, 240, 90]], np.uint8), np.ones((8, 8), np.uint8))
    for index in range(8):
        save(tmp_path / f"{index}.{extension}", ramp, **({"exif": note} if index == 3 else {}))
    module = prepared(tmp_path, color="grey")
    assert module.in_shape == (1, 16, 24)
    for part in PARTS:
        for image in module.tensors(part)[0]:
            assert np.abs(image[0].numpy() * 255 - ramp).max() <= 8


def test_images_with_a_damaged_exif_note_are_named(tmp_path):
    for index in range(8):
        save(tmp_path / f"{index}.jpg", exif=DAMAGED_NOTES["a text"] if index in (2, 3) else exif([]))
    with pytest.warns(UserWarning, match=r"2 images in .* have a damaged EXIF note .*: 2\.jpg, 3\.jpg"):
        prepared(tmp_path)


def test_a_damaged_entry_beside_the_orientation_leaves_it_in_force(tmp_path):
    note = exif([(0x0112, 3, 1, b"\x06\0\0\0"), (0x829A, 2, 4, b"\xff\xff\xff\xff"), (0x8298, 5, 1, b"\0\0\0\0")])
    save(tmp_path / "a.jpg", np.zeros((8, 16), np.uint8), exif=note)
    for index in range(6):
        save(tmp_path / f"{index}.jpg", np.zeros((16, 8), np.uint8))
    assert prepared(tmp_path).in_shape == (1, 16, 8)


def test_every_turn_of_exif_is_known():
    assert sorted(TURNS) == list(range(2, 9))
