"""Links are followed, once around at most; what is left out is named."""

import os
import re
import socket
import warnings

import pytest

from nnzoo.errors import InputError
from support.image_data import PARTS
from support.image_files import prepared, read, save

pytestmark = pytest.mark.usefixtures("cache_folder")


def test_links_to_folders_of_classes_and_to_images_are_followed(tmp_path):
    save(tmp_path / "images" / "cat" / "a.png", 1)
    save(tmp_path / "elsewhere" / "b.png", 2)
    save(tmp_path / "elsewhere" / "deep" / "c.png", 3)
    save(tmp_path / "single.png", 4)
    (tmp_path / "images" / "dog").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "images" / "cat" / "d.png").symlink_to(tmp_path / "single.png")
    folder = read(tmp_path / "images")
    assert folder.classes == ["cat", "dog"]
    names = [str(path.relative_to(tmp_path / "images")) for path in folder.paths]
    assert names == ["cat/a.png", "cat/d.png", "dog/b.png", "dog/deep/c.png"]
    assert folder.labels.tolist() == [0, 0, 1, 1]
    assert folder.load()[:, 0, 0, 0].tolist() == [1, 4, 2, 3]
    (tmp_path / "linked").symlink_to(tmp_path / "images")
    assert len(read(tmp_path / "linked").paths) == 4


@pytest.mark.parametrize("linked", [("test",), ("train", "val", "test")])
def test_a_linked_part_is_that_part(tmp_path, linked):
    for number, part in enumerate(PARTS):
        place = tmp_path / ("elsewhere" if part in linked else "images") / part
        for index in range(20):
            save(place / "ab"[index % 2] / f"{index}.png", 50 * number + index)
        if part in linked:
            (tmp_path / "images").mkdir(exist_ok=True)
            (tmp_path / "images" / part).symlink_to(place)
    module = prepared(tmp_path / "images")
    for number, part in enumerate(PARTS):
        levels = (module.tensors(part)[0][:, 0, 0, 0] * 255).round().int().tolist()
        assert sorted(levels) == list(range(50 * number, 50 * number + 20))


def test_a_link_back_to_a_folder_above_ends_there_and_is_named(tmp_path):
    save(tmp_path / "cat" / "a.png")
    save(tmp_path / "dog" / "b.png")
    (tmp_path / "cat" / "up").symlink_to(tmp_path)
    (tmp_path / "dog" / "self").symlink_to(tmp_path / "dog")
    with pytest.warns(UserWarning, match=r"Left out of .*: 2 x link to a folder above it \(cat/up\)\."):
        folder = read(tmp_path)
    assert [path.name for path in folder.paths] == ["a.png", "b.png"]


def test_folders_that_link_to_each_other_end(tmp_path):
    for one, other in (("cat", "dog"), ("dog", "cat")):
        save(tmp_path / one / "a.png")
        (tmp_path / one / "friend").symlink_to(tmp_path / other)
    with pytest.warns(UserWarning, match="Links lead to 2 images"):
        folder = read(tmp_path)
    names = [str(path.relative_to(tmp_path)) for path in folder.paths]
    assert names == ["cat/a.png", "cat/friend/a.png", "dog/a.png", "dog/friend/a.png"]


def test_a_test_part_that_is_the_training_part_is_noticed(tmp_path):
    for index in range(6):
        save(tmp_path / "train" / "ab"[index % 2] / f"{index}.png")
    (tmp_path / "test").symlink_to(tmp_path / "train")
    with pytest.warns(UserWarning, match=r"Links lead to 6 images .* such as train/a/0\.png, which is test/a/0\.png"):
        read(tmp_path)


def test_everything_that_is_left_out_is_named_in_one_warning(tmp_path, monkeypatch):
    save(tmp_path / "cat" / "a.png")
    for name in ("notes.txt", "cat/labels.csv", "cat/more.csv", "README", ".hidden/f.png", "cat/._a.png", ".DS_Store"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path)  # the path of a socket has to be short
        listening.bind("s.png")
    with pytest.warns(UserWarning, match="Left out") as caught:
        assert [path.name for path in read(tmp_path).paths] == ["a.png"]
    (said,) = [str(warning.message) for warning in caught]
    for part in (
        "3 x link to itself or to nothing (cat/gone.png)",
        "2 x file .csv (cat/labels.csv)",
        "1 x file .txt (notes.txt)",
        "1 x file without extension (README)",
        "1 x hidden folder (.hidden)",
        "1 x hidden image (cat/._a.png)",
        "1 x FIFO (cat/pipe.png)",
        "1 x socket (s.png)",
    ):
        assert part in said
    assert said.count(" x ") == 8


def test_nothing_is_said_where_nothing_is_left_out(tmp_path):
    save(tmp_path / "cat" / "a.png")
    (tmp_path / ".DS_Store").write_text("")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path)


def test_a_folder_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    save(tmp_path / "cat" / "a.png")
    save(tmp_path / "dog" / "b.png")
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == "dog":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.warns(UserWarning, match=r"1 x folder that cannot be opened \(Permission denied\) \(dog\)"):
        assert read(tmp_path).classes == ["cat"]


def test_a_folder_with_other_files_alone_says_what_it_holds(tmp_path):
    for name in ("a.heic", "b.heic"):
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=rf"No images in {re.escape(str(tmp_path))}.* 2 x file \.heic \(a\.heic\)"):
        read(tmp_path)


def test_a_name_that_is_not_utf8_can_be_printed(tmp_path):
    save(tmp_path / "a.png")
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "w"):
        pass
    with pytest.warns(UserWarning, match=r"1 x file \.txt \(caf\\udce9\.txt\)"):
        read(tmp_path)
