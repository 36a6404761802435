"""Pictures of adversarial models."""

import math
from typing import Any

import torch
from torch import Tensor

from nnzoo.modules.drawing import seeded
from nnzoo.modules.generative import images_and_labels
from nnzoo.modules.sample_history import same_noise, unpacked
from nnzoo.plots.densities import frame_around, point_frames, point_row, value_surface
from nnzoo.plots.images import Picture, animation, image_grid, image_rows

LINES, STEPS = 4, 10
WATCHED_IMAGES, WATCHED_POINTS = 16, 500
"""Samples at most that are drawn again and again while a model is trained."""
WATCHED_VALUES = 2**16
"""Values of them at most, but for a single image: a checkpoint holds dozens of frames."""
ROWS, CLOUDS = 8, 5
"""Frames of which a still picture shows samples: rows of images, or clouds of points."""


def adversarial_figures(module: Any, batch: Any) -> dict[str, Picture]:
    """Pictures by their names.

    Args:
        module: A :class:`nnzoo.modules.wgan_gp.WGANGP`.
        batch: Held-out samples, at random.
    """
    if module.is_image:
        between = module.interpolate(LINES, STEPS, generator=seeded(range(LINES))).flatten(0, 1)
        title = "between two samples, on a great circle of the noise"
        return {"interpolation": image_grid(between, title, STEPS), **progress_figures(module)}
    points = images_and_labels(batch)[0]
    figures = progress_figures(module, points)
    if not module.num_conditions:  # else there is a surface for each class
        samples = module.sample(len(points), generator=torch.Generator(module.device).manual_seed(0))
        figures["critic"] = value_surface(module.critic, points, "the critic's scores", "score", samples)
    return figures


def watched_samples(module: Any) -> Tensor:
    """The samples that are watched over training: of the same noise each time."""
    most = WATCHED_IMAGES if module.is_image else WATCHED_POINTS
    count = max(1, min(most, WATCHED_VALUES // math.prod(module.hparams["in_shape"])))
    return module.sample(count, generator=same_noise(count))


def progress_figures(module: Any, points: Tensor | None = None) -> dict[str, Picture]:
    """The watched samples over training, the last ones those of the weights as they are: a picture and an animation.

    Args:
        module: A module with a ``history``.
        points: Points of the data, to draw behind the animation's.
    """
    if not module.history.frames:
        return {}  # nothing was validated
    frames = [*map(unpacked, module.history.frames), watched_samples(module).cpu()]
    names = [*(f"{batches:,} batches" for batches in module.history.batches), "now"]
    shown = torch.linspace(0, len(frames) - 1, ROWS if points is None else CLOUDS).round().int().unique().tolist()
    still = {names[number]: frames[number] for number in shown}
    title = "samples of the same noise over training"
    lasting = [*frames, *[frames[-1]] * 10]  # the end is shown for longer
    if points is None:
        rows = {name: images[:STEPS] for name, images in still.items()}
        columns = math.ceil(math.sqrt(len(frames[0])))
        return {"training": image_rows(rows, title), "training_animation": animation(lasting, columns)}
    frame = frame_around(points, margin=0.25)
    return {"training": point_row(still, title, frame), "training_animation": point_frames(lasting, points, frame)}
