"""The variational autoencoder, with its importance-weighted bound."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnzoo.errors import InputError, check_sizes
from nnzoo.metrics.means import StageMeans
from nnzoo.modules.base import ZooModule
from nnzoo.modules.checks import check_images
from nnzoo.modules.optimizers import Schedule, check_hyperparameters
from nnzoo.nets.encoder_decoder import Architecture, Decoder, Encoder, Upsampling, line_between
from nnzoo.nets.layers import Activation, checked_labels
from nnzoo.nets.likelihoods import LikelihoodName, bits_per_dim, build_likelihood
from nnzoo.nets.precision import at_least_float32
from nnzoo.nets.vae import (
    LOG_VAR_RANGE,
    elbo_terms,
    gaussian_kl,
    importance_bound,
    iwae_terms,
    log_posterior,
    log_standard_normal,
    reparameterize,
)

Batch = tuple[Tensor, Tensor]
MAX_DECODED_VALUES = 2**23
"""Largest number of decoded values held at once while a log-likelihood is estimated (32 MiB in float32)."""


class VAE(ZooModule):
    """Variational autoencoder (Kingma & Welling 2013, arXiv:1312.6114) of images in [0, 1].

    Minimises ``alpha_rec * rec + beta * KL`` with rec = -E_q log p(x|z) and KL = KL(q(z|x) || N(0, I)): both in nats,
    summed over pixels and latent dimensions, averaged over the batch. With both factors 1 this is the negative ELBO.
    With ``num_importance_samples`` K > 1 it maximises the IWAE bound log (1/K) sum_k w_k (arXiv:1509.00519) instead.

    To use other networks, override :meth:`build_encoder` or :meth:`build_decoder`.

    Args:
        in_shape: (C, H, W) of the images (the command line takes it from the data).
        levels: Number of grey levels of the images (the command line takes it from the data).
        num_classes: Number of classes, needed if ``conditional`` (the command line takes it from the data).
        latent_dim: Number of latent dimensions, L.
        architecture: mlp | conv.
        hidden: Layer widths (mlp) or channels of stride-2 stages (conv), from the image inwards.
        activation: relu | leaky_relu | silu | gelu | tanh.
        upsampling: transposed convolutions, or nearest-neighbour upsampling and a convolution (only for conv).
        likelihood: bernoulli (binary images) | gaussian (learned mean and standard deviation per pixel; images are
            dequantised) | discretized_logistic (grey levels).
        conditional: Condition encoder and decoder on the class: p(x|y).
        alpha_rec: Factor on the reconstruction term.
        beta: Factor on the KL term (beta-VAE).
        kl_warmup_epochs: Epochs over which beta rises linearly from 0; evaluation always uses the full beta.
        free_bits: Nats per latent dimension below which the KL is not reduced further, in training only.
        num_importance_samples: K of the IWAE bound; 1 trains the ELBO with the analytic KL.
        num_nll_samples: Importance samples per image for the test's negative log-likelihood.
        lr: Learning rate of AdamW.
        weight_decay: Decoupled weight decay, not applied to biases.
        lr_schedule: constant | cosine | linear | multistep (/10 at half and at three quarters of all steps).
        lr_warmup: Share of all steps during which the learning rate rises from 0.

    Raises:
        InputError: If a value is out of range, or the images are too small for the number of stages.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, int, int] = (1, 28, 28),
        levels: int = 256,
        num_classes: int = 0,
        latent_dim: int = 16,
        architecture: Architecture = "mlp",
        hidden: Sequence[int] = (256, 256),
        activation: Activation = "relu",
        upsampling: Upsampling = "transposed",
        likelihood: LikelihoodName = "discretized_logistic",
        conditional: bool = False,
        alpha_rec: float = 1.0,
        beta: float = 1.0,
        kl_warmup_epochs: float = 0.0,
        free_bits: float = 0.0,
        num_importance_samples: int = 1,
        num_nll_samples: int = 1000,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        lr_schedule: Schedule = "constant",
        lr_warmup: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        check_sizes(
            latent_dim=latent_dim, num_importance_samples=num_importance_samples, num_nll_samples=num_nll_samples
        )
        check_hyperparameters(self)
        if min(alpha_rec, beta, kl_warmup_epochs, free_bits) < 0:
            raise InputError("alpha_rec, beta, kl_warmup_epochs and free_bits must not be negative.")
        if free_bits and num_importance_samples > 1:
            raise InputError("free_bits is defined for the ELBO only: set --model.num_importance_samples 1.")
        if conditional and num_classes < 1:
            raise InputError("conditional needs classes: use data with labels, such as a folder with class folders.")
        if levels < 2:
            raise InputError(f"levels is the number of grey levels, 2 or more, got {levels}.")
        if levels == 2 and likelihood != "bernoulli":
            raise InputError("Binary images need --model.likelihood bernoulli.")
        self.likelihood = build_likelihood(likelihood, levels)
        self.encoder = self.build_encoder()
        self.decoder = self.build_decoder()
        losses = ["loss", "reconstruction", "kl"]
        evaluation = [*losses, "elbo"]
        test = [*evaluation, "nll", "bits_per_dim"]
        self.means = StageMeans({"train": losses, "val": evaluation, "test": test})

    def build_encoder(self) -> nn.Module:
        """A network from (images, labels) to the posterior's (B, 2 L) means and log-variances."""
        hparams = self.hparams
        return Encoder(
            hparams["in_shape"],
            2 * hparams["latent_dim"],
            hparams["architecture"],
            hparams["hidden"],
            hparams["activation"],
            self.num_conditions,
        )

    def build_decoder(self) -> nn.Module:
        """A network from (codes (B, L), labels) to the likelihood's parameters (B, n C, H, W)."""
        hparams = self.hparams
        channels, height, width = hparams["in_shape"]
        return Decoder(
            (channels * self.likelihood.params_per_channel, height, width),
            hparams["latent_dim"],
            hparams["architecture"],
            hparams["hidden"],
            hparams["activation"],
            hparams["upsampling"],
            self.num_conditions,
        )

    @property
    def num_conditions(self) -> int:
        """Number of classes the networks are conditioned on; 0 for none."""
        return self.hparams["num_classes"] if self.hparams["conditional"] else 0

    def posterior(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance (B, L) of q(z|x); the log-variance is clamped to ``LOG_VAR_RANGE``."""
        mean, log_var = at_least_float32(self.encoder(images, labels)).chunk(2, dim=1)
        return mean, log_var.clamp(*LOG_VAR_RANGE)

    def params(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """The likelihood's parameters (B, n C, H, W) of codes (B, L), which are kept in float32 until here."""
        return self.decoder(codes.to(self.dtype), labels)

    def log_joint_terms(
        self, images: Tensor, codes: Tensor, mean: Tensor, log_var: Tensor, labels: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Log p(x|z) and log p(z) - log q(z|x) for codes (K, B, L): both (K, B)."""
        labels = None if labels is None else labels.repeat(len(codes))
        params = self.params(codes.flatten(0, 1), labels).unflatten(0, codes.shape[:2])
        return self.likelihood.log_prob(images, params), log_standard_normal(codes) - log_posterior(
            codes, mean, log_var
        )

    def loss_terms(
        self, images: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Per-sample loss, reconstruction term, KL and ELBO: each (B,), in nats.

        Warm-up and free bits shape the loss in training mode only.
        """
        hparams = self.hparams
        images = self._dequantized(images, generator)
        mean, log_var = self.posterior(images, labels)
        codes = reparameterize(mean, log_var, hparams["num_importance_samples"], generator)
        kl = gaussian_kl(mean, log_var)
        alpha, beta = hparams["alpha_rec"], hparams["beta"] * self.kl_warmup()
        if len(codes) == 1:
            log_px = self.likelihood.log_prob(images, self.params(codes[0], labels))
            return elbo_terms(log_px, kl, alpha, beta, hparams["free_bits"] if self.training else 0.0)
        log_px, log_ratio = self.log_joint_terms(images, codes, mean, log_var, labels)
        return iwae_terms(log_px, log_ratio, kl, alpha, beta)

    def kl_warmup(self) -> float:
        """The factor on beta: from 0 to 1 over ``kl_warmup_epochs`` in training, 1 otherwise."""
        epochs = self.hparams["kl_warmup_epochs"]
        if not self.training or epochs == 0 or self._trainer is None:
            return 1.0
        batches_seen = self.global_step * self.trainer.accumulate_grad_batches
        return min(1.0, batches_seen / (epochs * self.trainer.num_training_batches))

    def _dequantized(self, images: Tensor, generator: torch.Generator | None) -> Tensor:
        if not self.likelihood.is_density:
            return images
        noise = torch.empty_like(images).uniform_(-0.5, 0.5, generator=generator)
        return images + noise / (self.hparams["levels"] - 1)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss of a batch (images, labels)."""
        terms = self._checked_terms(batch, batch_idx)
        self.means.update("train", terms)
        return terms["loss"].mean()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the loss and its terms, with the full beta."""
        self.means.update("val", self._checked_terms(batch, batch_idx, self.evaluation_generator(batch_idx)))

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measures the terms, the NLL by importance sampling (nats) and bits per dimension."""
        generator = self.evaluation_generator(batch_idx)
        terms = self._checked_terms(batch, batch_idx, generator)
        nll = -self.log_likelihood(*batch, generator=generator)
        bits = bits_per_dim(nll, batch[0][0].numel(), self.likelihood)
        self.means.update("test", {**terms, "nll": nll, "bits_per_dim": bits})

    def predict_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Reconstructions of a batch (images, labels)."""
        return self(*batch)

    def _checked_terms(
        self, batch: Batch, batch_idx: int, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        images, labels = batch
        if batch_idx == 0:  # looking at the values costs a synchronisation on a GPU, so once per epoch
            check_images(images, self.hparams["in_shape"], binary=self.hparams["likelihood"] == "bernoulli")
            if self.num_conditions and labels is not None:
                checked_labels(labels.cpu(), self.num_conditions)
        return self.loss_terms(images, labels, generator)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Reconstructs images (B, C, H, W) from their posterior means."""
        return self.reconstruct(images, labels)

    def encode(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Posterior means (B, L) of images."""
        return self.posterior(images, labels)[0]

    def decode(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images (B, C, H, W) of codes (B, L): the mean of a Bernoulli, the location of the other likelihoods."""
        return self.likelihood.mean(self.params(codes, labels))

    def reconstruct(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Decodes the posterior means of ``images``."""
        return self.decode(self.encode(images, labels), labels)

    @torch.no_grad()
    def sample(
        self,
        num_samples: int,
        labels: Tensor | None = None,
        mean: bool = True,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Draws images (num_samples, C, H, W) from the model.

        Args:
            num_samples: Number of images.
            labels: Their classes (num_samples,) if the model is conditional; all classes in turn if not given.
            mean: Decode each code as :meth:`decode` does, instead of drawing from the likelihood.
            generator: Source of the noise, on the model's device.
        """
        codes = torch.empty(num_samples, self.hparams["latent_dim"], device=self.device).normal_(generator=generator)
        if self.num_conditions and labels is None:
            labels = torch.arange(num_samples, device=self.device) % self.num_conditions
        params = self.params(codes, labels)
        return self.likelihood.mean(params) if mean else self.likelihood.sample(params, generator)

    @torch.no_grad()
    def interpolate(self, first: Tensor, second: Tensor, steps: int = 8, labels: Tensor | None = None) -> Tensor:
        """Decodes ``steps`` codes on the straight lines between the codes of two batches: (B, steps, C, H, W)."""
        codes = line_between(self.encode(first, labels), self.encode(second, labels), steps)
        repeated = None if labels is None else labels.repeat_interleave(steps)
        return self.decode(codes.flatten(0, 1), repeated).unflatten(0, codes.shape[:2])

    @torch.no_grad()
    def log_likelihood(
        self,
        images: Tensor,
        labels: Tensor | None = None,
        num_samples: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Importance-sampled log p(x) per image (B,), in nats: log (1/K) sum_k p(x, z_k) / q(z_k|x).

        A lower bound in expectation that tightens with K. Codes are decoded in chunks: memory hardly grows with K.

        Args:
            images: Images (B, C, H, W).
            labels: Their classes, if the model is conditional.
            num_samples: K; ``num_nll_samples`` if not given.
            generator: Source of the noise, on the model's device.
        """
        num_samples = self.hparams["num_nll_samples"] if num_samples is None else num_samples
        check_sizes(num_samples=num_samples)
        images = self._dequantized(images, generator)
        mean, log_var = self.posterior(images, labels)
        chunk = max(1, MAX_DECODED_VALUES // (images.numel() * self.likelihood.params_per_channel))
        log_weights = []
        for start in range(0, num_samples, chunk):
            codes = reparameterize(mean, log_var, min(chunk, num_samples - start), generator)
            log_px, log_ratio = self.log_joint_terms(images, codes, mean, log_var, labels)
            log_weights.append(log_px + log_ratio)
        return importance_bound(torch.cat(log_weights))
