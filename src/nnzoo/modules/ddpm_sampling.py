"""How a trained diffusion model is used: samples, what lies between them, and what noise leaves of an image."""

import math
import sys
import time
from collections.abc import Iterator
from typing import Any, get_args

import torch
from lightning.pytorch.trainer.states import TrainerStatus
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor, nn
from tqdm import tqdm

from nnzoo.errors import InputError, check_sizes
from nnzoo.modules.drawing import DRAWN_AT_ONCE, DrawingModule, Labels
from nnzoo.modules.evaluating import in_evaluation
from nnzoo.nets.diffusion import Denoiser, Diffusion
from nnzoo.nets.flow_matching import FlowMatching, Solver
from nnzoo.nets.noise import Source, normal
from nnzoo.nets.samplers import SamplerName, Step, denoised, guided, slerp

FLOW_STEPS = 50
"""Steps of a flow, where none are given."""

MUCH = 2**32
"""Evaluations of the network times its parameters that may take a CPU a minute: before more they are timed."""

LONG_DRAWING = 60.0
"""Seconds of drawing of which a user is told before."""

TIMED_ON_CPU = 4
"""Samples by which drawing is timed."""

BAR_AFTER = 2.0
"""Seconds of drawing after which a terminal shows how far it is."""


class DiffusionSampling(DrawingModule):
    """What a network that takes noise away is good for; :class:`nnzoo.modules.ddpm.DDPM` trains one.

    Args:
        shared: What :class:`nnzoo.modules.drawing.DrawingModule` takes.
    """

    process: Diffusion | FlowMatching
    net: nn.Module

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)

    def denoiser(self, labels: Tensor | None, guidance: float = 1.0) -> Denoiser:
        """The network as samplers take it, for samples of some classes, with classifier-free guidance."""

        def denoise(noised: Tensor, times: Tensor) -> Tensor:
            noised, times = noised.to(self.dtype), self.process.network_time(times)
            if labels is None or guidance == 1:
                return self.net(noised, times, labels)
            every = torch.cat([labels, self.no_conditions(labels)])
            both = self.net(noised.repeat(2, *[1] * (noised.dim() - 1)), times.repeat(2), every)
            conditional, unconditional = both.chunk(2)
            channels = noised.shape[1]
            mean = guided(conditional[:, :channels], unconditional[:, :channels], guidance)
            return torch.cat([mean, conditional[:, channels:]], dim=1)  # variances are those of the class

        return denoise

    def steps_from(
        self,
        noised: Tensor,
        labels: Tensor | None = None,
        *,
        steps: int | None = None,
        sampler: SamplerName | Solver | None = None,
        guidance: float | None = None,
        eta: float | None = None,
        generator: Source = None,
        start: float | None = None,
    ) -> Iterator[Step]:
        """The states on the way from noise to data, in the model's scale; those of a sampler of this model.

        Args:
            noised: Where to start (B, ...).
            labels: Classes (B,), if the model is conditional.
            steps: Of the sampler; the module's own if not given, as all that follows, or the fewer that are left.
            sampler: See the class; of a flow its solver.
            guidance: See the class.
            eta: See the class.
            generator: Source of the noise that is added on the way.
            start: The time of ``noised``, 0 to T - 1 of the chain or 0 to 1 of the flow; that of pure noise if None.
        """
        hparams = self.hparams
        flows = isinstance(self.process, FlowMatching)
        chosen: Any = hparams["solver" if flows else "sampler"] if sampler is None else sampler
        if chosen not in (possible := get_args(Solver if flows else SamplerName)):
            raise InputError(f"There is no sampler {chosen} of {hparams['objective']}: take {' or '.join(possible)}.")
        if eta and chosen != "ddim":
            raise InputError(f"eta does nothing with {chosen}: take the sampler ddim, or leave it out.")
        guidance = hparams["guidance"] if guidance is None else guidance
        self.check_guidance(guidance)
        denoise, steps = self.denoiser(labels, guidance), self.num_steps(start, steps)
        if isinstance(self.process, FlowMatching):
            return self.process.flow(denoise, noised, chosen, steps, start or 0.0)
        eta = hparams["eta"] if eta is None else eta
        first = None if start is None else int(start)
        return denoised(self.process, denoise, noised, chosen, steps, eta, generator, self.is_image, first)

    @in_evaluation
    def sample(self, num_samples: int, labels: Labels = None, *, generator: Source = None, **how: Any) -> Tensor:
        """Samples (num_samples, *in_shape): images in [0, 1], or points.

        Args:
            num_samples: How many.
            labels: Their classes, a tensor (num_samples,) or a list, if the model is conditional; all in turn if not
                given.
            generator: Source of the noise: on the model's device, or one on the CPU for each sample.
            how: steps, sampler, guidance and eta, see :meth:`steps_from`; the module's own if not given.
        """
        labels = self.sampled_labels(num_samples, labels)
        if not self._is_driven:  # predict tells of all batches
            self.tell_if_long(num_samples, **how)
        like = torch.empty(0, device=self.device)
        state = normal((num_samples, *self.hparams["in_shape"]), like, generator)
        return self._from(state, None, labels, generator, **how)

    @in_evaluation
    def denoise_from(
        self, data: Tensor, time: float, labels: Labels = None, *, generator: Source = None, **how: Any
    ) -> Tensor:
        """Noises data up to a time and takes the noise away again: other data that share what the noise has left.

        Args:
            data: Images (B, C, H, W) in [0, 1], or points.
            time: 0 to T - 1 of the chain, or 0 (noise) to 1 (data) of the flow.
            labels: Classes (B,), if the model is conditional.
            generator: As for :meth:`sample`.
            how: As for :meth:`sample`.
        """
        labels = self.sampled_labels(len(data), labels)
        times = self.times_of(len(data), time)
        if not self._is_driven:
            self.tell_if_long(len(data), time, **how)
        noised = self.process.noised(self.scaled(data), times, normal(data.shape, data, generator))
        return self._from(noised, time, labels, generator, **how)

    @in_evaluation
    def interpolate(
        self,
        first: Tensor,
        second: Tensor,
        steps: int = 8,
        labels: Labels = None,
        *,
        time: float | None = None,
        generator: Source = None,
        **how: Any,
    ) -> Tensor:
        """Images between two batches (B, steps, C, H, W): mixed where both are noised up to a time, and denoised.

        As in the paper, with the same noise along a line; later times leave less of the two images.

        Args:
            first: Images (B, C, H, W) in [0, 1], or points.
            second: As ``first``.
            steps: Images on each line, both ends among them.
            labels: Classes (B,), if the model is conditional.
            time: 0 to T - 1 of the chain, or 0 (noise) to 1 (data) of the flow; half of it if None.
            generator: As for :meth:`sample`.
            how: As for :meth:`sample`, but steps.
        """
        check_sizes(steps=steps)
        labels = self.sampled_labels(len(first), labels)
        time = self.middle if time is None else time
        times = self.times_of(len(first), time)
        if not self._is_driven:
            self.tell_if_long(steps * len(first), time, **how)
        noise = normal(first.shape, first, generator)
        start, end = (self.process.noised(self.scaled(data), times, noise) for data in (first, second))
        lines = [torch.lerp(start, end, share) for share in torch.linspace(0, 1, steps).tolist()]
        return torch.stack([self._from(line, time, labels, generator, **how) for line in lines], dim=1)

    @in_evaluation
    def interpolate_noise(
        self, num_lines: int, steps: int = 8, labels: Labels = None, *, generator: Source = None, **how: Any
    ) -> Tensor:
        """Samples (num_lines, steps, *in_shape) of noise on great circles, whose spread is that of noise everywhere.

        Neighbours resemble each other with samplers that add no noise, such as ddim.

        Args:
            num_lines: Lines between two samples.
            steps: Samples on each.
            labels: Their classes (num_lines,), if the model is conditional.
            generator: As for :meth:`sample`.
            how: As for :meth:`sample`, but steps.
        """
        check_sizes(num_lines=num_lines, steps=steps)
        labels = self.sampled_labels(num_lines, labels)
        if not self._is_driven:
            self.tell_if_long(steps * num_lines, **how)
        like, shape = torch.empty(0, device=self.device), (num_lines, *self.hparams["in_shape"])
        start, end = (normal(shape, like, generator) for _ in range(2))
        lines = slerp(start, end, torch.linspace(0, 1, steps))
        return torch.stack([self._from(line, None, labels, generator, **how) for line in lines.unbind(1)], dim=1)

    def check_guidance(self, scale: float) -> None:
        """Raises InputError if the model cannot be guided by that much."""
        if not 0 <= scale < math.inf:
            raise InputError(f"guidance must not be negative, got {scale}: 1 is none.")
        if scale != 1 and not self.num_conditions:
            raise InputError("guidance is for models trained with classes (--model.conditional): leave it out.")
        if scale != 1 and not self.hparams["label_dropout"]:
            raise InputError(
                "guidance needs a network that knows data without their class, too: train one with "
                "--model.label_dropout 0.1, or set guidance to 1."
            )

    def times_of(self, count: int, time: float) -> Tensor:
        """A time for each of some samples (count,); raises InputError if the process does not have it."""
        if isinstance(self.process, FlowMatching):
            if not 0 <= time < 1:
                raise InputError(f"A flow goes from time 0 (noise) to below 1 (data), got {time}.")
            return torch.full((count,), float(time), device=self.device)
        if time not in range(self.process.steps):
            raise InputError(
                f"The times of the chain are whole numbers from 0 to {self.process.steps - 1}, got {time}."
            )
        return torch.full((count,), int(time), device=self.device)

    def num_steps(self, start: float | None = None, steps: int | None = None, **_: Any) -> int:
        """Steps of a sampler from a time on; by the module's own settings where none are given."""
        if steps is not None:
            return steps
        if isinstance(self.process, FlowMatching):
            return self.hparams["steps"] or FLOW_STEPS
        left = self.process.steps if start is None else int(start) + 1
        return min(self.hparams["steps"] or left, left)

    def evaluations(self, start: float | None = None, **how: Any) -> int:
        """How often a sample asks the network; ``how`` as for :meth:`sample`."""
        heun = isinstance(self.process, FlowMatching) and (how.get("sampler") or self.hparams["solver"]) == "heun"
        scale = self.hparams["guidance"] if how.get("guidance") is None else how["guidance"]
        twice = bool(self.num_conditions) and scale != 1
        return self.num_steps(start, **how) * (2 if heun else 1) * (2 if twice else 1)

    def on_predict_start(self) -> None:
        """Says how long drawing takes, where that is long."""
        self.tell_if_long(self.num_drawn)

    @torch.no_grad()
    def tell_if_long(self, num_samples: int, start: float | None = None, **how: Any) -> None:
        """Says how long drawing takes, where a large network is asked often and this device is not quick.

        Args:
            num_samples: How many are drawn.
            start: The time they are drawn from; pure noise if None.
            how: As for :meth:`sample`.
        """
        evaluations = self.evaluations(start, **how)
        if num_samples * evaluations * sum(parameter.numel() for parameter in self.net.parameters()) <= MUCH:
            return
        # A CPU needs as long for each sample; other devices are filled only by all of them.
        count = min(num_samples, TIMED_ON_CPU if self.device.type == "cpu" else DRAWN_AT_ONCE)
        labels = self.sampled_labels(count, None)
        noised = torch.zeros(count, *self.hparams["in_shape"], device=self.device)
        for _ in range(2):  # the first call of a network takes longer
            started = time.monotonic()
            output = self.denoiser(labels)(noised, torch.zeros(count, device=self.device))
            float(output.sum())  # a GPU is waited for
        seconds = (time.monotonic() - started) * evaluations * num_samples / count
        if seconds >= LONG_DRAWING:
            flows = isinstance(self.process, FlowMatching)
            flags = "--model.steps 20" + ("" if flows else " --model.sampler dpm_solver")
            arguments = "steps=20" + ("" if flows else ', sampler="dpm_solver"')
            rank_zero_info(
                f"Drawing {num_samples:,} samples asks the network {evaluations:,} times for each, about "
                f"{round(seconds / 60):,} min here: {flags if self._is_driven else arguments} is quicker."
            )

    @property
    def _is_driven(self) -> bool:
        """Whether a Trainer is at work, rather than a user's own program."""
        return self._trainer is not None and self._trainer.state.status == TrainerStatus.RUNNING

    @property
    def middle(self) -> float:
        """The time halfway between data and noise."""
        return 0.5 if isinstance(self.process, FlowMatching) else self.process.steps // 2

    def _from(self, state: Tensor, start: float | None, labels: Tensor | None, source: Source, **how: Any) -> Tensor:
        steps = self.steps_from(state, labels, generator=source, start=start, **how)
        if sys.stderr.isatty():
            steps = tqdm(steps, "sampling", self.num_steps(start, **how), leave=False, delay=BAR_AFTER)
        for step in steps:
            state = step.noised
        return self.from_model(state)
