"""Text-conditional diffusion in the tests over all families."""

from pathlib import Path

from nnzoo import TextDDPM
from support.case import AUGMENTED, Case
from support.image_files import noise, save

QUIETER = ["--model.dropout", "0", "--model.lr", "0.0005"]


class NoiselessTextDDPM(TextDDPM):
    """Diffusion whose loss is deterministic: time and noise follow from the sample."""

    def losses(self, data, labels, source=None):
        times = (data.flatten(1).sum(1).abs() * 10).long() % self.process.steps
        return self._losses(data, labels, times, data.flip(-1))


def write_captioned_images():
    """captioned_images, 40 images of two kinds with a table of captions."""
    rows = []
    for number in range(40):
        kind = ("dark", "bright")[number % 2]
        save(Path(f"captioned_images/{number}.png"), noise(20, 20, 3, seed=number) // 2 + 127 * (number % 2))
        rows.append(f'{number}.png,"a {kind} square, photographed"\n')
    Path("captioned_images/metadata.csv").write_text("file_name,text\n" + "".join(rows))


ddpm_text = Case(
    # The encoder's first gradients are rounding errors, as cross-attention begins at 0; Adam makes steps of them.
    noiseless=[*QUIETER, "--model", "cases.ddpm_text.NoiselessTextDDPM", *AUGMENTED],
    quicker={"timesteps": 30, "channels": 8, "steps": 3},
    small={"channels": 4, "channel_mult": (1,), "attention": (8,), "timesteps": 21, "steps": 3, "text_width": 8},
    other_values={
        "timesteps": [22, 30],
        "steps": [2, 5],
        "channels": [6, 8],
        "channel_mult": [(1, 2), (2,)],
        "attention": [(4,), ()],
        "num_images": [3, 5],
        "guidance": [3.0],
        "max_nll_evaluations": [50, 90],
        "prompt": ["a bold seven", ("three", "a thin 2")],
        "text_width": [16, 4],
        "text_heads": [2, 1],
    },
    files=write_captioned_images,
)
