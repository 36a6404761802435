import pytest
import torch

from nnzoo.nets.views import mean_over_views, views_of

IMAGE = torch.arange(1.0, 7).reshape(1, 1, 2, 3)


def test_without_views_there_is_the_image_alone():
    (view,) = views_of(IMAGE, "none")
    assert torch.equal(view, IMAGE)


def test_a_flip_mirrors_left_and_right():
    first, second = views_of(IMAGE, "flip")
    assert torch.equal(first, IMAGE)
    assert second[0, 0].tolist() == [[3, 2, 1], [6, 5, 4]]


def test_shifts_go_one_pixel_each_way_with_black_entering():
    views = [view[0, 0].tolist() for view in views_of(IMAGE, "shift")]
    assert views[0] == [[1, 2, 3], [4, 5, 6]]
    down, up, right, left = (
        [[0, 0, 0], [1, 2, 3]],
        [[4, 5, 6], [0, 0, 0]],
        [[0, 1, 2], [0, 4, 5]],
        [[2, 3, 0], [5, 6, 0]],
    )
    assert sorted(views[1:]) == sorted([down, up, right, left])


def test_both_are_five_views_of_the_image_and_five_of_its_mirror_image():
    views = views_of(IMAGE, "flip_shift")
    assert len({tuple(view.flatten().tolist()) for view in views}) == 10
    expected = [*views_of(IMAGE, "shift"), *views_of(IMAGE.flip(-1), "shift")]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(views, expected, strict=True))


@pytest.mark.parametrize("views", ["none", "flip", "shift", "flip_shift"])
def test_probabilities_are_averaged_over_the_views(views):
    weights = torch.randn(12, 3)
    images = torch.rand(4, 1, 3, 4)

    def classify(batch):
        return (batch.flatten(1) @ weights).softmax(1)

    expected = sum(classify(view) for view in views_of(images, views)) / len(views_of(images, views))
    torch.testing.assert_close(mean_over_views(classify, images, views), expected)
