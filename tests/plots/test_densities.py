"""Points in a plane: what is drawn, in which frame and under which names."""

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from nnzoo.plots.densities import GRID, Frame, frame_around, point_row, samples_and_data, value_surface
from support.drawn import colors_of, legend_colors, points

DATA = torch.tensor([[-1.0, 0.0], [1.0, 0.5], [0.0, -0.5]])


def shown(axis):
    """The clouds of an axis by their names."""
    return {cloud.get_label(): np.asarray(cloud.get_offsets()) for cloud in axis.collections}


def limits(axis):
    return [*axis.get_xlim(), *axis.get_ylim()]


def test_a_frame_is_the_square_around_all_finite_points():
    frame = frame_around(torch.cat([DATA, torch.tensor([[float("nan"), 9.0], [float("inf"), 0.0]])]), margin=0.25)
    np.testing.assert_allclose(frame.low, [-1.5, -1.5])
    np.testing.assert_allclose(frame.high, [1.5, 1.5])
    shifted = frame_around(DATA + torch.tensor([10.0, 20.0]), margin=0)
    np.testing.assert_allclose([shifted.low, shifted.high], [[9, 19], [11, 21]])


def test_a_frame_around_one_point_or_none_is_a_square_too():
    for cloud in (torch.zeros(4, 2), torch.full((4, 2), float("nan")), torch.zeros(0, 2)):
        frame = frame_around(cloud)
        assert (frame.high > frame.low).all()
        assert np.isfinite([frame.low, frame.high]).all()


def test_samples_lie_over_the_data_on_the_same_axes():
    samples = torch.tensor([[0.5, 0.25], [-0.5, 0.0]], requires_grad=True)
    figure = samples_and_data(samples, DATA, "samples")
    (axis,) = figure.axes
    clouds = shown(axis)
    assert list(clouds) == ["data", "samples"], "samples on top"
    np.testing.assert_allclose(clouds["data"], DATA)
    np.testing.assert_allclose(clouds["samples"], samples.detach())
    assert legend_colors(axis.get_legend()) == colors_of(axis.collections)
    assert len(set(colors_of(axis.collections).values())) == 2
    assert axis.get_aspect() == 1
    assert limits(axis) == [-1.5, 1.5, -1.5, 1.5]
    assert (axis.get_xlabel(), axis.get_ylabel(), axis.get_title()) == ("x", "y", "samples")


def test_samples_outside_of_the_frame_are_counted_and_do_not_move_it():
    samples = torch.tensor([[0.0, 0.0], [99.0, 0.0], [0.0, -99.0], [float("nan"), 0.0]])
    (axis,) = samples_and_data(samples, DATA, "").axes
    assert list(shown(axis)) == ["data", "samples (3 of 4 outside)"]
    assert limits(axis) == [-1.5, 1.5, -1.5, 1.5]


def test_a_row_shows_each_cloud_below_its_name_in_one_frame():
    clouds = {"t = 1": 2 * DATA, "t = 0.5": DATA, "t = 0": DATA / 2}
    figure = point_row(clouds, "reverse process")
    assert figure.get_suptitle() == "reverse process"
    assert [axis.get_title() for axis in figure.axes] == list(clouds)
    for axis, cloud in zip(figure.axes, clouds.values(), strict=True):
        np.testing.assert_allclose(points(axis), cloud)
        np.testing.assert_allclose(limits(axis), [-2.4, 2.4, -2.4, 2.4])
        assert axis.get_aspect() == 1


def test_a_row_in_a_frame_of_its_own_counts_what_lies_outside():
    figure = point_row({"first": DATA, "second": 9 * DATA}, "", Frame(np.array([-2, -2]), np.array([2, 2])))
    assert [axis.get_title() for axis in figure.axes] == ["first", "second (3 of 3 outside)"]
    assert [limits(axis) for axis in figure.axes] == [[-2, 2, -2, 2]] * 2


def test_a_surface_has_the_values_of_its_function_where_they_are_drawn():
    def slope(at):
        return at[:, 0] + 10 * at[:, 1]

    figure = value_surface(slope, DATA, "critic", "value", DATA / 2)
    axis, bar = figure.axes
    (image,) = axis.images
    values = np.asarray(image.get_array())
    assert values.shape == (GRID, GRID)
    left, right, bottom, top = image.get_extent()
    step = (right - left) / GRID
    assert image.origin == "lower"
    for row, column in ((0, 0), (10, 150), (199, 3)):
        x, y = left + (column + 0.5) * step, bottom + (row + 0.5) * step
        np.testing.assert_allclose(values[row, column], x + 10 * y, atol=1e-4)
    np.testing.assert_allclose([left + step / 2, right - step / 2], [-1.5, 1.5], atol=1e-9)
    assert top - bottom == right - left
    assert bar.get_ylabel() == "value"
    clouds = shown(axis)
    np.testing.assert_allclose(clouds["data"], DATA)
    np.testing.assert_allclose(clouds["samples"], DATA / 2)
    assert axis.get_title() == "critic"


def test_the_legend_of_a_surface_covers_none_of_it():
    figure = value_surface(lambda at: at[:, 0], DATA, "critic", "value", DATA / 2)
    FigureCanvasAgg(figure).draw()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["data", "samples"]
    assert not legend.get_window_extent().overlaps(figure.axes[0].get_tightbbox())


def test_values_that_are_not_finite_stay_white_and_spoil_no_colours():
    def half(at):
        return torch.where(at[:, 0] > 0, at[:, 1], -torch.inf)

    axis, _ = value_surface(half, DATA, "", "").axes
    (image,) = axis.images
    values = np.ma.filled(image.get_array(), np.nan)
    assert np.isnan(values[:, : GRID // 2]).all()
    assert np.isfinite(values[:, GRID // 2 :]).all()
    assert np.isfinite(image.get_clim()).all()
    assert list(shown(axis)) == ["data"]
