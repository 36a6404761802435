"""Shares of images that look as their prompts say, of models whose share is known."""

from itertools import product

import pytest
import torch

from nnzoo import CaptionedImageDataModule, PromptQuality, SampleQuality
from nnzoo.baselines.base import OWN
from nnzoo.baselines.prompts import share
from nnzoo.data.images.digit_captions import digit_captions

pytestmark = pytest.mark.filterwarnings("ignore:.*")


@pytest.fixture(scope="module")
def data():
    data = CaptionedImageDataModule()
    data.setup()
    return data


class Obeying:
    """Gives training images that are as the prompt says, or with ``deaf`` any of the digit."""

    device, num_conditions = torch.device("cpu"), 1

    def __init__(self, data, deaf=False):
        self.deaf, (self.images, self.labels) = deaf, data.tensors("train")
        self.states = torch.stack([self.labels, *data.states(self.images, self.labels)], dim=1)
        known = list(product(range(10), range(3), range(3)))
        self.asked = {text: state for state, group in zip(known, digit_captions(), strict=True) for text in group}
        self.seen = []

    def sample(self, num_samples, prompts, generator):
        assert num_samples == len(prompts)
        self.seen += prompts
        return torch.stack([self.image(torch.tensor(self.asked[prompt]), generator) for prompt in prompts])

    def image(self, asked, generator):
        fits = (self.states == asked) | (asked == 0)
        fits[:, 0] = self.states[:, 0] == asked[0]
        rows = (fits[:, 0] if self.deaf else fits.all(1)).nonzero()[:, 0]
        return self.images[rows[torch.randint(len(rows), (), generator=generator)]]


def test_who_obeys_has_all_and_who_does_not_has_what_chance_gives(data):
    obeying, deaf = Obeying(data), Obeying(data, deaf=True)
    scores = PromptQuality(num_images=20).scores(obeying, data)
    assert scores[OWN] == {"attribute_share": 1.0}
    assert len(set(obeying.seen)) == 10 * (8 + 1), "each digit alone and with 8 combinations"
    chance = PromptQuality(num_images=20).scores(deaf, data)
    # Each of two weights and of two tilts is that of 30 %, and both are about independent.
    expected = (4 * 0.3 + 4 * 0.3**2) / 8
    assert chance[OWN]["attribute_share"] == pytest.approx(expected, abs=0.03)
    assert scores["digit_alone"]["attribute_share"] == pytest.approx(expected, abs=0.03)


def test_an_image_counts_if_it_has_all_that_was_asked(data):
    class States:
        def __call__(self, images, labels):
            return torch.tensor([1, 1, 2, 0]), torch.tensor([3, 2, 3, 3])

    asked = torch.tensor([[5, 1, 3], [5, 1, 3], [5, 0, 3], [5, 1, 0]])
    assert share(States(), torch.zeros(4, 1, 8, 8), asked) == 0.5


def test_captions_of_a_folder_have_no_such_share(data):
    class Folder:
        states, levels = None, 256

    assert PromptQuality().scores(None, Folder()) == {}


def test_sample_quality_asks_for_the_captions_of_the_very_test_images(data):
    class Known:
        device, num_conditions = torch.device("cpu"), 1
        seen = None

        def sample(self, num_samples, captions, generator):
            self.seen = captions
            return torch.zeros(num_samples, 1, 8, 8)

    module = Known()
    SampleQuality(max_samples=50).scores(module, data)
    labels = data.tensors("test", 50)[1]
    for tokens, label in zip(module.seen.tolist(), labels.tolist(), strict=True):
        words = {data.vocabulary[number] for number in tokens}
        names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
        assert {str(label), names[label]} & words
