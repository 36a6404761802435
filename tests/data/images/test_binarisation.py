import pytest
import torch

from nnzoo.data.images.module import ImageDataset
from nnzoo.data.sampler import BatchIndex
from support.image_data import PARTS, batches, images, prepared, rows

pytestmark = pytest.mark.usefixtures("one_thread")


def test_dynamic_binarisation_draws_each_pixel_with_its_grey_value_as_probability():
    levels = torch.arange(17, dtype=torch.uint8).repeat(4).reshape(1, 1, 4, 17)
    dataset = ImageDataset(levels, torch.zeros(1), levels=17, binarize=True)
    draws = torch.cat(
        [dataset.__getitems__(BatchIndex(torch.tensor([0]), seed, slice(None), 1))[0] for seed in range(3000)]
    )
    assert draws.unique().tolist() == [0, 1]
    grey = levels[0] / 16
    error = (draws.mean(0) - grey).abs()
    assert (error <= 5 * (grey * (1 - grey) / len(draws)).sqrt()).all()
    twice = (draws[1:] * draws[:-1]).mean(0)
    assert ((twice - grey.square()).abs() < 0.06).all(), "draws of different batches are not independent"


@pytest.mark.parametrize(("binarize", "constant"), [("none", True), ("static", True), ("dynamic", False)])
def test_only_dynamic_binarisation_changes_the_training_images_between_epochs(binarize, constant):
    module = prepared(binarize=binarize, batch_size=419)  # 1257 images are three full batches
    first, second = (
        rows(torch.cat([pixels for pixels, _ in loaded]), torch.cat([labels for _, labels in loaded]))
        for loaded in (batches(module, epoch=0), batches(module, epoch=1))
    )
    assert sum(first.values()) == sum(second.values()) == 1257
    assert (first == second) is constant


@pytest.mark.parametrize("part", PARTS)
def test_static_binarisation_draws_with_the_grey_values_as_probabilities(part):
    grey, drawn = prepared().tensors(part)[0], prepared(binarize="static").tensors(part)[0]
    assert drawn.unique().tolist() == [0, 1]
    assert (drawn[grey == 0] == 0).all()
    assert (drawn[grey == 1] == 1).all()
    for level in range(1, 16):
        mask = grey * 16 == level
        assert abs(drawn[mask].mean() - level / 16) < 5 * (0.25 / mask.sum()).sqrt()


@pytest.mark.parametrize("binarize", ["dynamic", "static"])
@pytest.mark.parametrize("part", ["val", "test"])
def test_evaluation_images_are_binarised_once_for_all_batch_sizes_seeds_and_epochs(binarize, part):
    module = prepared(binarize=binarize, batch_size=128)
    once = images(batches(module, part))
    assert once.unique().tolist() == [0, 1]
    assert torch.equal(images(batches(module, part, epoch=5)), once)
    assert torch.equal(images(batches(prepared(binarize=binarize, batch_size=17, seed=3), part)), once)
