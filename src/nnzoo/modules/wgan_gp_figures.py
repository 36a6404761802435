"""Pictures of adversarial models."""

from typing import Any

from nnzoo.modules.drawing import seeded
from nnzoo.plots.images import image_grid

LINES, STEPS = 4, 10


def adversarial_figures(module: Any, batch: Any) -> dict[str, Any]:
    """Pictures by their names.

    Args:
        module: A :class:`nnzoo.modules.wgan_gp.WGANGP`.
        batch: Held-out samples, at random.
    """
    if not module.is_image:
        return {}
    between = module.interpolate(LINES, STEPS, generator=seeded(range(LINES))).flatten(0, 1)
    return {"interpolation": image_grid(between, "between two samples, on a great circle of the noise", STEPS)}
