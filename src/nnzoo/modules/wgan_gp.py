"""A generator against a critic: WGAN-GP, and the two steps before it, WGAN and GAN, by a flag."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.metrics.means import StageMeans
from nnzoo.modules.drawing import DrawingModule, Labels
from nnzoo.modules.evaluating import in_evaluation
from nnzoo.modules.sample_history import SampleHistory
from nnzoo.modules.wgan_gp_figures import adversarial_figures, watched_samples
from nnzoo.nets.noise import Source, normal, uniform
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.samplers import slerp
from nnzoo.nets.wgan_gp import (
    Architecture,
    Conditioning,
    Critic,
    Generator,
    Norm,
    clip_weights,
    critic_losses,
    energy_scores,
    generator_losses,
    gradient_norms,
)

Objective = Literal["wgan_gp", "wgan", "gan"]

AUXILIARY_SHARE = 0.1
"""Factor on the generator's part in telling classes, as in the code of arXiv:1704.00028."""

MOST_LOSS = 1e8
"""Of a penalty with factor 10: gradients 3,000 times as steep as they should be."""

DRAWN_PER_SAMPLE = 4
"""Draws for each real sample that the energy score compares."""


class WGANGP(DrawingModule):
    """A Wasserstein GAN with gradient penalty (Gulrajani et al. 2017, arXiv:1704.00028) of images in [0, 1], or points.

    The critic's scores tell real samples from those that a generator makes of noise; the generator raises theirs. Each
    batch trains the critic, every ``n_critic``-th the generator too, each with fresh noise. ``objective`` chooses

    - wgan_gp: the critic minimises D(drawn) - D(real) + lambda (||grad D|| - 1)^2 at points between both;
    - wgan: the same without penalty; its weights are clipped after each step (Arjovsky et al. 2017, arXiv:1701.07875);
    - gan: softplus(-D(real)) + softplus(D(drawn)); the generator minimises softplus(-D(drawn)), the non-saturating loss
      of Goodfellow et al. 2014, arXiv:1406.2661.

    ``wasserstein`` is D(real) - D(drawn), without penalty, which the training's ``critic_loss`` alone has, and
    ``gradient_norm`` is ||grad D||. As neither loss tells how good samples are, ``loss`` of validation and test is the
    energy score (:func:`nnzoo.nets.wgan_gp.energy_scores`). It hardly sees how sharp samples are, so that it chooses no
    epoch: what is tested, drawn from and kept as the best are the last weights, as in the papers.

    To use other networks, override :meth:`build_generator` or :meth:`build_critic`.

    Args:
        objective: wgan_gp | wgan | gan.
        latent_dim: Length of the noise.
        architecture: mlp | dcgan | resnet, see :class:`nnzoo.nets.wgan_gp.Generator`.
        hidden: Widths of the mlp's layers.
        channels: Channels of dcgan and resnet.
        critic_norm: Of the critic's feature maps: none | layer | instance | batch (not with a penalty, as it makes the
            score of a sample depend on others).
        conditioning: How the critic knows the class: projection | auxiliary.
        n_critic: Steps of the critic, a batch each, for a step of the generator.
        penalty: Factor lambda on the gradient penalty.
        clip: Largest absolute weight of the critic.
        critic_lr: Learning rate of the critic; ``lr`` if not given.
        betas: Decay of the gradient's mean and of its square.
        dequantize: Add uniform noise of one grey level to real images, as for the paper's CIFAR-10.
        shared: What :class:`nnzoo.modules.drawing.DrawingModule` takes.

    Raises:
        InputError: If a value is out of range, or the images are too small for the network.
    """

    best_by = ("step", "max")
    most_loss = MOST_LOSS
    metric_note = "loss: energy score of the samples; wasserstein: estimate of the run's own critic"
    acts_with: ClassVar[Mapping[str, tuple[str, Sequence[Any]]]] = {
        "penalty": ("objective", ["wgan_gp"]),
        "clip": ("objective", ["wgan"]),
        "hidden": ("architecture", ["mlp"]),
        "channels": ("architecture", ["dcgan", "resnet"]),
        "critic_norm": ("architecture", ["dcgan", "resnet"]),
        "conditioning": ("conditional", [True]),
        "betas": ("optimizer", ["adamw"]),
    }

    def __init__(
        self,
        *,
        objective: Objective = "wgan_gp",
        latent_dim: int = 64,
        architecture: Architecture = "dcgan",
        hidden: Sequence[int] = (512, 512, 512),
        channels: int = 32,
        critic_norm: Norm = "none",
        conditioning: Conditioning = "projection",
        n_critic: int = 5,
        penalty: float = 10.0,
        clip: float = 0.01,
        critic_lr: float | None = None,
        betas: tuple[float, float] = (0.0, 0.9),
        dequantize: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.automatic_optimization = False
        self.generator = self.build_generator()
        self.critic = self.build_critic()
        losses = ["critic_loss", "generator_loss", "wasserstein"]
        penalised = ["penalty", "gradient_norm"] if objective == "wgan_gp" else []
        self.means = StageMeans({"train": [*losses, *penalised], "val": [*losses, "loss"], "test": [*losses, "loss"]})
        self.history = SampleHistory()
        self._last_terms: dict[str, Tensor] = {}

    def check_hyperparameters(self) -> None:
        """Raises InputError if a hyperparameter cannot be used."""
        super().check_hyperparameters()
        hparams = self.hparams
        check_sizes(latent_dim=hparams["latent_dim"], n_critic=hparams["n_critic"])
        if hparams["critic_norm"] == "batch" and hparams["objective"] == "wgan_gp":
            raise InputError(
                "A gradient penalty is one of each sample, which batch norm makes depend on the others: set "
                "--model.critic_norm layer, instance or none."
            )
        positive = (hparams["clip"], hparams["lr"] if hparams["critic_lr"] is None else hparams["critic_lr"])
        if not 0 <= hparams["penalty"] < math.inf or not all(0 < value < math.inf for value in positive):
            raise InputError("penalty must not be negative, clip and critic_lr must be above 0.")
        if len(hparams["betas"]) != 2 or not all(0 <= beta < 1 for beta in hparams["betas"]):
            raise InputError(f"betas are two numbers from 0 to below 1, got {hparams['betas']}: set --model.betas.")
        if hparams["architecture"] != "mlp" and not self.is_image:
            raise InputError(f"{hparams['architecture']} is for images: set --model.architecture mlp for points.")
        if hparams["dequantize"] and not self.is_image:
            raise InputError("Points have no grey levels: leave out --model.dequantize.")

    def build_generator(self) -> nn.Module:
        """A network (noise (B, L), labels) -> samples (B, *in_shape), images in [-1, 1]."""
        names = ("latent_dim", "architecture", "hidden", "channels")
        settings = {name: self.hparams[name] for name in names}
        return Generator(self.hparams["in_shape"], num_classes=self.num_conditions, **settings)

    def build_critic(self) -> Critic:
        """A network with the methods of :class:`nnzoo.nets.wgan_gp.Critic`."""
        names = ("architecture", "hidden", "channels", "conditioning")
        settings = {name: self.hparams[name] for name in names}
        norm = self.hparams["critic_norm"]
        return Critic(self.hparams["in_shape"], norm=norm, num_classes=self.num_conditions, **settings)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One for the critic, which makes a step with each batch, and one for the generator."""
        batches, each = self.trainer.estimated_stepping_batches, self.hparams["n_critic"]
        if self.trainer.max_steps > 0:  # the Trainer counts the steps of both
            batches = min(batches, math.ceil(self.trainer.max_steps * each / (each + 1)))
        rate = self.hparams["critic_lr"] or self.hparams["lr"]
        critic = self.build_optimizer(self.critic.parameters(), batches, lr=rate)
        generator = self.build_optimizer(self.generator.parameters(), max(1, batches // each))
        return [critic, generator]

    def draw(self, count: int, labels: Tensor | None, source: Source = None) -> Tensor:
        """Samples (count, *in_shape) of fresh noise, in the model's scale."""
        noise = normal((count, self.hparams["latent_dim"]), torch.empty(0, device=self.device), source)
        return self.generator(noise.to(self.dtype), labels)

    def critic_terms(self, real: Tensor, labels: Tensor | None, source: Source = None) -> dict[str, Tensor]:
        """The critic's loss of each sample (B,), the Wasserstein estimate, and the penalty where there is one."""
        hparams = self.hparams
        real = self._dequantized(real, source)
        with torch.no_grad():
            drawn = self.draw(len(real), labels, source).to(real.dtype)
        scores, classes = self.critic.scores_and_classes(real, labels)
        scores, of_drawn = at_least_float32(scores), at_least_float32(self.critic(drawn, labels))
        losses = critic_losses(scores, of_drawn, hparams["objective"] == "gan")
        terms = {"wasserstein": (scores - of_drawn).detach()}
        if classes is not None and labels is not None:
            losses = losses + F.cross_entropy(at_least_float32(classes), labels, reduction="none")
        if hparams["objective"] == "wgan_gp" and torch.is_grad_enabled():
            shares = uniform((len(real),), real, source)
            norms = gradient_norms(lambda points: self.critic(points, labels), real, drawn, shares)
            terms |= {"gradient_norm": norms.detach(), "penalty": (norms - 1).square()}
            losses = losses + hparams["penalty"] * terms["penalty"]
        return {**terms, "critic_loss": losses}

    def generator_terms(self, count: int, labels: Tensor | None, source: Source = None) -> dict[str, Tensor]:
        """The generator's loss of each of ``count`` drawn samples."""
        scores, classes = self.critic.scores_and_classes(self.draw(count, labels, source), labels)
        losses = generator_losses(at_least_float32(scores), self.hparams["objective"] == "gan")
        if classes is not None and labels is not None:
            losses = losses + AUXILIARY_SHARE * F.cross_entropy(at_least_float32(classes), labels, reduction="none")
        return {"generator_loss": losses}

    def _dequantized(self, real: Tensor, source: Source) -> Tensor:
        if not self.hparams["dequantize"]:
            return real
        return real + uniform(real.shape, real, source, -1.0, 1.0) / (self.hparams["levels"] - 1)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """A step of the critic, and with every ``n_critic``-th batch one of the generator."""
        real, labels = self.checked(batch, batch_idx)
        self._step(0, lambda: self.critic_terms(real, labels), "critic_loss")
        if self.hparams["objective"] == "wgan":
            clip_weights(self.critic, self.hparams["clip"])
        if (self.batches_seen + 1) % self.hparams["n_critic"] == 0:
            self._step(1, lambda: self.generator_terms(len(real), labels), "generator_loss")

    def _step(self, number: int, terms_of: Callable[[], dict[str, Tensor]], loss: str) -> None:
        optimizer: Any = self.optimizers()[number]  # type: ignore[index]
        self.toggle_optimizer(optimizer)  # before the terms, so that the other network gets no gradients
        terms = terms_of()
        self._last_terms |= {name: values.detach() for name, values in terms.items()}
        optimizer.zero_grad()
        self.manual_backward(terms[loss].mean())
        optimizer.step()
        self.untoggle_optimizer(optimizer)
        schedulers: Any = self.lr_schedulers()
        if schedulers is not None:
            schedulers[number].step()
        self.means.update("train", terms)

    def on_validation_epoch_start(self) -> None:
        """Keeps a frame of what is drawn while the fit goes on; by now an average of the weights is in their place."""
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            with torch.no_grad():
                self.history.offer(lambda: watched_samples(self), self.batches_seen)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the frames, too."""
        super().on_save_checkpoint(checkpoint)
        checkpoint["sample_history"] = self.history.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the frames of a checkpoint."""
        super().on_load_checkpoint(checkpoint)
        self.history.load_state_dict(checkpoint.get("sample_history", {}))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Measures losses and the energy score, with noise of each sample's own."""
        self._measure("val", batch, batch_idx)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Measures losses and the energy score."""
        self._measure("test", batch, batch_idx)

    def _measure(self, stage: str, batch: Any, batch_idx: int) -> None:
        real, labels = self.checked(batch, batch_idx)
        noise = self.evaluation_noise(batch_idx, len(real))
        terms = {**self.critic_terms(real, labels, noise), **self.generator_terms(len(real), labels, noise)}
        drawn = [self.from_model(self.draw(len(real), labels, noise)).float() for _ in range(DRAWN_PER_SAMPLE)]
        self.means.update(stage, {**terms, "loss": energy_scores(self.from_model(real), torch.stack(drawn))})

    def loss_context(self) -> str:
        """The penalty and the gradient's norm, where there is a penalty."""
        shown = [name for name in ("penalty", "gradient_norm") if name in self._last_terms]
        means = (f"{name.replace('_', ' ')} {float(self._last_terms[name].mean()):.4g}" for name in shown)
        return f"with {' and '.join(means)} in the last batch" if shown else ""

    def contract_loss(self, batch: Any) -> Tensor:
        """Both losses, each with what it trains."""
        real, labels = self.checked(batch, 0)
        terms = {**self.critic_terms(real, labels), **self.generator_terms(len(real), labels)}
        return (terms["critic_loss"] + terms["generator_loss"]).mean()

    @in_evaluation
    def sample(self, num_samples: int, labels: Labels = None, *, generator: Source = None) -> Tensor:
        """Samples (num_samples, *in_shape): images in [0, 1], or points.

        Args:
            num_samples: How many.
            labels: Their classes, a tensor (num_samples,) or a list, if the model is conditional; all in turn if not
                given.
            generator: Source of the noise: on the model's device, or one on the CPU for each sample.
        """
        return self.from_model(self.draw(num_samples, self.sampled_labels(num_samples, labels), generator))

    @in_evaluation
    def interpolate(self, num_lines: int, steps: int = 8, labels: Labels = None, *, generator: Source = None) -> Tensor:
        """Samples (num_lines, steps, *in_shape) of noise on great circles, whose norm is that of noise everywhere."""
        check_sizes(num_lines=num_lines, steps=steps)
        labels = self.sampled_labels(num_lines, labels)
        like, shape = torch.empty(0, device=self.device), (num_lines, self.hparams["latent_dim"])
        start, end = (normal(shape, like, generator) for _ in range(2))
        lines = slerp(start, end, torch.linspace(0, 1, steps)).to(self.dtype).unbind(1)
        return torch.stack([self.from_model(self.generator(line, labels)) for line in lines], dim=1)

    def figures(self, batch: Any, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Samples, at the end and over training, what lies between them, and of points the critic's scores."""
        return {**super().figures(batch, facts), **adversarial_figures(self, batch)}
