"""Denoising diffusion, and flow matching by a flag."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.metrics.means import StageMeans
from nnzoo.modules.checks import check_precision
from nnzoo.modules.ddpm_figures import ddpm_figures, guidance_figure, process_animation
from nnzoo.modules.ddpm_sampling import DiffusionSampling
from nnzoo.modules.evaluating import in_evaluation
from nnzoo.nets.ddpm import MLPDenoiser
from nnzoo.nets.diffusion import Diffusion, Prediction, Variance, Weighting, spread
from nnzoo.nets.flow_matching import FlowMatching, Solver, TimeLaw
from nnzoo.nets.noise import Source, normal, uniform
from nnzoo.nets.noise_schedule import ScheduleName
from nnzoo.nets.samplers import SamplerName
from nnzoo.nets.unet import UNet
from nnzoo.plots.images import Picture

Objective = Literal["diffusion", "flow_matching"]

NLL_STEPS = 40
"""Steps along a flow's path back, of four network evaluations each."""


class DDPM(DiffusionSampling):
    """A denoising diffusion model (Ho et al. 2020, arXiv:2006.11239) of images in [0, 1], or of points.

    A network learns to take noise away that was added at a random time, by the mean squared error of what it predicts,
    averaged over dimensions and the batch. Samples begin as noise. With ``objective`` flow_matching it learns the
    velocity of straight paths from noise to data instead (arXiv:2210.02747). The test adds a bound on the negative
    log-likelihood, in nats and bits per dimension, with all its terms; for flow matching the likelihood of the flow.

    To use another network, override :meth:`build_net`.

    Args:
        objective: diffusion | flow_matching.
        timesteps: T, the steps of the chain of noise.
        schedule: linear | cosine, see :func:`nnzoo.nets.noise_schedule.noise_schedule`.
        prediction: eps | x0 | v, see :class:`nnzoo.nets.diffusion.Diffusion`.
        variance: fixed_large | fixed_small | learned.
        weighting: simple | eps | min_snr.
        zero_terminal_snr: Leave nothing of the data at the last time; needs prediction x0 or v.
        time_law: Of the times that flow matching is trained at: uniform | logit_normal.
        architecture: unet | mlp.
        channels: Channels of the U-Net's first level.
        channel_mult: Factors on them, one for each level.
        blocks: Residual blocks of each level.
        attention: Heights of the feature maps that attend to themselves.
        hidden: Widths of the mlp's layers.
        frequencies: Of the sines and cosines of each value that the mlp sees beside it; see
            :class:`nnzoo.nets.ddpm.MLPDenoiser`.
        dropout: In the U-Net's residual blocks.
        label_dropout: Share of training samples whose class is not told, which guidance needs.
        sampler: ddpm | ddim | dpm_solver, see :func:`nnzoo.nets.samplers.denoised`.
        solver: Of a flow: heun | euler.
        steps: Steps of the sampler; all of the chain, or 50 of a flow, if not given.
        eta: Noise of ddim, from 0 (none) to 1.
        guidance: Classifier-free guidance s, uncond + s (cond - uncond): 1 for none, above to follow the class more.
        max_nll_evaluations: Take the likelihood of test samples chosen at random where it needs the network more often
            than that; the table says so. null takes all.
        shared: What :class:`nnzoo.modules.drawing.DrawingModule` takes.

    Raises:
        InputError: If a value is out of range, or the images do not fit the network.
    """

    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {
        **{
            name: ("objective", ["diffusion"])
            for name in ("timesteps", "schedule", "prediction", "variance", "weighting", "zero_terminal_snr", "sampler")
        },
        **{name: ("objective", ["flow_matching"]) for name in ("time_law", "solver")},
        **{name: ("architecture", ["unet"]) for name in ("channels", "channel_mult", "blocks", "attention", "dropout")},
        **{name: ("architecture", ["mlp"]) for name in ("hidden", "frequencies")},
        "label_dropout": ("conditional", [True]),
        "guidance": ("conditional", [True]),
        "eta": ("sampler", ["ddim"]),
    }

    def __init__(
        self,
        *,
        objective: Objective = "diffusion",
        timesteps: int = 1000,
        schedule: ScheduleName = "linear",
        prediction: Prediction = "eps",
        variance: Variance = "fixed_large",
        weighting: Weighting = "simple",
        zero_terminal_snr: bool = False,
        time_law: TimeLaw = "uniform",
        architecture: Literal["unet", "mlp"] = "unet",
        channels: int = 32,
        channel_mult: Sequence[int] = (1, 2),
        blocks: int = 1,
        attention: Sequence[int] = (),
        hidden: Sequence[int] = (256, 256, 256),
        frequencies: int = 0,
        dropout: float = 0.0,
        label_dropout: float = 0.1,
        sampler: SamplerName = "ddpm",
        solver: Solver = "heun",
        steps: int | None = None,
        eta: float = 0.0,
        guidance: float = 1.0,
        max_nll_evaluations: int | None = 2**18,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.process = self.build_process()
        self.net = self.build_net()
        evaluated = ["loss", "nll", "bits_per_dim"] if self.is_image else ["loss", "nll"]
        self.means = StageMeans({"train": ["loss"], "val": ["loss"], "test": evaluated})
        self._last_losses = torch.empty(0), torch.empty(0)

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        check_sizes(timesteps=hparams["timesteps"])
        for name in ("steps", "max_nll_evaluations"):
            if hparams[name] is not None:
                check_sizes(**{name: hparams[name]})
        if hparams["objective"] == "diffusion" and (hparams["steps"] or 0) > hparams["timesteps"]:
            raise InputError(
                f"A chain of {hparams['timesteps']} steps cannot be sampled in {hparams['steps']}: lower --model.steps."
            )
        if not (0 <= hparams["dropout"] < 1 and 0 <= hparams["label_dropout"] < 1 and 0 <= hparams["eta"] <= 1):
            raise InputError("dropout and label_dropout go from 0 to below 1, eta from 0 to 1.")
        self.check_guidance(hparams["guidance"])
        if hparams["architecture"] == "unet" and not self.is_image:
            raise InputError("A U-Net is for images: set --model.architecture mlp for points.")
        if hparams["levels"] == 1:
            raise InputError("The images have a single grey level: there is nothing to learn.")

    def setup(self, stage: str) -> None:
        """Raises InputError if the trainer's precision would change the images."""
        super().setup(stage)
        check_precision(self.trainer)

    def build_process(self) -> Diffusion | FlowMatching:
        """The chain of noise, or the path of the flow."""
        hparams = self.hparams
        if hparams["objective"] == "flow_matching":
            return FlowMatching(hparams["time_law"])
        names = ("schedule", "prediction", "variance", "weighting", "zero_terminal_snr")
        settings = {name: hparams[name] for name in names}
        return Diffusion(hparams["timesteps"], levels=hparams["levels"] if self.is_image else None, **settings)

    def build_net(self) -> nn.Module:
        """A network (noised, times, labels) -> outputs: noised (B, C, ...) and (B, outputs_per_channel C, ...)."""
        hparams, outputs = self.hparams, self.process.outputs_per_channel
        if hparams["architecture"] == "mlp":
            settings = {name: hparams[name] for name in ("hidden", "frequencies")}
            return MLPDenoiser(hparams["in_shape"], outputs, num_classes=self.num_conditions, **settings)
        names = ("channels", "channel_mult", "blocks", "attention", "dropout")
        settings = {name: hparams[name] for name in names}
        channels = outputs * hparams["in_shape"][0]
        return UNet(hparams["in_shape"], channels, num_classes=self.num_conditions, **settings)

    def losses(self, data: Tensor, labels: Tensor | None, source: Source = None) -> Tensor:
        """The loss of each sample (B,) at a time and with noise of its own.

        Args:
            data: In the model's scale.
            labels: Classes (B,), if the model is conditional.
            source: Of times and noise.
        """
        data = self.dequantized(data, source)
        times = self.process.draw_times(len(data), source)
        noise = normal(data.shape, data, source)
        if labels is not None and self.training:
            dropped = uniform(labels.shape[:1], data, source) < self.hparams["label_dropout"]
            labels = torch.where(spread(dropped, labels), self.no_conditions(labels), labels)
        return self._losses(data, labels, times, noise)

    def losses_at(self, data: Tensor, labels: Tensor | None, share: float, noise: Tensor) -> Tensor:
        """The loss of each sample (B,) at a share of the way from data (0) to noise (1)."""
        if isinstance(self.process, Diffusion):
            times = torch.full((len(data),), min(int(share * self.process.steps), self.process.steps - 1))
        else:
            times = torch.full((len(data),), 1 - share)
        return self._losses(data, labels, times.to(data.device), noise)

    def _losses(self, data: Tensor, labels: Tensor | None, times: Tensor, noise: Tensor) -> Tensor:
        noised = self.process.noised(data, times, noise).to(self.dtype)
        losses = self.process.losses(self.net(noised, self.process.network_time(times), labels), data, times, noise)
        self._last_losses = times, losses.detach()
        return losses

    def loss_context(self) -> str:
        """The times whose losses are not finite."""
        times, losses = self._last_losses
        lost = times[~losses.isfinite()].sort().values.tolist()
        shown = ", ".join(f"{time:.4g}" for time in dict.fromkeys(lost))
        if lost and len(lost) == len(times):
            return f"at all times t of the batch, {lost[0]:.4g} to {lost[-1]:.4g}: the weights may be lost already"
        return f"at time t = {shown} ({len(lost)} of {len(times)} samples)" if lost else ""

    def dequantized(self, data: Tensor, source: Source) -> Tensor:
        """Grey levels as a density, for the flow: with uniform noise of one level."""
        if isinstance(self.process, Diffusion) or not self.is_image:
            return data
        return data + uniform(data.shape, data, source, -1.0, 1.0) / (self.hparams["levels"] - 1)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Mean loss of a batch (data, labels)."""
        losses = self.losses(*self.checked(batch, batch_idx))
        self.means.update("train", {"loss": losses})
        return losses.mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Measures the loss, at the same times and with the same noise in every epoch."""
        data, labels = self.checked(batch, batch_idx)
        losses = self.losses(data, labels, self.evaluation_noise(batch_idx, len(data)))
        self.means.update("val", {"loss": losses})

    @property
    def max_nll_samples(self) -> float:
        """Number of test samples whose likelihood is taken: a matter of sizes, not of the time it takes."""
        most = self.hparams["max_nll_evaluations"]
        each = self.hparams["timesteps"] if isinstance(self.process, Diffusion) else 4 * NLL_STEPS
        return math.inf if most is None else max(1, most // each)

    def on_test_start(self) -> None:
        """Says in the table of how many samples the likelihood is, where these are not all."""
        tested, most = self.num_tested() or 0, self.max_nll_samples
        said = f"nll: of {most:,} of {tested:,} test samples, chosen at random; of all with"
        self.metric_note = f"{said} --model.max_nll_evaluations null" if most < tested else ""

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Measures the loss and the likelihood."""
        data, labels = self.checked(batch, batch_idx)
        noise = self.evaluation_noise(batch_idx, len(data))
        self.means.update("test", {"loss": self.losses(data, labels, noise)})
        rows = self.tested_rows(batch_idx, len(data), self.max_nll_samples)
        nll = data.new_empty(0)
        if len(rows):
            chosen = None if labels is None else labels[rows]
            nll = -self._log_likelihood(data[rows], chosen, [noise[row] for row in rows.tolist()])
        bits = nll / (math.prod(self.hparams["in_shape"]) * math.log(2))
        self.means.update("test", {"nll": nll, "bits_per_dim": bits})

    @in_evaluation
    def log_likelihood(self, data: Tensor, labels: Tensor | None = None, generator: Source = None) -> Tensor:
        """Log p(x) of each sample (B,), in nats: a bound for diffusion, with one draw of noise for each time.

        Args:
            data: Images (B, C, H, W) in [0, 1], or points (B, 2).
            labels: Their classes, if the model is conditional.
            generator: Source of the noise: on the model's device, or one on the CPU for each sample.
        """
        batch = (data,) if labels is None else (data, labels)
        return self._log_likelihood(*self.checked(batch, 0), generator)

    def _log_likelihood(self, data: Tensor, labels: Tensor | None, source: Source) -> Tensor:
        if isinstance(self.process, Diffusion):
            return -self.process.nll_terms(self.denoiser(labels), data, source, clip=self.is_image).sum(1)
        with torch.inference_mode(False):  # in which Trainers test: the divergence is a derivative
            data, labels = self.dequantized(data.clone(), source), None if labels is None else labels.clone()
            density = self.process.log_likelihood(self.denoiser(labels), data, NLL_STEPS, not self.is_image, source)
        width = math.log(2 / (self.hparams["levels"] - 1)) if self.is_image else 0.0  # of a level, from -1 to 1
        return density + data[0].numel() * width

    def figures(self, batch: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Samples, the way to them, what lies between two images, guidance, and the loss at each time."""
        return {**super().figures(batch, facts), **ddpm_figures(self, batch, facts)}

    def guidance_figure(self) -> Picture:
        """The same noise with more and more guidance."""
        return guidance_figure(self)

    def drawn_files(self, predictions: Sequence[Tensor]) -> dict[str, Picture]:
        """The images, and how the first of them came out of noise."""
        files = super().drawn_files(predictions)
        return {**files, "process.gif": process_animation(self)} if files else {}
