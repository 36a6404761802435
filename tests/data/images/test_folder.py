import re
from collections import Counter

import pytest
import torch

from nnzoo.errors import InputError
from support.image_data import PARTS
from support.image_files import noise_folder, prepared, read, save

pytestmark = pytest.mark.usefixtures("cache_folder")


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


def test_images_load_in_the_order_of_their_paths(tmp_path):
    expected = noise_folder(tmp_path, count=60)
    assert torch.equal(read(tmp_path).load(), expected)


def test_the_split_of_a_folder_is_stratified_and_does_not_depend_on_the_cache(tmp_path):
    noise_folder(tmp_path / "images", count=100)
    for cache in ("none", "h5"):
        module = prepared(tmp_path / "images", cache=cache)
        counts = [torch.bincount(module.tensors(part)[1]) for part in PARTS]
        assert [count.sum() for count in counts] == [70, 15, 15]
        assert all((count[0] - count[1]).abs() <= 2 for count in counts)
