"""Diffusion in the tests over all families."""

from nnzoo import DDPM
from support.case import AUGMENTED, Case

TINY = {"channels": 4, "channel_mult": (1,), "attention": (), "timesteps": 21, "steps": 3}


class NoiselessDDPM(DDPM):
    """Diffusion whose loss is deterministic: time and noise follow from the sample."""

    def losses(self, data, labels, source=None):
        times = (data.flatten(1).sum(1).abs() * 10).long() % self.process.steps
        return self._losses(data, labels, times, data.flip(-1))


ddpm = Case(
    noiseless=["--model", "cases.ddpm.NoiselessDDPM", *AUGMENTED],
    quicker={"timesteps": 30, "channels": 8, "steps": 5},
    small=TINY,
    other_values={
        "timesteps": [22, 30],
        "steps": [2, 5],
        "channels": [6, 8],
        "channel_mult": [(1, 2), (2,)],
        "attention": [(8,)],
        "labels": [[3], [1, 2]],
        "num_images": [3, 5],
        "guidance": [3.0],
        "max_nll_evaluations": [50, 90],
    },
)
