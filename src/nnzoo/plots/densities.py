"""Points in a plane: samples beside data, in a row of pictures, over a surface."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

GRID = 200
"""Values along each side of a surface."""
SIDE = 384
"""Pixels along each side of a frame of an animation."""


class Frame(NamedTuple):
    """A square part of the plane: from ``low`` to ``high`` along each axis, both (x, y)."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def outside(self, points: NDArray[np.float64]) -> int:
        """How many points (N, 2) do not lie in it; those that are not numbers do not."""
        return int((~((points >= self.low) & (points <= self.high)).all(axis=1)).sum())


def frame_around(points: Tensor, margin: float = 0.1) -> Frame:
    """The smallest square around all finite points (N, 2), widened on each side by a share of its own."""
    finite = array(points)
    finite = finite[np.isfinite(finite).all(axis=1)]
    if not len(finite):
        return Frame(-np.ones(2), np.ones(2))
    low, high = finite.min(axis=0), finite.max(axis=0)
    half = (0.5 + margin) * (float((high - low).max()) or 1.0)
    return Frame((low + high) / 2 - half, (low + high) / 2 + half)


def samples_and_data(samples: Tensor, points: Tensor, title: str) -> Figure:
    """Samples of a model (N, 2) over points of the data (M, 2), in a frame around the data.

    The legend says how many samples lie outside of it.
    """
    figure = Figure(figsize=(6.5, 5.5), dpi=120, layout="constrained")
    axis, frame = figure.subplots(), frame_around(points, margin=0.25)
    scatter(axis, points, "data", "tab:gray")
    scatter(axis, samples, named("samples", samples, frame), "tab:orange")
    show_frame(axis, frame)
    axis.set_title(title)
    axis.legend(markerscale=2, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def point_row(clouds: Mapping[str, Tensor], title: str, frame: Frame | None = None) -> Figure:
    """Several clouds of points (N, 2) in a row, such as the steps of a reverse process, each below its name.

    Args:
        clouds: Points by their names.
        title: Of the whole picture.
        frame: What all pictures show; one around all points if not given. Names say how many points lie outside.
    """
    frame = frame or frame_around(torch.cat([cloud.detach().cpu() for cloud in clouds.values()]))
    figure = Figure(figsize=(2.4 * len(clouds) + 0.8, 3.4), dpi=120, layout="constrained")
    axes = figure.subplots(1, len(clouds), squeeze=False, sharey=True)[0]
    for axis, (name, cloud) in zip(axes, clouds.items(), strict=True):
        scatter(axis, cloud, name, "tab:blue")
        show_frame(axis, frame)
        axis.set_title(named(name, cloud, frame), fontsize="medium")
        axis.label_outer()
    figure.suptitle(title)
    return figure


def point_frames(clouds: Iterable[Tensor], points: Tensor, frame: Frame) -> list[Image.Image]:
    """The frames of an animation: each cloud of points (N, 2), orange, over points of the data (M, 2), grey."""
    data = with_dots(Image.new("RGB", (SIDE, SIDE), "white"), points, frame, "silver")
    return [with_dots(data.copy(), cloud, frame, "darkorange") for cloud in clouds]


def with_dots(picture: Image.Image, points: Tensor, frame: Frame, color: str) -> Image.Image:
    """A picture of a frame, with dots on it where points (N, 2) are; those that are not numbers are nowhere."""
    canvas, positions = ImageDraw.Draw(picture), array(points)
    positions = positions[np.isfinite(positions).all(axis=1)]
    for x, y in (positions - frame.low) / (frame.high - frame.low) * (SIDE - 1):
        canvas.ellipse((x - 1.5, SIDE - 2.5 - y, x + 1.5, SIDE + 0.5 - y), fill=color)
    return picture


def value_surface(
    function: Callable[[Tensor], Tensor], points: Tensor, title: str, label: str, samples: Tensor | None = None
) -> Figure:
    """The values of a function as colours, with points on top, in a frame around the data.

    Args:
        function: From points (N, 2) to values (N,), such as a critic or a log-density; what is not finite stays white.
        points: Of the data (M, 2); the function is asked for values on their device.
        title: Of the picture.
        label: What the values are.
        samples: Of a model, on top of the data.
    """
    figure = Figure(figsize=(7, 5.5), dpi=120, layout="constrained")
    axis, frame = figure.subplots(), frame_around(points, margin=0.25)
    across, up = (torch.linspace(low, high, GRID) for low, high in zip(frame.low, frame.high, strict=True))
    grid = torch.stack(torch.meshgrid(across, up, indexing="xy"), dim=-1).to(points)
    values = array(function(grid.flatten(0, 1)).reshape(GRID, GRID))
    values = np.where(np.isfinite(values), values, np.nan)
    half = (frame.high - frame.low) / (GRID - 1) / 2  # of a pixel, whose middle has the value
    (left, bottom), (right, top) = frame.low - half, frame.high + half
    surface = axis.imshow(values, extent=(left, right, bottom, top), origin="lower", cmap="viridis")
    figure.colorbar(surface, ax=axis, label=label, shrink=0.8)
    scatter(axis, points, "data", "white")
    if samples is not None:
        scatter(axis, samples, named("samples", samples, frame), "tab:red")
    show_frame(axis, frame)
    axis.set_title(title)
    # Outside, as modes may lie in the corners.
    figure.legend(markerscale=2, fontsize="small", loc="outside lower center", ncols=2, facecolor="lightgray")
    return figure


def array(tensor: Tensor) -> NDArray[np.float64]:
    """A tensor as NumPy's."""
    return tensor.detach().cpu().double().numpy()


def named(name: str, points: Tensor, frame: Frame) -> str:
    """A name, with the number of points that are not to be seen."""
    unseen = frame.outside(array(points))
    return f"{name} ({unseen} of {len(points)} outside)" if unseen else name


def scatter(axis: Any, points: Tensor, name: str, color: str) -> None:
    """Draws points (N, 2)."""
    size = max(2, min(20, 6000 / max(1, len(points))))
    axis.scatter(*array(points).T, s=size, alpha=0.6, color=color, label=name, linewidths=0)


def show_frame(axis: Any, frame: Frame) -> None:
    """Shows a frame, with the same unit along both axes."""
    axis.set(xlim=(frame.low[0], frame.high[0]), ylim=(frame.low[1], frame.high[1]), aspect="equal")
    axis.set(xlabel="x", ylabel="y")
