"""Captions of a folder of the user's own, in its metadata.csv."""

import warnings
from pathlib import Path

import pytest
import torch

from nnzoo import CaptionedImageDataModule, InputError
from nnzoo.data.images.folder_captions import folder_captions
from support.image_files import noise, save

COLORS = ("red", "green", "blue")


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "mine"
    for number in range(30):
        save(root / f"{number:02}.png", noise(16, 16, 3, seed=number))
    write(root, [(f"{number:02}.png", f"A {COLORS[number % 3]} square") for number in range(30)])
    return root


def write(root, rows, header="file_name,text"):
    lines = [",".join(f'"{value}"' for value in row) for row in rows]
    Path(root, "metadata.csv").write_text("\n".join([header, *lines]) + "\n")


def data_of(root, **settings):
    return CaptionedImageDataModule(dataset="folder", root=str(root), **{"batch_size": 4, **settings})


def text_of(data, tokens):
    return " ".join(data.vocabulary[number] for number in tokens.tolist() if number > 1)


@pytest.mark.filterwarnings("error:Left out")
def test_each_image_has_the_caption_of_its_row(folder):
    data = data_of(folder)
    assert data.vocabulary[4:] == ["a", "blue", "green", "red", "square"]
    assert data.caption_length == 4
    assert set(data.example_captions) == {f"A {color} square" for color in COLORS}
    data.setup()
    for part in ("train", "val", "test"):
        for images, tokens in data.batches(part):
            for image, row in zip(images, tokens, strict=True):
                color = text_of(data, row).split()[1]
                path = next(p for p in folder.glob("*.png") if same(p, image))
                assert COLORS[int(path.stem) % 3] == color


def same(path, image):
    pixels = torch.from_numpy(noise(16, 16, 3, seed=int(path.stem))).permute(2, 0, 1) / 255
    return torch.allclose(pixels, image)


def test_an_image_may_have_several_captions_of_which_training_draws_one(folder):
    rows = [(f"{number:02}.png", f"{word} square") for number in range(30) for word in ("one", "two", "three")]
    write(folder, rows)
    data = data_of(folder)
    data.setup()
    seen = {text_of(data, row) for _ in range(3) for _, tokens in data.train_dataloader() for row in tokens}
    assert seen == {"one square", "two square", "three square"}
    first, again = (list(data.batches("test")) for _ in range(2))
    assert all(torch.equal(one[1], other[1]) for one, other in zip(first, again, strict=True))


def test_captions_may_lie_beside_the_images_of_each_part(tmp_path):
    for part, word in (("train", "one"), ("test", "other")):
        for number in range(8):
            save(tmp_path / part / f"{number}.png", noise(8, 8, seed=number))
        write(tmp_path / part, [(f"{number}.png", f"the {word}") for number in range(8)])
    data = data_of(tmp_path)
    with pytest.warns(UserWarning, match="8 of 9 validation and test captions .* such as other"):
        data.setup()
    assert data.vocabulary[4:] == ["one", "the"]
    assert {text_of(data, row) for _, tokens in data.batches("test") for row in tokens} == {"the"}


def test_longer_captions_than_those_of_training_are_cut(tmp_path):
    for part, text in (("train", "one two"), ("test", "one two one two")):
        for number in range(8):
            save(tmp_path / part / f"{number}.png", noise(8, 8, seed=number))
        write(tmp_path / part, [(f"{number}.png", text) for number in range(8)])
    data = data_of(tmp_path)
    with pytest.warns(UserWarning, match="8 validation and test captions are longer"):
        data.setup()
    assert next(iter(data.batches("test")))[1].shape == (4, 3)


def test_an_image_that_is_left_out_takes_its_caption_with_it(folder):
    (folder / "00.png").write_bytes(b"no image")
    data = data_of(folder, skip_broken=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data.setup()
    assert data.tensors("train")[0].shape[0] + data.tensors("val")[0].shape[0] + data.tensors("test")[0].shape[0] == 29
    for images, tokens in data.batches("train"):
        for image, row in zip(images, tokens, strict=True):
            path = next(p for p in folder.glob("*.png") if same(p, image))
            assert COLORS[int(path.stem) % 3] == text_of(data, row).split()[1]


def change(folder, rows=None, header="file_name,text"):
    known = [(f"{number:02}.png", "a square") for number in range(30)]
    write(folder, known if rows is None else rows(known), header)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"header": "file_name,caption"}, "no column text for captions of images.*file_name, caption"),
        ({"header": "image,text"}, "no column file_name for captions of images"),
        ({"rows": lambda rows: rows[3:]}, r"3 of 30 images in .* have no caption: add rows to .* for 00.png, 01.png"),
        ({"rows": lambda rows: [*rows, ("cat.png", "a cat")]}, "captions of 1 images that do not exist.*line 32.*cat"),
        ({"rows": lambda rows: [("", "a cat"), *rows]}, "line 2: a row without a name"),
        ({"rows": lambda rows: [*rows, ("03.png", "!?")]}, "1 captions without a word, the first in line 32"),
    ],
)
def test_a_fault_of_the_table_is_told_in_one_sentence(folder, how, says):
    change(folder, **how)
    with pytest.raises(InputError, match=says):
        data_of(folder).vocabulary  # noqa: B018


def test_a_folder_without_a_table_is_told_what_to_write(folder):
    (folder / "metadata.csv").unlink()
    with pytest.raises(InputError, match=r"no captions: write them into .*metadata.csv, with a header file_name,text"):
        folder_captions(folder, sorted(folder.glob("*.png")))
