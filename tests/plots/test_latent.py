import numpy as np
import torch
from sklearn.decomposition import PCA

from nnzoo.plots.latent import latent_space
from support.drawn import colors_of, legend_colors, points

LABELS = torch.tensor([0, 2, 0, 1, 2, 2])
CLASSES = ["ant", "bee", "cat"]


def test_two_dimensions_are_shown_as_they_are_each_class_in_its_colour():
    codes = torch.randn(6, 2)
    (axis,) = latent_space(codes, LABELS, CLASSES, "codes").axes
    clouds = {cloud.get_label(): np.asarray(cloud.get_offsets()) for cloud in axis.collections}
    assert list(clouds) == CLASSES
    for number, name in enumerate(CLASSES):
        np.testing.assert_allclose(clouds[name], codes[number == LABELS])
    assert legend_colors(axis.get_legend()) == colors_of(axis.collections)
    assert len(set(colors_of(axis.collections).values())) == 3
    assert (axis.get_xlabel(), axis.get_ylabel(), axis.get_title()) == ("latent 1", "latent 2", "codes")


def test_more_dimensions_are_projected_on_the_axes_of_largest_variance():
    codes = torch.randn(50, 4) * torch.tensor([1.0, 5.0, 2.0, 0.1])
    (axis,) = latent_space(codes, torch.zeros(50), [], "").axes
    pca = PCA(2).fit(codes)
    np.testing.assert_allclose(points(axis), pca.transform(codes), rtol=1e-4, atol=1e-4)
    first, second = pca.explained_variance_ratio_
    assert axis.get_xlabel() == f"principal component 1 ({100 * first:.0f} %)"
    assert axis.get_ylabel() == f"principal component 2 ({100 * second:.0f} %)"
    assert first > second


def test_one_dimension_lies_on_a_line_and_labels_without_names_have_no_legend():
    codes = torch.randn(6, 1)
    (axis,) = latent_space(codes, LABELS, [], "").axes
    shown = np.concatenate([np.asarray(cloud.get_offsets()) for cloud in axis.collections])
    np.testing.assert_allclose(np.sort(shown[:, 0]), np.sort(codes[:, 0]))
    assert not shown[:, 1].any()
    assert axis.get_legend() is None
