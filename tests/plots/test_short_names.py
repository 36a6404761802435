import pytest
import torch

from nnzoo.modules.generative import samples_figure
from nnzoo.plots.classified_images import class_name
from nnzoo.plots.images import short_names
from nnzoo.plots.latent import latent_space
from nnzoo.plots.sequences import tags
from nnzoo.plots.supervised import confusion_matrix

BIRDS = ["northern_flicker_male", "northern_flicker_female", "jay"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["cat", "exactly12let"], ["cat", "exactly12let"]),
        (["a_rather_long_name"], ["a_rath…_name"]),
        (["northern_flicker_male", "northern_flicker_female"], ["northe…_male", "northe…emale"]),
        (["chapter_one_page_one", "chapter_two_page_one"], ["chapter_one_page_one", "chapter_two_page_one"]),
        (["same", "same"], ["same", "same"]),
        ([], []),
    ],
)
def test_long_names_lose_their_middle_but_not_what_tells_them_apart(names, expected):
    assert short_names(names, 12) == expected


def texts(labels):
    return [label.get_text() for label in labels]


def test_pictures_tell_classes_with_long_names_apart():
    shown = short_names(BIRDS)
    assert len(set(shown)) == 3
    axis = confusion_matrix(torch.eye(3), BIRDS).axes[0]
    assert texts(axis.get_yticklabels()) == texts(axis.get_xticklabels()) == shown
    legend = latent_space(torch.rand(9, 2), torch.arange(9) % 3, BIRDS, "").axes[0].get_legend()
    assert texts(legend.get_texts()) == shown
    assert len({class_name(number, BIRDS) for number in range(3)}) == 3
    assert class_name(3, BIRDS) == "3"
    rows = tags(torch.rand(4, 1), torch.rand(4, 3), torch.rand(4, 3), ["x"], BIRDS).axes[1]
    assert len(set(texts(rows.get_yticklabels()))) == 3


def test_samples_of_classes_whose_names_begin_alike_have_a_row_each():
    class Module:
        device = torch.device("cpu")

        def sample(self, count, labels, generator):
            return torch.rand(count, 1, 4, 4)

    figure = samples_figure(Module(), 3, {"classes": BIRDS})
    assert [axis.get_ylabel() for axis in figure.axes] == short_names(BIRDS)
