"""Pictures of diffusion models: the way from noise to images, lines between images, guidance, the loss at each time."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from nnzoo.modules.drawing import seeded
from nnzoo.modules.generative import images_and_labels
from nnzoo.plots.densities import frame_around, point_row
from nnzoo.plots.diffusion import loss_at_times
from nnzoo.plots.images import Picture, animation, image_grid, image_rows

ROWS, COLUMNS = 4, 10
POINTS, SHOWN_STEPS = 1000, 6
FRAMES = 30
GUIDANCES = (0.0, 1.0, 2.0, 4.0)


def ddpm_figures(module: Any, batch: Any, facts: Mapping[str, Any]) -> dict[str, Picture]:
    """Pictures by their names.

    Args:
        module: A :class:`nnzoo.modules.ddpm.DDPM`.
        batch: Held-out samples, at random.
        facts: What the datamodule knows.
    """
    data, labels = images_and_labels(batch)
    labels = labels if module.num_conditions else None
    figures: dict[str, Picture] = {"loss_at_times": times_figure(module, data, labels)}
    if not module.is_image:
        clouds, _ = process(module, POINTS)
        steps = {f"step {number}": clouds[number] for number in evenly(len(clouds), SHOWN_STEPS)}
        figures["reverse_process"] = point_row(steps, "from noise to samples", frame_around(data, margin=0.5))
        return figures
    states, seen = process(module, ROWS)
    shown = evenly(len(states), COLUMNS)
    pairs = [torch.stack([each[number] for number in shown], dim=1) for each in (states, seen)]
    strip = torch.stack(pairs, dim=1).flatten(0, 2)  # (samples, these two, steps)
    figures["reverse_process"] = image_grid(
        strip, "from noise to images; below each row what the network sees in it", COLUMNS
    )
    figures["reverse_process_animation"] = animation_of(states)
    if len(data) >= 2 * ROWS:
        ends = data[:ROWS], data[ROWS : 2 * ROWS]
        given = None if labels is None else labels[:ROWS]
        between = module.interpolate(*ends, COLUMNS - 2, given, generator=seeded(range(ROWS)))
        grid = torch.cat([ends[0][:, None], between, ends[1][:, None]], dim=1).flatten(0, 1)
        of_class = "" if given is None else f", of the first one's {module.told}"
        title = f"image | mixed where both are half noise{of_class} | image"
        figures["interpolation"] = image_grid(grid, title, COLUMNS)
    if module.num_conditions and module.hparams["label_dropout"]:
        figures["guidance"] = module.guidance_figure()
    return figures


def process(module: Any, count: int) -> tuple[list[Tensor], list[Tensor]]:
    """The images on the way of the first samples that ``predict`` draws, and those that the network sees in each.

    All are (count, C, H, W) in [0, 1], or points.
    """
    sources = seeded(range(count))
    noise = torch.stack([torch.randn(*module.hparams["in_shape"], generator=source) for source in sources])
    state = noise.to(module.device)
    labels = module.sampled_labels(count, module.asked_of(range(count)))
    steps = list(module.steps_from(state, labels, generator=sources))
    states = [state, *(step.noised for step in steps)]
    seen = [*(step.estimate for step in steps), states[-1]]  # a step's estimate is that of the state before it
    return [module.from_model(each) for each in states], [module.from_model(each) for each in seen]


def evenly(total: int, count: int) -> list[int]:
    """At most ``count`` of the numbers from 0 to total - 1, both among them."""
    count = min(total, count)
    return [number * (total - 1) // max(1, count - 1) for number in range(count)]


def animation_of(states: Sequence[Tensor]) -> list[Image.Image]:
    """The way of some samples as frames, the end shown for longer."""
    frames = [states[number] for number in evenly(len(states), FRAMES)]
    return animation([*frames, *[frames[-1]] * 10], columns=max(1, round(len(frames[0]) ** 0.5)))


def process_animation(module: Any, count: int = 16) -> list[Image.Image]:
    """How the first samples that ``predict`` draws come out of noise."""
    with torch.no_grad():
        return animation_of(process(module, min(count, module.num_drawn))[0])


def guidance_figure(module: Any) -> Figure:
    """The same noise with more and more guidance, a column for each class."""
    shown = module.conditions_of(range(min(module.num_conditions, COLUMNS)))
    rows = {
        f"guidance {scale:g}": module.sample(len(shown), shown, guidance=scale, generator=seeded(range(len(shown))))
        for scale in GUIDANCES
    }
    return image_rows(rows, "a column for each class: without it (0), by the class alone (1), by more than that")


def times_figure(module: Any, data: Tensor, labels: Tensor | None, bins: int = 20) -> Figure:
    """The mean loss of held-out samples at times of all parts of the way."""
    data = data[:256]
    scaled, given = module.to_model((data,) if labels is None else (data, labels[: len(data)]))
    noise = torch.randn(scaled.shape, generator=torch.Generator().manual_seed(0)).to(scaled)
    shares = (torch.arange(bins) + 0.5) / bins
    losses = [float(module.losses_at(scaled, given, share, noise).mean()) for share in shares.tolist()]
    return loss_at_times(shares.tolist(), losses)
