"""Pictures of adversarial models."""

from typing import Any

import torch

from nnzoo.modules.drawing import seeded
from nnzoo.modules.generative import images_and_labels
from nnzoo.plots.densities import value_surface
from nnzoo.plots.images import image_grid

LINES, STEPS = 4, 10


def adversarial_figures(module: Any, batch: Any) -> dict[str, Any]:
    """Pictures by their names.

    Args:
        module: A :class:`nnzoo.modules.wgan_gp.WGANGP`.
        batch: Held-out samples, at random.
    """
    if not module.is_image:
        points = images_and_labels(batch)[0]
        samples = module.sample(len(points), generator=torch.Generator(module.device).manual_seed(0))
        if module.num_conditions:
            return {}  # a surface for each class
        return {"critic": value_surface(module.critic, points, "the critic's scores", "score", samples)}
    between = module.interpolate(LINES, STEPS, generator=seeded(range(LINES))).flatten(0, 1)
    return {"interpolation": image_grid(between, "between two samples, on a great circle of the noise", STEPS)}
