"""Whether drawn digits look as their prompts say."""

from itertools import product
from typing import Any

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_warn
from torch import Tensor

from nnzoo.baselines.base import OWN, Baselines, Scores
from nnzoo.baselines.sample_quality import DRAWN_AT_ONCE, on_levels
from nnzoo.data.images.digit_captions import TILTS, WEIGHTS, digit_captions, group_of
from nnzoo.errors import check_sizes


class PromptQuality(Baselines):
    """Share of images that have the stroke and the tilt that their prompt asks for, measured as the captions were.

    Each digit is drawn thin, bold, tilted to the left, tilted to the right, and with such a stroke and a tilt at once.

    - ``test/attribute_share``: share of images that have all that was asked for.
    - ``baseline/digit_alone/attribute_share``: of images of prompts that ask for the digit alone, what chance gives.

    Args:
        num_images: Images of each prompt.
    """

    needs = ("states", "levels")

    def __init__(self, num_images: int = 5) -> None:
        check_sizes(num_images=num_images)
        self.num_images = num_images

    def scores(self, module: Any, data: Any) -> Scores:
        """The shares; none where captions are not written from what is measured."""
        if data.states is None:
            rank_zero_warn("There is no PromptQuality: captions of a folder say what is not measured.")
            return {}
        asked = torch.tensor([s for s in product(range(10), range(len(WEIGHTS)), range(len(TILTS))) if any(s[1:])])
        asked = asked.repeat_interleave(self.num_images, dim=0)
        alone = asked * torch.tensor([1, 0, 0])
        images, plain = (on_levels(drawn(module, states), data.levels) for states in (asked, alone))
        self.notes = [f"attribute_share: of {len(asked):,} images, {self.num_images} of each prompt"]
        return {
            OWN: {"attribute_share": share(data.states, images, asked)},
            "digit_alone": {"attribute_share": share(data.states, plain, asked)},
        }


def drawn(module: Any, states: Tensor) -> Tensor:
    """Images (N, C, H, W) of the first wording of digits, weights and tilts (N, 3), with a seed of their own."""
    captions, generator = digit_captions(), torch.Generator(module.device).manual_seed(0)
    prompts = [captions[group][0] for group in group_of(*states.T).tolist()]
    starts = range(0, len(prompts), DRAWN_AT_ONCE)
    parts = [prompts[start : start + DRAWN_AT_ONCE] for start in starts]
    return torch.cat([module.sample(len(part), part, generator=generator).float().cpu() for part in parts])


def share(states: Any, images: Tensor, asked: Tensor) -> float:
    """Share of images (N, C, H, W) that have all that is asked (N, 3) of digit, weight and tilt: 0 asks for nothing."""
    found = torch.stack(states(images, asked[:, 0]), dim=1)
    return float(((found == asked[:, 1:]) | (asked[:, 1:] == 0)).all(dim=1).double().mean())
