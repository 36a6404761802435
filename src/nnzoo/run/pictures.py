"""Writing pictures: plots, pixels and animations."""

from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from nnzoo.files import replacing
from nnzoo.plots.images import Picture

FRAME_MS = 100
"""How long a frame of an animation is shown."""


def is_animation(picture: Picture) -> bool:
    """Whether a picture has frames, so that its file is a GIF."""
    return not isinstance(picture, Figure | Image.Image)


def save_picture(path: Path, picture: Picture) -> None:
    """Writes a plot or pixels as PNG, frames as GIF; whole or not at all."""
    with replacing(path) as temporary:
        if isinstance(picture, Figure):
            picture.savefig(temporary, format="png")
        elif isinstance(picture, Image.Image):
            picture.save(temporary, format="PNG")
        else:
            first, *others = picture
            first.save(temporary, format="GIF", save_all=True, append_images=others, duration=FRAME_MS, loop=0)
