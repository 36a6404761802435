"""Captions of digits: never wrong, drawn anew for training images, the same for others."""

import pickle

import pytest
import torch

from nnzoo import CaptionedImageDataModule, InputError
from nnzoo.data.images.captioned import CaptionTable
from nnzoo.data.images.digit_captions import (
    BOLD,
    LEFT,
    NAMES,
    RIGHT,
    THIN,
    TILTS,
    WEIGHTS,
    DigitStates,
    digit_captions,
    group_of,
)
from nnzoo.data.images.strokes import slant, stroke_weight
from nnzoo.data.sampler import BatchIndex
from nnzoo.tokens import Words, words_of


@pytest.fixture(scope="module")
def digits():
    data = CaptionedImageDataModule()
    data.setup()
    return data


def texts(data, tokens):
    return [" ".join(data.vocabulary[number] for number in row.tolist() if number > 1) for row in tokens]


def batch(data, part, samples, seed=0, size=None, rows=slice(None)):
    return data.parts[part].__getitems__(BatchIndex(torch.as_tensor(samples), seed, rows, size or len(samples)))


SAYS = {
    "weight": {word: state for state, words in enumerate(WEIGHTS) for word in words},
    "tilt": {"left": LEFT, "right": RIGHT},
    "digit": {**{name: digit for digit, name in enumerate(NAMES)}, **{str(digit): digit for digit in range(10)}},
}


def said(caption, of):
    """The one thing that a caption says of a digit, a weight or a tilt; None if nothing."""
    found = {SAYS[of][word] for word in words_of(caption) if word in SAYS[of]}
    assert len(found) <= 1
    return found.pop() if found else None


def test_every_caption_says_its_group_and_nothing_else():
    groups = digit_captions()
    for digit in range(10):
        for weight in range(len(WEIGHTS)):
            for tilt in range(len(TILTS)):
                captions = groups[group_of(*map(torch.tensor, (digit, weight, tilt)))]
                assert len(captions) >= 4
                for caption in captions:
                    assert said(caption, "digit") == digit, caption
                    assert (said(caption, "weight") or 0) == weight, caption
                    assert (said(caption, "tilt") or 0) == tilt, caption
    assert "a bold seven, tilted to the left" in groups[group_of(*map(torch.tensor, (7, BOLD, LEFT)))]
    assert "an eight, leaning right" in groups[group_of(*map(torch.tensor, (8, 0, RIGHT)))]


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_what_captions_say_is_true_of_the_images_measured_anew(digits, part):
    """By the ranks among the training images of the same digit, not by the code that wrote the captions."""
    train, train_labels = digits.tensors("train")
    images, labels = digits.tensors(part)
    images_of_batch, tokens = batch(digits, part, range(len(images)))
    assert torch.equal(images_of_batch, images)
    told = 0
    for caption, image, label in zip(texts(digits, tokens), images, labels.tolist(), strict=True):
        same = train[train_labels == label]
        weight = float((stroke_weight(same) < stroke_weight(image[None])).float().mean())
        lean = float((slant(same) < slant(image[None])).float().mean())
        assert said(caption, "digit") == label
        expected = {THIN: weight <= 0.31, BOLD: weight >= 0.69, None: True}
        assert expected[said(caption, "weight")], (caption, weight)
        tilts = {LEFT: lean <= 0.31, RIGHT: lean >= 0.69, None: True}
        assert tilts[said(caption, "tilt")], (caption, lean)
        told += said(caption, "weight") is not None
    assert 0.2 < told / len(images) < 0.4, "of the 60 % that are thin or bold half are called so"


def test_a_leaning_and_a_thick_bar_are_called_so():
    upright, leaning, thick = (torch.zeros(1, 1, 16, 16) for _ in range(3))
    upright[..., 2:14, 7:9] = 1
    thick[..., 2:14, 5:11] = 1
    for y in range(2, 14):
        leaning[..., y, 13 - y + 1 : 15 - y + 1] = 1
    mix = torch.rand(50, 1, 16, 16) * 0.02
    states = DigitStates(upright + mix, torch.ones(50, dtype=torch.long))
    weights, tilts = states(torch.cat([thick, leaning, leaning.flip(-1)]), torch.ones(3, dtype=torch.long))
    assert weights[0] == BOLD
    assert tilts[1:].tolist() == [RIGHT, LEFT]


def test_captions_are_right_after_an_augmentation_that_turns_images():
    data = CaptionedImageDataModule(rotation=40.0)
    data.setup()
    images, tokens = batch(data, "train", range(len(data.parts["train"])), seed=3)
    labels = data.parts["train"].labels
    _, tilts = data.states(images, labels)
    for caption, tilt in zip(texts(data, tokens), tilts.tolist(), strict=True):
        assert said(caption, "tilt") in (None, tilt)
    assert (tilts != data.states(data.tensors("train")[0], labels)[1]).any()


def test_training_captions_differ_between_epochs_and_follow_from_the_seed(digits):
    first, second = (batch(digits, "train", range(100), seed=seed) for seed in (1, 2))
    assert torch.equal(first[1], batch(digits, "train", range(100), seed=1)[1])
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])
    odd = batch(digits, "train", range(1, 100, 2), seed=1, size=100, rows=slice(1, None, 2))
    assert torch.equal(odd[1], first[1][1::2]), "two devices have the captions of one"


def test_other_captions_do_not_depend_on_the_batch_or_the_seed(digits):
    whole = batch(digits, "test", range(20), seed=5)[1]
    assert torch.equal(whole[7:9], batch(digits, "test", [7, 8], seed=6)[1])
    again = CaptionedImageDataModule(seed=9, batch_size=50)
    assert torch.equal(next(iter_test(again))[1][:20], whole)
    assert torch.equal(digits.captions("test", 20)[0], digits.captions("test", 1000)[int(first_of(digits, 20))])


def iter_test(data):
    return iter(data.batches("test"))


def first_of(data, count):
    """The row of the first image that tensors("test", count) gives."""
    images = data.tensors("test", count)[0]
    return (data.tensors("test")[0] == images[0]).flatten(1).all(1).nonzero()[0]


def test_batches_can_be_handed_to_other_processes(digits):
    dataset = pickle.loads(pickle.dumps(digits.parts["train"]))
    index = BatchIndex(torch.arange(5), 0, slice(None), 5)
    assert torch.equal(dataset.__getitems__(index)[1], digits.parts["train"].__getitems__(index)[1])


def test_a_table_gives_each_caption_of_a_group_its_share():
    table = CaptionTable([["a"], ["b", "c", "d"]], Words(["<pad>", "<sos>", "<eos>", "<unk>", *"abcd"], 2))
    uniform = torch.linspace(0, 1 - 2**-24, 3001)
    found = table(torch.ones(3001, dtype=torch.long), uniform)[:, 1].bincount()
    assert found.tolist()[5:] == pytest.approx([1000] * 3, abs=2)
    assert table(torch.zeros(5, dtype=torch.long), uniform[-5:])[:, 1].tolist() == [4] * 5


def test_a_digit_that_training_lacks_has_nothing_said_of_it():
    states = DigitStates(torch.rand(30, 1, 8, 8), torch.zeros(30, dtype=torch.long))
    weights, tilts = states(torch.rand(9, 1, 8, 8), torch.full((9,), 4))
    assert not weights.any()
    assert not tilts.any()


def test_what_has_no_captions_is_refused():
    with pytest.raises(InputError, match="no dataset 'cifar10': choose one of digits, mnist, folder"):
        CaptionedImageDataModule(dataset="cifar10")
    with pytest.raises(InputError, match=r"no thickness .* static"):
        CaptionedImageDataModule(binarize="dynamic")
